# SPDX-License-Identifier: Apache-2.0
"""The services in the hypervisor's network namespace, where only unix sockets reach out."""

from __future__ import annotations

import contextlib
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from pyroute2 import netns

from sandbox import ovn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.settings import Settings

_SERVICES = ("keystone", "neutron", "octavia")


@contextlib.contextmanager
def reachable(settings: Settings) -> Iterator[None]:
    """While the services can be reached from the hypervisor at their usual addresses."""
    with contextlib.ExitStack() as stack:
        for name in _SERVICES:
            place = (settings.host, settings.ports[name])
            listening = stack.enter_context(_listening(ovn.hypervisor(settings), place))
            # A thread that waits for a connection would keep the place.
            stack.callback(listening.shutdown, socket.SHUT_RDWR)
            threading.Thread(target=_accept, args=(listening, place), daemon=True).start()
        yield


def _listening(namespace: str, place: tuple[str, int]) -> socket.socket:
    def work() -> socket.socket:
        netns.setns(namespace)
        return socket.create_server(place)

    # The thread that has gone there ends.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


def _accept(listening: socket.socket, place: tuple[str, int]) -> None:
    with contextlib.suppress(OSError):  # closed
        while True:
            near, _ = listening.accept()
            far = socket.create_connection(place)
            for ends in ((near, far), (far, near)):
                threading.Thread(target=_copy, args=ends, daemon=True).start()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
