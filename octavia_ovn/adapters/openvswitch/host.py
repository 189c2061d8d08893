# SPDX-License-Identifier: Apache-2.0
"""The Open vSwitch of this host: the chassis's identity, its sockets, and open connections."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from octavia_ovn.adapters.ovsdb.endpoint import Endpoint
from octavia_ovn.adapters.ovsdb.session import OvsdbSession
from octavia_ovn.errors import Unavailable

_BRIDGE = "br-int"  # ovn-controller's default
_LONGEST_NAME = 255


@dataclass(frozen=True, slots=True)
class Identity:
    """The configuration of ovn-controller: the chassis's name and its integration bridge."""

    chassis: str
    bridge: str


class LocalSwitch:
    """A client of one Open vSwitch.

    :param folder: where its sockets are, such as `/run/openvswitch`
    :param timeout: seconds that the local database may take
    :param patience: seconds that the list of connections, which may be long, may take to begin
    """

    def __init__(self, folder: str, timeout: float = 10.0, patience: int = 60) -> None:
        self._folder = Path(folder)
        self._timeout = timeout
        self._patience = patience

    def identity(self) -> Identity:
        """Read the identity of this chassis.

        :raises Unavailable: when the local database does not answer, or does not have it yet
        """
        endpoint = Endpoint((f"unix:{self._folder}/db.sock",))
        session = OvsdbSession(endpoint, "Open_vSwitch", self._timeout)
        try:
            rows = session.select("Open_vSwitch", columns=["external_ids"])
        finally:
            session.close()
        ids = rows[0]["external_ids"] if rows else {}
        if "system-id" not in ids:
            raise Unavailable(f"Open vSwitch in {self._folder} has no external_ids:system-id yet")
        return Identity(_name(ids["system-id"]), ids.get("ovn-bridge", _BRIDGE))

    def management(self, bridge: str) -> str:
        """Return the path of a bridge's OpenFlow socket."""
        return f"{self._folder}/{bridge}.mgmt"

    def connections(self, *options: str) -> Iterator[str]:
        """Yield the entries of the connection tracker, of the kernel or of userspace.

        :param options: `-m` for identifiers and states of both directions, `-s` for counters
        :raises Unavailable: when it cannot be read
        """
        limit = f"--timeout={self._patience}"
        argv = ["ovs-appctl", limit, "-t", self._control(), "dpctl/dump-conntrack", *options]
        try:
            with subprocess.Popen(  # noqa: S603 - no shell, and no arguments from outside
                argv,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
            ) as process:
                assert process.stdout is not None  # noqa: S101 - as asked for
                assert process.stderr is not None  # noqa: S101
                yield from process.stdout
                message = process.stderr.read().strip()
        except OSError as error:
            raise Unavailable(f"ovs-appctl cannot be run: {error}") from error
        if process.returncode:
            raise Unavailable(f"Connections cannot be read: {message}")

    def _control(self) -> str:
        sockets = list(self._folder.glob("ovs-vswitchd.*ctl"))
        if not sockets:
            raise Unavailable(f"ovs-vswitchd has no control socket in {self._folder}")
        # A process that was killed leaves its socket behind.
        return str(max(sockets, key=_made))


def _made(path: Path) -> float:
    """Return when a socket was made; one that has vanished meanwhile is the oldest."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _name(system_id: str) -> str:
    """Return a chassis's name, which goes into each datagram.

    :raises Unavailable: when it does not fit there
    """
    if "\n" in system_id or not 0 < len(system_id.encode()) <= _LONGEST_NAME:
        raise Unavailable(
            f"external_ids:system-id of Open vSwitch has {len(system_id.encode())} bytes or a line"
            f" break: a chassis's name has one line of {_LONGEST_NAME} bytes at most"
        )
    return system_id
