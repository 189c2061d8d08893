# SPDX-License-Identifier: Apache-2.0
"""What the connections of many chassis cost the agent: `python -m bench.chassis`.

The agent's server, thread and registry are the real ones; its databases are not there. All chassis
are in one other process, which speaks as octavia-ovn-chassis does, and probes nothing.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import resource
import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable

from octavia_ovn.adapters.probing.server import ChassisServer
from octavia_ovn.controller.chassis_connections import ChassisConnections
from octavia_ovn.controller.probing import Probing
from octavia_ovn.core.health import HealthState
from octavia_ovn.core.model import MonitorType
from octavia_ovn.core.probing import messages
from octavia_ovn.core.probing.messages import Beat, Plan, Result, Results, in_parts
from octavia_ovn.core.probing.plan import Probes, Target
from octavia_ovn.core.probing.spec import Probe, Source
from octavia_ovn.core.statistics.keys import chassis_key

MASTER = "0123456789abcdef0123456789abcdef"
PORT = 15565
BEAT = 2.0
NONCE = "0" * 32
SOURCE = Source("a3a4c9a2-1111-4222-8333-444444444444", "fa:16:3e:00:00:07", "10.0.0.7/8")


class _Chassis:
    """One program."""

    def __init__(self, name: str, due: float) -> None:
        self.name, self.due, self.read = name, due, b""
        self.probes: dict[str, str] = {}
        self.socket = socket.create_connection(("127.0.0.1", PORT), 30)
        with self.socket.makefile("rb", 0) as file:
            nonce = messages.read_greeting(file.readline())
        self.socket.sendall(messages.reply(NONCE, name))
        key = messages.session_key(chassis_key(MASTER, name), nonce, NONCE)
        self.sealer = messages.Sealer(key, "chassis")
        self.opener = messages.Opener(key, "agent", messages.OF_AGENT)
        self.say(Results((), complete=True))

    def say(self, message: messages.Message) -> None:
        self.socket.sendall(self.sealer.seal(message))

    def hear(self) -> None:
        self.read += self.socket.recv(1 << 20)
        *lines, self.read = self.read.split(b"\n")
        for line in lines:
            message = self.opener.open(line + b"\n")
            if isinstance(message, Plan):
                self.probes |= {each.id: each.version for each in message.put}

    def finds(self, state: HealthState, most: int) -> None:
        rows = [Result(each, version, state) for each, version in self.probes.items()][:most]
        for part in in_parts(rows):
            self.say(Results(part))


def _simulate(count: int, orders: multiprocessing.Queue[tuple[HealthState, int]]) -> None:
    """Be all chassis, until killed; an order has each find some of its members in a state."""
    _allow_files()
    chassis: list[_Chassis] = []
    selector = selectors.DefaultSelector()
    while True:
        for _ in range(min(10, count - len(chassis))):
            made = _Chassis(f"hv{len(chassis)}", time.monotonic() + BEAT * random.random())
            selector.register(made.socket, selectors.EVENT_READ, made)
            chassis.append(made)
        for key, _ in selector.select(0.02)[:20]:  # to parse a plan takes time
            key.data.hear()
        now = time.monotonic()
        for each in chassis:
            if now >= each.due:
                each.due = now + BEAT
                each.say(Beat())
        if not orders.empty():
            state, most = orders.get()
            for each in chassis:
                each.finds(state, most)


class _Databases:
    """What there is of OVN: nothing has to be written, and each member is on its chassis."""

    located = True

    def __init__(self, count: int) -> None:
        self.probing: Probing | None = None
        self._count = count

    def announces_probes(self) -> bool:
        return True

    def global_number(self) -> int:
        return 0

    def commit(self, plan: Callable[[], object]) -> bool:
        plan()
        return True

    def follow(self, ports: frozenset[str]) -> None:
        assert self.probing is not None
        for each in ports:
            self.probing.locate(each, f"hv{int(each) % self._count}")

    def reached(self) -> dict[str, int]:
        return {f"hv{each}": 0 for each in range(self._count)}


class _Agent:
    """The main loop, as far as probes need it."""

    def __init__(self, count: int, members: int) -> None:
        self._awake = threading.Event()
        databases = _Databases(count)
        self.probing = Probing(databases, databases, wake=self._awake.set)  # type: ignore[arg-type]
        databases.probing = self.probing
        self.changed = 0
        self._connections = ChassisConnections(
            lambda: ChassisServer("127.0.0.1", PORT, MASTER, self.probing)
        )
        self._connections.start()
        self._connections.set_leader(is_leader=True)
        for number in range(0, count * members, 10):
            targets = {f"m{each}": _target(each) for each in range(number, number + 10)}
            self.probing.registry.want(f"lb{number}", Probes(targets))

    def runs(self, seconds: float, until: int | None = None) -> float:
        """Turn for some seconds, or until load balancers have changed; return the seconds."""
        began = time.monotonic()
        self.changed = 0
        while time.monotonic() - began < seconds and (until is None or self.changed < until):
            self._awake.wait(min(0.5, self.probing.next_due() or 0.0))
            self._awake.clear()
            self.changed += len(self.probing.turn(settled=True))
        return time.monotonic() - began


def _target(number: int) -> Target:
    address = f"10.{1 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"
    probe = Probe(f"m{number}", SOURCE, address, 80, MonitorType.HTTP, 5, 3, 2, 3)
    return Target(str(number), probe)


def _allow_files() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _cpu() -> float:
    return time.process_time()


def main() -> None:
    """Measure, and print the results."""
    parser = argparse.ArgumentParser(prog="python -m bench.chassis", description=__doc__)
    parser.add_argument("--chassis", type=int, default=1000)
    parser.add_argument("--members", type=int, default=50, help="on each chassis")
    parser.add_argument("--seconds", type=float, default=30.0)
    options = parser.parse_args()
    began = _cpu()
    agent = _Agent(options.chassis, options.members)
    print(f"to plan {len(agent.probing.registry)} probes: {_cpu() - began:.1f} s of CPU")
    orders: multiprocessing.Queue[tuple[HealthState, int]] = multiprocessing.Queue()
    other = multiprocessing.Process(target=_simulate, args=(options.chassis, orders), daemon=True)
    began, since = _cpu(), time.monotonic()
    other.start()
    while len(agent.probing.registry.links()) < options.chassis:
        agent.runs(0.1)
    agent.runs(5.0)
    print(
        f"{options.chassis} chassis connect and are told: {_cpu() - began:.1f} s of CPU"
        f" ({time.monotonic() - since - 5.0:.1f} s)"
    )
    began = _cpu()
    seconds = agent.runs(options.seconds)
    print(f"idle: {100 * (_cpu() - began) / seconds:.1f} % of a core")
    for most in (options.members, 1):
        for state in (HealthState.UP, HealthState.DOWN):
            began = _cpu()
            orders.put((state, most))
            agent.runs(5.0)
            flips = options.chassis * most
            print(f"{flips} members {state.value}: {_cpu() - began:.2f} s of CPU in 5 s")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"memory: {memory:.0f} MB")
    other.kill()
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
