# SPDX-License-Identifier: Apache-2.0
"""Counters of a local bridge's flows and groups, over its management socket."""

from __future__ import annotations

import itertools
import logging
import socket
import struct
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from octavia_ovn.core.statistics import openflow
from octavia_ovn.core.statistics.openflow import FlowCounters, GroupCounters
from octavia_ovn.errors import Unavailable

LOG = logging.getLogger(__name__)

_BATCH = 64
"""Requests under way at once; ovs-vswitchd takes 50 from a connection before it does other work."""

_Counters = TypeVar("_Counters")


@dataclass(frozen=True, slots=True)
class Reading:
    """The flows with some cookies.

    :param moment: when they had arrived, in seconds of the monotonic clock
    :param delay: seconds since they had been asked for
    """

    asked: Collection[int]
    flows: Sequence[FlowCounters]
    moment: float
    delay: float = 0.0


class Bridge:
    """A client; connects with the first request, and again after an error.

    :param path: the socket, such as `/run/openvswitch/br-int.mgmt`
    :param timeout: seconds that each wait for the switch may take
    """

    def __init__(self, path: str, timeout: float = 10.0) -> None:
        self._path = path
        self._timeout = timeout
        self._socket: socket.socket | None = None
        self._transactions = itertools.count(1)

    def read(self, cookies: Sequence[int]) -> Iterator[Reading]:
        """Yield the counters of all flows with these cookies, in parts.

        :raises Unavailable: when the switch does not answer
        """
        for part in _in_batches(cookies):
            began = time.monotonic()
            flows = self._batch(part, openflow.flow_request, openflow.flows)
            moment = time.monotonic()
            yield Reading(frozenset(part), flows, moment, moment - began)

    def groups(self, numbers: Sequence[int]) -> list[GroupCounters]:
        """Return the counters of groups; of those that do not exist, nothing.

        :raises Unavailable: when the switch does not answer
        """
        return [
            group
            for part in _in_batches(numbers)
            for group in self._batch(part, openflow.group_request, openflow.groups)
        ]

    def close(self) -> None:
        """Disconnect."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _batch(
        self,
        numbers: Sequence[int],
        request: Callable[[int, int], bytes],
        read: Callable[[bytes], Iterator[_Counters]],
    ) -> list[_Counters]:
        """Send a request for each number; return what the replies have.

        :raises Unavailable: when the switch does not answer
        """
        try:
            return self._exchange(numbers, request, read)
        except (OSError, EOFError, ValueError, struct.error) as error:
            self.close()
            raise Unavailable(f"Open vSwitch does not answer at {self._path}: {error}") from error

    def _exchange(
        self,
        numbers: Sequence[int],
        request: Callable[[int, int], bytes],
        read: Callable[[bytes], Iterator[_Counters]],
    ) -> list[_Counters]:
        peer = self._socket or self._connect()
        requests = {next(self._transactions) & 0xFFFFFFFF: number for number in numbers}
        peer.sendall(b"".join(request(*each) for each in requests.items()))
        awaited = set(requests)
        found: list[_Counters] = []
        while awaited:
            kind, transaction, body = self._receive(peer)
            if kind == openflow.MULTIPART_REPLY and transaction in awaited:
                found += read(body)
                if openflow.is_last(body):
                    awaited.discard(transaction)
        return found

    def _connect(self) -> socket.socket:
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket = peer
        peer.settimeout(self._timeout)
        peer.connect(self._path)
        # A switch sends HELLO to every client, and refuses the version only afterwards: the answer
        # to a probe proves that it supports the version.
        peer.sendall(openflow.message(openflow.HELLO) + openflow.message(openflow.ECHO_REQUEST))
        while self._receive(peer)[0] != openflow.ECHO_REPLY:
            pass
        return peer

    def _receive(self, peer: socket.socket) -> tuple[int, int, bytes]:
        """Return type, transaction and body of the next message, answering probes meanwhile."""
        while True:
            header = _exactly(peer, openflow.HEADER.size)
            _, kind, size, transaction = openflow.HEADER.unpack(header)
            body = _exactly(peer, size - openflow.HEADER.size)
            if kind == openflow.ERROR:
                raise ValueError(
                    f"it refuses a request ({body[:4].hex()}). If the bridge's `protocols` are set,"
                    " OpenFlow13 must be among them"
                )
            if kind != openflow.ECHO_REQUEST:
                return kind, transaction, body
            peer.sendall(openflow.message(openflow.ECHO_REPLY, transaction, body))


def _in_batches(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(numbers), _BATCH):
        yield numbers[start : start + _BATCH]


def _exactly(peer: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = peer.recv(size - len(data))
        if not piece:
            raise EOFError("the connection ended")
        data += piece
    return bytes(data)
