# SPDX-License-Identifier: Apache-2.0
"""Chassis in memory: where members are, and programs there that probe them."""

from octavia_ovn.core.health import HealthState
from octavia_ovn.core.probing.messages import Result, Results


class Chassis:
    """What the Southbound database says of chassis."""

    def __init__(self, **places):
        self.places = places
        self.followed = frozenset()
        self.located = True
        self.probing = None
        self.numbers = {}

    def follow(self, ports):
        new = ports - self.followed
        self.followed = ports
        for port in sorted(new):
            self.probing.locate(port, *self._at(port))

    def reached(self):
        return self.numbers

    def moves(self, port, *chassis):
        """Have a port on one chassis, or on two during a migration; on none without any."""
        self.places[port] = chassis
        self.probing.locate(port, *chassis)

    def _at(self, port):
        found = self.places.get(port) or ()
        return (found,) if isinstance(found, str) else found


class Program:
    """The program on a chassis, and its connection. It keeps its probes when the agent dies."""

    def __init__(self, agent, chassis="a", states=None):
        self.chassis = chassis
        self.states = states or {}
        self.probes = {}
        self.weights = {}
        self.weighted = set()
        self.projects = {}
        self.connect(agent)

    def connect(self, agent):
        self._agent = agent
        self.last_seen = agent.clock.now
        agent.probing.joined(self)
        self._say(self.probes.values(), complete=True)
        agent.settle()

    def send(self, message):
        for each in message.put:
            self.probes[each.id] = each
        self.weighted |= set(message.weighted)
        self.projects.update(message.projects)
        for each in message.drop:
            del self.probes[each]

    def beats(self):
        self.last_seen = self._agent.clock.now

    def dies(self):
        self._agent.probing.left(self)
        self._agent.settle()

    def finds(self, state=HealthState.UP, **states):
        """Find the state of all members, or those of some."""
        self.states |= states or dict.fromkeys(self.probes, state)
        self._say(self.probes[each] for each in (states or self.probes))
        self._agent.settle()

    def _say(self, probes, *, complete=False):
        rows = tuple(map(self._result, probes))
        self._agent.probing.received(self, Results(rows, complete=complete))

    def _result(self, probe):
        state = self.states.get(probe.id, HealthState.UNKNOWN)
        asked = probe.id in self.weighted and state is HealthState.UP
        weight = self.weights.get(probe.id) if asked else None
        return Result(probe.id, probe.version, state, weight=weight)

    def says(self, **weights):
        """Say weights in answers, from now on."""
        self.weights |= weights
        self._say(self.probes[each] for each in weights)
        self._agent.settle()
