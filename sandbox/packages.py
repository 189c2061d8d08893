# SPDX-License-Identifier: Apache-2.0
"""Installation: Debian packages that are missing, and the virtual environment."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox import settings as settings_module
from sandbox import shell
from sandbox.errors import SandboxError
from sandbox.settings import PROJECT, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sandbox.console import Console

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
CONSTRAINTS = Path(__file__).with_name("constraints.txt")
TEMPEST = Path(__file__).with_name("tempest-requirements.txt")
CLIENTS = Path(__file__).with_name("clients-requirements.txt")
HORIZON = Path(__file__).with_name("horizon-requirements.txt")
ANSIBLE = Path(__file__).with_name("ansible-requirements.txt")

# Program -> Debian package that brings it.
PROGRAMS = {
    "ovn-northd": "ovn-central",
    "ovn-controller": "ovn-host",
    "ovs-vswitchd": "openvswitch-switch",
    "mariadbd": "mariadb-server",
    "mariadb": "mariadb-client",
    "postgres": "postgresql",
    "ip": "iproute2",
    "ethtool": "ethtool",
    "curl": "curl",
    "gcc": "gcc",
}
_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
_POLICY = Path("/usr/sbin/policy-rc.d")


def install(settings: Settings, console: Console) -> None:
    """Install whatever is missing; returns at once when nothing is."""
    missing = missing_packages()
    if missing:
        install_packages(missing)
        console.done(f"Debian packages: {' '.join(missing)}")
    stamps = _Stamps(settings.venv / "sandbox.json")
    installed = stamps.read().get("package", settings.provider_package)
    if installed != settings.provider_package:
        # Both would be loaded by the same name.
        raise SandboxError(
            f"{settings.venv} holds the driver {installed!r}, not {settings.provider_package!r}; "
            f"give each its own --venv"
        )
    _build_venv(settings, console, stamps)


def install_tempest(settings: Settings, console: Console) -> None:
    """Install what only Octavia's API tests need, after `install`; at once when it is there."""
    stamps = _Stamps(settings.venv / "sandbox.json")
    wanted = _digest(settings_module.python_version(), TEMPEST, CONSTRAINTS)
    if stamps.read().get("tempest") != wanted:
        _python(settings.bin / "pip", "install", "-q", "-r", TEMPEST, "-c", CONSTRAINTS)
        stamps.write("tempest", wanted)
        console.done("tempest and octavia-tempest-plugin from PyPI")


def install_clients(settings: Settings, console: Console) -> None:
    """Install clients that only the tests of clients need, after `install`; at once when there."""
    stamps = _Stamps(settings.venv / "sandbox.json")
    wanted = _digest(settings_module.python_version(), CLIENTS, ANSIBLE, CONSTRAINTS)
    if stamps.read().get("clients") != wanted:
        pip = settings.bin / "pip"
        _python(pip, "install", "-q", "-r", CLIENTS, "-c", CONSTRAINTS)
        with tempfile.TemporaryDirectory() as folder:
            _python(pip, "download", "-q", "--no-deps", "-r", ANSIBLE, "-d", folder)
            shutil.rmtree(settings.ansible, ignore_errors=True)
            for wheel in Path(folder).glob("*.whl"):
                _unpack(wheel, settings.ansible)
        stamps.write("clients", wanted)
        console.done("Ansible and its collection openstack.cloud from PyPI")


def install_horizon(settings: Settings, console: Console) -> None:
    """Install what only the tour of the dashboard needs, after `install`; at once when there."""
    if not shutil.which("chromium", path=search_path()):
        install_packages(["chromium"])
        console.done("Debian package: chromium")
    stamps = _Stamps(settings.dashboard / "sandbox.json")
    wanted = _digest(settings_module.python_version(), HORIZON, CONSTRAINTS)
    if not settings.dashboard.exists() or stamps.read().get("horizon") != wanted:
        shutil.rmtree(settings.dashboard, ignore_errors=True)
        _python("-m", "venv", settings.dashboard)
        pip = settings.dashboard / "bin" / "pip"
        _python(pip, "install", "-q", "-r", HORIZON, "-c", CONSTRAINTS)
        stamps.write("horizon", wanted)
        console.done("Horizon, octavia-dashboard and Playwright from PyPI")


def _unpack(wheel: Path, folder: Path) -> None:
    """Take the collection openstack.cloud, or openstacksdk, out of a package."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.startswith(("ansible_collections/openstack/cloud/", "openstack")):
                archive.extract(name, folder)


def search_path() -> str:
    """Return where programs of Debian packages are: not all are in PATH."""
    # Debian has a directory for each major version of PostgreSQL.
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return ":".join([os.environ.get("PATH", ""), _SBIN, *map(str, versions)])


def missing_packages() -> list[str]:
    """Return the names of Debian packages whose programs or files are not here."""
    path = search_path()
    missing = [deb for program, deb in PROGRAMS.items() if not shutil.which(program, path=path)]
    if "gcc" in missing:
        missing.append("libc6-dev")
    # uwsgi is compiled, and Debian splits Python itself.
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        missing.append("python3-dev")
    if importlib.util.find_spec("ensurepip") is None:
        missing.append("python3-venv")
    return missing


def install_packages(names: Sequence[str]) -> None:
    """Install Debian packages without letting them start their services."""
    if os.geteuid() != 0:
        raise SandboxError(f"Install as root: {' '.join(names)}")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with _no_services():
        shell.run(["apt-get", "update", "-q"], env=env, timeout=600)
        command = ["apt-get", "install", "-q", "-y", "--no-install-recommends", *names]
        shell.run(command, env=env, timeout=1200)


@contextlib.contextmanager
def _no_services() -> Iterator[None]:
    if _POLICY.exists():
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n")  # 101: action forbidden by policy
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink()


class _Stamps:
    """Digests of what was installed, so that nothing is asked of pip twice."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def read(self) -> dict[str, str]:
        stamps: dict[str, str] = json.loads(self._file.read_text()) if self._file.exists() else {}
        return stamps

    def write(self, name: str, digest: str) -> None:
        self._file.write_text(json.dumps({**self.read(), name: digest}, indent=2) + "\n")


def _build_venv(settings: Settings, console: Console, stamps: _Stamps) -> None:
    pip = settings.bin / "pip"
    if not pip.exists():
        settings.venv.parent.mkdir(parents=True, exist_ok=True)
        _python("-m", "venv", settings.venv)
        console.done(f"virtual environment {settings.venv}")
    services = _digest(settings_module.python_version(), REQUIREMENTS, CONSTRAINTS)
    if stamps.read().get("services") != services:
        _python(pip, "install", "-q", "-r", REQUIREMENTS, "-c", CONSTRAINTS)
        stamps.write("services", services)
        console.done("Keystone, Neutron, Octavia and clients from PyPI")
    package = settings.provider_package
    driver = _digest(package, services, *((PROJECT / "pyproject.toml",) if package == "." else ()))
    if stamps.read().get("driver") != driver:
        what = ["-e", f"{PROJECT}[test,docs]"] if package == "." else [package]
        stamps.write("package", package)
        _python(pip, "install", "-q", "-c", CONSTRAINTS, *what)
        stamps.write("driver", driver)
        console.done(f"driver: {package}")


def _digest(*parts: str | Path) -> str:
    """Digest texts and the contents of files; an absent file is a content too."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            digest.update(part.read_bytes() if part.exists() else b"absent")
        else:
            digest.update(part.encode())
        digest.update(b"\0")
    return digest.hexdigest()


def _python(*argv: str | Path) -> None:
    words = [str(word) for word in argv]
    if words[0] == "-m":
        words.insert(0, sys.executable)
    # pip must write .pyc files: a service compiles thousands of modules at each start otherwise.
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    try:
        shell.run(words, env=env, timeout=1800)
    except SandboxError as error:
        raise SandboxError(f"Installation with pip failed:\n{error}") from error


def versions(settings: Settings) -> str:
    """Return what decides the schemas: versions of the services and of MariaDB."""
    site = settings.venv / "lib" / f"python{settings_module.python_version()}" / "site-packages"
    names = sorted(
        folder.name
        for service in ("keystone", "neutron", "octavia")
        for folder in site.glob(f"{service}-[0-9]*.dist-info")
    )
    server = subprocess.run(
        ["mariadbd", "--version"], env=settings.base_environment, capture_output=True, text=True,
        check=True,
    ).stdout  # fmt: skip
    return " ".join([*names, server])
