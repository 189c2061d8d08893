"""Installation: Debian packages that are missing, and the virtual environment."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path

from sandbox import settings as settings_module
from sandbox import shell
from sandbox.console import Console
from sandbox.errors import SandboxError
from sandbox.settings import PROJECT, Settings

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
CONSTRAINTS = Path(__file__).with_name("constraints.txt")

# Program -> Debian package that brings it.
PROGRAMS = {
    "ovn-northd": "ovn-central",
    "ovn-controller": "ovn-host",
    "ovs-vswitchd": "openvswitch-switch",
    "mariadbd": "mariadb-server",
    "mariadb": "mariadb-client",
    "ip": "iproute2",
    "ethtool": "ethtool",
    "curl": "curl",
    "gcc": "gcc",
}
_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
_POLICY = Path("/usr/sbin/policy-rc.d")
_PROJECT_FILES = ("pyproject.toml",)


def install(settings: Settings, console: Console) -> None:
    """Install whatever is missing; returns at once when nothing is."""
    missing = missing_packages()
    if missing:
        install_packages(missing)
        console.done(f"Debian packages: {' '.join(missing)}")
    if _stamp_file(settings).exists() and _stamp_file(settings).read_text() == _stamp(settings):
        return
    _build_venv(settings, console)
    _stamp_file(settings).write_text(_stamp(settings))


def missing_packages() -> list[str]:
    """Return the names of Debian packages whose programs or files are not here."""
    path = f"{os.environ.get('PATH', '')}:{_SBIN}"
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


def _build_venv(settings: Settings, console: Console) -> None:
    pip = settings.bin / "pip"
    if not pip.exists():
        settings.venv.parent.mkdir(parents=True, exist_ok=True)
        _python("-m", "venv", settings.venv)
        console.done(f"virtual environment {settings.venv}")
    _python(pip, "install", "-q", "-r", REQUIREMENTS, "-c", CONSTRAINTS)
    console.done("Keystone, Neutron, Octavia and clients from PyPI")
    _install_provider(settings, console)


def _install_provider(settings: Settings, console: Console) -> None:
    pip = settings.bin / "pip"
    if settings.provider_package == ".":
        _python(pip, "install", "-q", "-c", CONSTRAINTS, "-e", f"{PROJECT}[test]")
    else:
        _python(pip, "install", "-q", "-c", CONSTRAINTS, settings.provider_package)
    console.done(f"driver: {settings.provider_package}")


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


def _stamp_file(settings: Settings) -> Path:
    return settings.venv / "sandbox-stamp"


def _stamp(settings: Settings) -> str:
    """Return a digest of all that decides what is in the virtual environment."""
    digest = hashlib.sha256()
    digest.update(f"{settings_module.python_version()} {settings.provider_package}\n".encode())
    files = [REQUIREMENTS, CONSTRAINTS]
    if settings.provider_package == ".":
        files += [PROJECT / name for name in _PROJECT_FILES]
    for file in files:
        digest.update(file.read_bytes() if file.exists() else b"absent")
    return digest.hexdigest() + "\n"


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
