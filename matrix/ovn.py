# SPDX-License-Identifier: Apache-2.0
"""OVN of any Debian release, in a folder, beside the system's own.

A release's packages are downloaded and unpacked, nothing of them is installed or configured. Their
programs run with the C library and the libraries that came with them: the dynamic loader among
them takes the program and the folder of the libraries as arguments. So no chroot is needed, and
no mount.
"""

from __future__ import annotations

import dataclasses
import fcntl
import platform
import shlex
import shutil
from typing import TYPE_CHECKING

from sandbox import shell
from sandbox.errors import SandboxError

if TYPE_CHECKING:
    from pathlib import Path

_MIRROR = "http://deb.debian.org/debian"
_PACKAGES = "ovn-central,ovn-host,openvswitch-switch"
_PROGRAMS = (
    "ovn-appctl",
    "ovn-controller",
    "ovn-nbctl",
    "ovn-northd",
    "ovn-sbctl",
    "ovn-trace",
    "ovs-appctl",
    "ovs-ofctl",
    "ovs-vsctl",
    "ovs-vswitchd",
    "ovsdb-client",
    "ovsdb-server",
    "ovsdb-tool",
)
# The last one is Open vSwitch's where Debian offers it with DPDK, too, as an alternative.
_PROGRAM_FOLDERS = ("usr/bin", "usr/sbin", "usr/lib/openvswitch-switch")
_LIBRARY_FOLDERS = ("usr/lib", "lib")
_DOWNLOADING = 1800.0  # seconds


@dataclasses.dataclass(frozen=True)
class Ovn:
    """One version of OVN, installed below a prefix."""

    suite: str
    """Debian's name of the release that has it."""
    prefix: Path
    version: str


def get(suite: str, folder: Path) -> Ovn:
    """Return the OVN of a Debian release, unpacked into a folder unless it is there.

    :raises SandboxError: when it cannot be downloaded, or debootstrap is not installed
    """
    prefix = folder / suite
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{suite}.lock").open("w") as lock:
        # Two runs may try different cells at the same time.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (prefix / "complete").exists():
            shutil.rmtree(prefix, ignore_errors=True)
            _unpack(suite, prefix)
            _wrap(prefix)
            (prefix / "complete").touch()
    # "ovn-nbctl 25.03.0" and more lines
    version = shell.run([prefix / "bin" / "ovn-nbctl", "--version"]).split()[1]
    return Ovn(suite, prefix, version)


def _unpack(suite: str, prefix: Path) -> None:
    if not shutil.which("debootstrap"):
        raise SandboxError("debootstrap is not installed: apt-get install debootstrap")
    downloaded = prefix / "packages"
    options = ["--download-only", "--variant=minbase", f"--include={_PACKAGES}"]
    command = ["debootstrap", *options, suite, downloaded, _MIRROR]
    shell.run(command, timeout=_DOWNLOADING)
    root = prefix / "root"
    root.mkdir()
    for package in sorted(downloaded.glob("var/cache/apt/archives/*.deb")):
        shell.run(["dpkg-deb", "--extract", package, root])
    shutil.rmtree(downloaded)


def _wrap(prefix: Path) -> None:
    """Make `bin` and `share` as an installation has them."""
    root, folder = prefix / "root", prefix / "bin"
    loader = next(root.glob("usr/lib/*/ld-linux*.so.*"), None) or next(
        root.glob("lib/*/ld-linux*.so.*"), None
    )
    if loader is None:
        raise SandboxError(f"{root} holds no dynamic loader for {platform.machine()}")
    libraries = ":".join(
        str(root / folder / loader.parent.name)
        for folder in _LIBRARY_FOLDERS
        if (root / folder / loader.parent.name).is_dir()
    )
    folder.mkdir()
    for name in _PROGRAMS:
        program = _find(root, name)
        words = [loader, "--argv0", name, "--library-path", libraries, program]
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec {shlex.join(map(str, words))} "$@"\n')
        script.chmod(0o755)
    (prefix / "share").symlink_to("root/usr/share")


def _find(root: Path, name: str) -> Path:
    for folder in _PROGRAM_FOLDERS:
        program = root / folder / name
        if program.is_file() and not program.is_symlink():
            return program
    raise SandboxError(f"{root} holds no {name}")
