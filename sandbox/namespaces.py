# SPDX-License-Identifier: Apache-2.0
"""Network namespaces of the kernel, through iproute2."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sandbox import shell

if TYPE_CHECKING:
    from collections.abc import Sequence

_FOLDER = Path("/run/netns")


def names(prefix: str) -> list[str]:
    """Return the namespaces whose names begin with a prefix."""
    if not _FOLDER.is_dir():
        return []
    return sorted(file.name for file in _FOLDER.iterdir() if file.name.startswith(prefix))


def add(name: str) -> None:
    """Make a namespace with its loopback up, unless it exists."""
    if (_FOLDER / name).exists():
        return
    shell.run(["ip", "netns", "add", name])
    shell.run(["ip", "-n", name, "link", "set", "lo", "up"])


def remove(name: str) -> None:
    """Remove a namespace, if it exists."""
    if (_FOLDER / name).exists():
        shell.run(["ip", "netns", "delete", name])


def command(name: str, argv: Sequence[str]) -> tuple[str, ...]:
    """Return the command that runs another one inside; it execs, so that the pid stays."""
    return ("ip", "netns", "exec", name, *argv)


def unmount_folder() -> None:
    """Undo the mount that the first `ip netns add` of a machine makes, once nobody needs it.

    In a container the mount table may name a folder that is not in its file system: nothing to
    undo there.
    """
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    mounted = any(line.split()[1] == str(_FOLDER) for line in mounts)
    if mounted and not names(""):
        shell.run(["umount", _FOLDER], check=False)
