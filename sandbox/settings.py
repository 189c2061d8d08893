# SPDX-License-Identifier: Apache-2.0
"""What can be configured about one sandbox, and where its files are."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from sandbox.errors import SandboxError

PROJECT = Path(__file__).resolve().parent.parent
DEFAULT_PORT_BASE = 19500
PORT_NAMES = ("keystone", "neutron", "octavia", "nb", "sb")

# Longest name that is made below the run directory, and what a unix socket's address can hold.
_LONGEST_SOCKET_NAME = "ovn-controller.4194304.ctl"
_SOCKET_ADDRESS_MAX = 107
_SYSTEM = Path("/usr")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """One sandbox. Two with different ``state`` and ``ports`` can be up at the same time."""

    state: Path
    venv: Path
    ports: dict[str, int]
    provider_package: str = "."
    """What pip installs as the driver; "." is this project, editable."""
    octavia_options: tuple[str, ...] = ()
    """Additions to octavia.conf, each as ``section.option=value``."""
    api_workers: int = 2
    """Processes of the Octavia API."""
    ovn_prefix: Path = _SYSTEM
    """Where OVN and Open vSwitch are installed: programs in bin and sbin, schemas in share."""
    host: str = "127.0.0.1"
    password: str = "secret"

    def __post_init__(self) -> None:
        longest = len(str(self.run / _LONGEST_SOCKET_NAME))
        if longest > _SOCKET_ADDRESS_MAX:
            excess = longest - _SOCKET_ADDRESS_MAX
            raise SandboxError(
                f"The path {self.state} is {excess} characters too long: "
                f"unix sockets below it would not fit. Choose a shorter --state."
            )
        if len(set(self.ports.values())) != len(self.ports):
            raise SandboxError(f"Each service needs a port of its own: {self.ports}")
        for option in self.octavia_options:
            split_option(option)

    @property
    def prefix(self) -> str:
        """Starts the names of this sandbox's network namespaces."""
        return "sb" + hashlib.sha256(str(self.state).encode()).hexdigest()[:6]

    @property
    def run(self) -> Path:
        """Sockets, process records, databases: whatever `down` removes."""
        return self.state / "run"

    @property
    def etc(self) -> Path:
        """Configuration files of the services."""
        return self.state / "etc"

    @property
    def log(self) -> Path:
        """One log a service."""
        return self.state / "log"

    @property
    def cache(self) -> Path:
        """Migrated databases; beside the virtual environment, whose versions they belong to."""
        return self.venv.parent / "cache"

    @property
    def bin(self) -> Path:
        """Programs of the virtual environment."""
        return self.venv / "bin"

    @property
    def ansible(self) -> Path:
        """What Ansible's modules import, beside and before the virtual environment."""
        return self.venv / "ansible"

    @property
    def dashboard(self) -> Path:
        """Virtual environment of Horizon and of the browser's driver."""
        return self.venv.parent / "venv-horizon"

    @property
    def ovn_path(self) -> str:
        """What stands before the system's programs in PATH; "" for Debian's OVN."""
        if self.ovn_prefix == _SYSTEM:
            return ""
        return f"{self.ovn_prefix}/bin:{self.ovn_prefix}/sbin:"

    def url(self, service: str) -> str:
        """Return the address of an HTTP service of PORT_NAMES."""
        return f"http://{self.host}:{self.ports[service]}"

    @property
    def endpoints(self) -> dict[str, str]:
        """Catalogue: type of service -> URL."""
        return {
            "identity": self.url("keystone") + "/v3",
            "network": self.url("neutron"),
            "load-balancer": self.url("octavia"),
        }

    @property
    def nb(self) -> str:
        """Connection string of the OVN Northbound database."""
        return f"unix:{self.run}/ovnnb_db.sock"

    @property
    def sb(self) -> str:
        """Connection string of the OVN Southbound database."""
        return f"unix:{self.run}/ovnsb_db.sock"

    @property
    def base_environment(self) -> dict[str, str]:
        """Environment of every process started here.

        Built from nothing, so that proxies, credentials or PYTHON* of the caller's shell
        do not leak into services (PYTHONDONTWRITEBYTECODE alone would cost seconds a start).
        """
        return {
            "PATH": f"{self.bin}:{self.ovn_path}"
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": os.environ.get("HOME", "/root"),
            "LANG": "C.UTF-8",
            "OVS_RUNDIR": str(self.run),
            "OVN_RUNDIR": str(self.run),
            "OVS_LOGDIR": str(self.log),
            "OVN_LOGDIR": str(self.log),
            "OVS_DBDIR": str(self.run),
            "OVN_DBDIR": str(self.run),
            "OVN_NB_DB": self.nb,
            "OVN_SB_DB": self.sb,
        }

    @property
    def client_environment(self) -> dict[str, str]:
        """Variables for the openstack, ovn-nbctl and ovs-vsctl commands, without PATH."""
        return {
            "OS_AUTH_URL": self.endpoints["identity"],
            "OS_USERNAME": "admin",
            "OS_PASSWORD": self.password,
            "OS_PROJECT_NAME": "admin",
            "OS_USER_DOMAIN_ID": "default",
            "OS_PROJECT_DOMAIN_ID": "default",
            "OS_IDENTITY_API_VERSION": "3",
            "OS_REGION_NAME": "RegionOne",
            "OVS_RUNDIR": str(self.run),
            "OVN_RUNDIR": str(self.run),
            "OVN_NB_DB": self.nb,
            "OVN_SB_DB": self.sb,
            "no_proxy": self.host,
        }

    def save(self) -> None:
        """Write the settings of a sandbox that is being started."""
        values = dataclasses.asdict(self)
        paths = {name: str(value) for name, value in values.items() if isinstance(value, Path)}
        values.update(paths)
        (self.run / "settings.json").write_text(json.dumps(values, indent=2) + "\n")


def load(state: Path) -> Settings | None:
    """Return the settings with which the sandbox in `state` was started, None if it is down."""
    file = state / "run" / "settings.json"
    if not file.exists():
        return None
    values: dict[str, Any] = json.loads(file.read_text())
    values.update(
        state=Path(values["state"]),
        venv=Path(values["venv"]),
        ovn_prefix=Path(values["ovn_prefix"]),
        octavia_options=tuple(values["octavia_options"]),
    )
    return Settings(**values)


def default_state() -> Path:
    """Return $SANDBOX_STATE, else .sandbox in the project."""
    return Path(os.environ.get("SANDBOX_STATE") or PROJECT / ".sandbox").absolute()


def default_venv(state: Path) -> Path:
    """Return $SANDBOX_VENV, else venv in the state directory."""
    return Path(os.environ.get("SANDBOX_VENV") or state / "venv").absolute()


def default_ovn_prefix() -> Path:
    """Return $OVN_PREFIX, else where Debian's packages are."""
    return Path(os.environ.get("OVN_PREFIX") or _SYSTEM).absolute()


def port_numbers(base: int, overrides: dict[str, int]) -> dict[str, int]:
    """Number the ports from `base` in the order of PORT_NAMES, except those given."""
    return {name: base + i for i, name in enumerate(PORT_NAMES)} | overrides


def split_option(text: str) -> tuple[str, str, str]:
    """Take ``section.option=value`` apart; SandboxError if it is something else."""
    name, equals, value = text.partition("=")
    section, dot, option = name.partition(".")
    if not (equals and dot and section and option):
        raise SandboxError(f"--set wants section.option=value, not {text!r}")
    return section, option, value


def python_version() -> str:
    """Return the version for which the virtual environment is made, such as 3.11."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"
