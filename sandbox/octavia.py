# SPDX-License-Identifier: Apache-2.0
"""Octavia: the API and the driver agent, with the provider `ovn`."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from sandbox import database, ini, keystone, network, shell, wsgi
from sandbox.errors import SandboxError
from sandbox.process import Service, Supervisor, command_line
from sandbox.settings import Settings, split_option

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.api import Cloud

API = "octavia"
PROVIDER = "ovn"
DRIVER_AGENT = "octavia-driver-agent"
PROVIDER_AGENT = "provider-agent"
"""Child of the driver agent: the one that runs the provider's code."""

WITH_AMPHORA = f"api_settings.enabled_provider_drivers={PROVIDER}:OVN,amphora:Octavia's own"
"""A setting for more than one provider; there is no worker that would serve amphora."""

_SOCKETS = ("status", "stats", "get")
_QUOTAS = ("load_balancer", "listener", "member", "pool", "health_monitor", "l7policy", "l7rule")

# octavia-lib's default for the sockets is /var/run/octavia, and a provider may know no other:
# the processes get a /run of their own in which that is the sandbox's folder. The script execs,
# so that the pid stays.
_PRIVATE_RUN = """
mount -t tmpfs -o mode=755 none /run && mkdir /run/octavia && mount --bind "$1" /run/octavia &&
shift && exec "$@"
"""


def configure(settings: Settings) -> None:
    """Write octavia.conf."""
    sockets = _socket_folder(settings)
    sockets.mkdir(parents=True, exist_ok=True)
    config: dict[str, dict[str, object]] = {
        "DEFAULT": {"use_stderr": True, "transport_url": "fake://"},
        "api_settings": {
            "auth_strategy": "keystone",
            "enabled_provider_drivers": f"{PROVIDER}:Load balancing in OVN's own flows",
            "default_provider_driver": PROVIDER,
        },
        "database": {"connection": database.url(settings, "octavia")},
        "keystone_authtoken": keystone.credentials(settings, "octavia"),
        "service_auth": keystone.credentials(settings, "octavia"),
        "neutron": keystone.credentials(settings, "octavia"),
        "oslo_messaging": {"topic": "octavia_prov"},
        "controller_worker": {
            "network_driver": "allowed_address_pairs_driver",
            "compute_driver": "compute_noop_driver",
            "amphora_driver": "amphora_noop_driver",
            "image_driver": "image_noop_driver",
            "volume_driver": "volume_noop_driver",
        },
        "certificates": {"cert_manager": "noop_cert_manager"},
        "driver_agent": {
            "enabled_provider_agents": PROVIDER,
            **{f"{name}_socket_path": sockets / f"{name}.sock" for name in _SOCKETS},
        },
        "ovn": {"ovn_nb_connection": settings.nb, "ovn_sb_connection": settings.sb},
        "quotas": {f"default_{name}_quota": -1 for name in _QUOTAS},
    }
    for text in settings.octavia_options:
        section, option, value = split_option(text)
        config.setdefault(section, {})[option] = value
    ini.write(_conf(settings), config)


def services(settings: Settings) -> tuple[Service, Service]:
    """Return the driver agent and the API, in the order in which they must be ready."""
    folder = _socket_folder(settings)
    wrapper = (
        "unshare", "--mount", "--propagation", "slave",
        "sh", "-c", _PRIVATE_RUN, "sh", str(folder),
    )  # fmt: skip
    agent = Service(
        name=DRIVER_AGENT,
        argv=(*wrapper, str(settings.bin / DRIVER_AGENT), "--config-file", str(_conf(settings))),
        env=settings.base_environment,
        ready=lambda: all(network.unix_listens(folder / f"{name}.sock") for name in _SOCKETS),
    )
    processes = ("--processes", str(settings.api_workers))
    api = wsgi.service(
        settings,
        API,
        # Releases before 2025 have no module for it.
        "octavia.api.app:setup_app()",
        options=(*processes, "--pyargv", f"--config-file {_conf(settings)}"),
    )
    return agent, dataclasses.replace(api, argv=(*wrapper, *api.argv))


def migrations(settings: Settings) -> tuple[tuple[str, ...], ...]:
    """Return the commands that fill the empty database."""
    manage = str(settings.bin / "octavia-db-manage")
    return ((manage, "--config-file", str(_conf(settings)), "upgrade", "head"),)


def provider_agent_pid(supervisor: Supervisor) -> int:
    """Return the process that runs the provider's agent; SandboxError if there is none."""
    for pid in supervisor.pids(DRIVER_AGENT):
        if "provider_agent" in command_line(pid):
            return pid
    raise SandboxError("The driver agent has no provider agent")


def check_provider(cloud: Cloud, supervisor: Supervisor) -> None:
    """Raise SandboxError, with what the log says, unless API and agent have loaded the provider.

    Octavia itself goes on without a provider that it cannot import.
    """
    listed = cloud.octavia("GET", "/providers")["providers"]
    if PROVIDER not in [provider["name"] for provider in listed]:
        raise SandboxError(f"The API has not loaded its provider.\n{_complaints(supervisor, API)}")
    try:
        provider_agent_pid(supervisor)
    except SandboxError as error:
        raise SandboxError(f"{error}.\n{_complaints(supervisor, DRIVER_AGENT)}") from error


def _complaints(supervisor: Supervisor, service: str) -> str:
    log = supervisor.log_file(service)
    text = log.read_text(errors="replace")
    lines = [line for line in text.splitlines() if " ERROR " in line and "load" in line]
    return f"  lines of {log}:\n" + shell.tail_of("\n".join(lines))


def _conf(settings: Settings) -> Path:
    return settings.etc / "octavia.conf"


def _socket_folder(settings: Settings) -> Path:
    return settings.run / "octavia"
