# SPDX-License-Identifier: Apache-2.0
"""The lock changes hands, and without it nothing is written."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from octavia_ovn.adapters.ovsdb.endpoint import Endpoint
from octavia_ovn.adapters.ovsdb.replica import LockLost
from octavia_ovn.adapters.ovsdb.session import OvsdbSession
from tests.functional.ovsdb.replica.watched import Watched, creating
from tests.functional.ovsdb.server import DATABASE, Server, endpoint

if TYPE_CHECKING:
    from collections.abc import Callable


def hold_lock(where: Endpoint, ready: int) -> None:
    """Hold the lock in a forked child until it is killed."""
    watched = Watched(where, lock="agent")
    watched.until(lambda: watched.replica.has_lock)
    watched.replica.transact(creating("child"), 5)
    os.write(ready, b"!")
    watched.until(lambda: False, timeout=60)


def test_the_lock_changes_hands(
    tcp_server: tuple[Server, str], watch: Callable[..., Watched]
) -> None:
    server, remote = tcp_server
    ready, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            hold_lock(endpoint(remote), write)
        finally:
            os._exit(1)
    assert os.read(ready, 1) == b"!"
    watched = watch(endpoint(server.unix), lock="agent")
    watched.until(lambda: watched.replica._idl.is_lock_contended)
    assert not watched.replica.has_lock
    with pytest.raises(LockLost, match="agent"):
        watched.replica.transact(creating("standby"), 5)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    watched.until(lambda: watched.replica.has_lock, timeout=2)
    assert watched.replica.transact(creating("successor"), 5)
    assert {row["name"] for row in server.rows()} == {"child", "successor"}
    server.restart()
    watched.until(lambda: not watched.replica.has_lock)
    watched.until(lambda: watched.replica.has_lock)
    assert watched.replica.transact(creating("again"), 5)


def test_a_stolen_lock_is_noticed_by_the_server(
    server: Server, watch: Callable[..., Watched]
) -> None:
    watched = watch(endpoint(server.unix), lock="agent")
    watched.until(lambda: watched.replica.has_lock)
    thief = OvsdbSession(endpoint(server.unix), DATABASE, 5)
    thief._call("steal", ["agent"], None, harmless=True)
    with pytest.raises(LockLost):
        watched.replica.transact(creating("a"), 5)
    assert server.rows() == []
