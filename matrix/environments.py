# SPDX-License-Identifier: Apache-2.0
"""Python interpreters, and virtual environments with the driver and chosen versions around it."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
import shutil
import subprocess
from pathlib import Path

from sandbox import shell
from sandbox.settings import PROJECT

_INSTALLING = 1800.0  # seconds


@dataclasses.dataclass(frozen=True)
class Environment:
    """What is installed beside the driver, for which Python."""

    name: str
    python: str
    """Such as "3.11"."""
    requirements: tuple[str, ...] = ()
    """As pip takes them; what is not mentioned is the newest there is."""
    sandbox: bool = False
    """Whether it holds the services of a sandbox: Keystone, Neutron, Octavia."""


def interpreter(version: str) -> Path | None:
    """Return a Python of a version such as "3.12" from PATH or pyenv, None if there is none."""
    candidates = [shutil.which(f"python{version}") or ""]
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    candidates += [str(path) for path in root.glob(f"versions/{version}.*/bin/python{version}")]
    # A shim of pyenv is in PATH for each version, and runs only for the one that is chosen.
    return next((Path(path) for path in candidates if path and _runs(path)), None)


def _runs(path: str) -> bool:
    done = subprocess.run([path, "-c", "import venv, ensurepip"], capture_output=True, check=False)
    return done.returncode == 0


def build(environment: Environment, python: Path, folder: Path) -> Path:
    """Return the virtual environment, made unless it is there.

    :raises SandboxError: when pip cannot find versions that fit together
    """
    venv = folder / environment.name
    if not (venv / "complete").exists():
        shutil.rmtree(venv, ignore_errors=True)
        words = list(environment.requirements)
        if environment.sandbox:
            install = [python, "-m", "sandbox", "install", "--venv", venv]
            shell.run(install, timeout=_INSTALLING)
        else:
            shell.run([python, "-m", "venv", venv])
            words += ["-e", f"{PROJECT}[test]"]
        shell.run([venv / "bin" / "pip", "install", "-q", *words], timeout=_INSTALLING)
        (venv / "complete").touch()
    return venv


def version(venv: Path, package: str) -> str:
    """Return the version of a package in a virtual environment, "" if it is not there."""
    code = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))"
    return shell.run([venv / "bin" / "python", "-c", code, package], check=False).strip()


def python_version(venv: Path) -> str:
    """Return the version of a virtual environment's Python, such as 3.11.2."""
    code = "import platform; print(platform.python_version())"
    return shell.run([venv / "bin" / "python", "-c", code]).strip()


def lowest() -> tuple[str, ...]:
    """Return the oldest versions that the driver says it works with."""
    declared = importlib.metadata.requires("octavia-ovn") or []
    always = [requirement for requirement in declared if ";" not in requirement]
    return tuple(requirement.replace(">=", "==") for requirement in always)
