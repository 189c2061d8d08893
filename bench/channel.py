# SPDX-License-Identifier: Apache-2.0
"""What a connection or datagrams of each chassis would cost the agent: `python -m bench.channel`.

Both carry the same signed lines in one selector loop. TCP delivers each line once and in order;
datagrams are numbered by what they carry, and each is acknowledged, as a sender needs it to repeat.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import selectors
import socket
import time
from collections.abc import Callable, Iterator

from octavia_ovn.core.health import HealthState
from octavia_ovn.core.model import MonitorType
from octavia_ovn.core.probing import messages
from octavia_ovn.core.probing.messages import Beat, Plan, Result, Results, in_parts
from octavia_ovn.core.probing.spec import Probe, Source

BATCH = 100
"""Lines that are sent before the next pause: so many arrive at about the same time."""
PAUSE = 0.005
_KEY = b"k" * 32
_LARGEST = 1400
"""Bytes of a datagram that is not fragmented on the way."""


class Chassis:
    """One sender."""

    def __init__(self, to: tuple[str, int], kind: socket.SocketKind) -> None:
        self.socket = socket.socket(socket.AF_INET, kind)
        self.socket.connect(to)
        self.sealer = messages.Sealer(_KEY, "chassis")


def _send(count: int, lines: int, to: tuple[str, int], kind: socket.SocketKind) -> None:
    """Be all chassis: each says in turn that it is there, or that a member flips."""
    _allow_files()
    chassis = [Chassis(to, kind) for _ in range(count)]
    probe = _probes(1)[0]
    result = Results((Result(probe.id, probe.version, HealthState.UP),))
    for each in range(lines):
        one = chassis[each % count]
        one.socket.send(one.sealer.seal(result if each % 10 == 0 else Beat()))
        if each % BATCH == BATCH - 1:
            time.sleep(PAUSE)
    time.sleep(3600)


class Receiver:
    """Counts the lines that are right."""

    def __init__(self) -> None:
        self.openers: dict[object, messages.Opener] = {}
        self.right = 0

    def read(self, sender: object, line: bytes) -> None:
        """Open the next line of a sender."""
        opener = self.openers.get(sender)
        if opener is None:
            opener = messages.Opener(_KEY, "chassis", messages.OF_CHASSIS)
            self.openers[sender] = opener
        opener.open(line)
        self.right += 1


def by_connection(receiver: Receiver, lines: int) -> Iterator[tuple[str, int]]:
    """Receive by a TCP connection of each chassis; yield the address first."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    listener.setblocking(False)
    yield listener.getsockname()
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    rests: dict[int, bytes] = {}
    while receiver.right < lines:
        for key, _ in selector.select(1.0):
            if key.fileobj is listener:
                peer, _address = listener.accept()
                peer.setblocking(False)
                selector.register(peer, selectors.EVENT_READ, peer)
                continue
            text = rests.get(key.fd, b"") + key.data.recv(1 << 16)
            *whole, rests[key.fd] = text.split(b"\n")
            for each in whole:
                receiver.read(key.fd, each + b"\n")


def by_datagrams(receiver: Receiver, lines: int) -> Iterator[tuple[str, int]]:
    """Receive datagrams, and acknowledge each; yield the address first."""
    taker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    taker.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    taker.bind(("127.0.0.1", 0))
    taker.setblocking(False)
    yield taker.getsockname()
    acknowledging = messages.Sealer(_KEY, "agent")
    selector = selectors.DefaultSelector()
    selector.register(taker, selectors.EVENT_READ)
    while receiver.right < lines:
        selector.select(1.0)
        try:
            while True:
                line, sender = taker.recvfrom(1 << 16)
                receiver.read(sender, line)
                taker.sendto(acknowledging.seal(Beat()), sender)
        except BlockingIOError:
            continue


def measure(
    way: Callable[[Receiver, int], Iterator[tuple[str, int]]],
    kind: socket.SocketKind,
    count: int,
    lines: int,
) -> float:
    """Return the microseconds of CPU that a line takes."""
    receiver = Receiver()
    steps = way(receiver, lines)
    other = multiprocessing.Process(target=_send, args=(count, lines, next(steps), kind))
    other.start()
    began = time.process_time()
    for _ in steps:
        pass
    seconds = time.process_time() - began
    other.kill()
    return 1e6 * seconds / lines


def plan_size(members: int) -> tuple[int, int]:
    """Return the bytes of the plan of a chassis, and the datagrams that it would need."""
    sealer = messages.Sealer(_KEY, "agent")
    size = sum(len(sealer.seal(Plan(part, ()))) for part in in_parts(_probes(members)))
    return size, -(-size // _LARGEST)


def _probes(count: int) -> list[Probe]:
    source = Source("a3a4c9a2-1111-4222-8333-444444444444", "fa:16:3e:00:00:07", "10.0.0.7/8")
    ids = [f"{each:08x}-1111-4222-8333-444444444444" for each in range(count)]
    return [Probe(each, source, "10.0.0.8", 80, MonitorType.HTTP, 5, 3, 2, 3) for each in ids]


def _allow_files() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main() -> None:
    """Measure in turn, and print the results."""
    parser = argparse.ArgumentParser(prog="python -m bench.channel", description=__doc__)
    parser.add_argument("--chassis", type=int, default=1000)
    parser.add_argument("--lines", type=int, default=30_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    _allow_files()
    for _ in range(options.rounds):
        for name, way, kind in (
            ("TCP", by_connection, socket.SOCK_STREAM),
            ("datagrams", by_datagrams, socket.SOCK_DGRAM),
        ):
            micros = measure(way, kind, options.chassis, options.lines)
            print(f"{name}: {micros:.0f} µs of CPU a line")
    size, datagrams = plan_size(50)
    print(f"the plan of 50 members: {size} bytes, {datagrams} datagrams of {_LARGEST}")


if __name__ == "__main__":
    main()
