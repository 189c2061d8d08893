# SPDX-License-Identifier: Apache-2.0
"""Collectors and Octavia's counters, in memory."""

import dataclasses

from octavia_ovn.controller.listener_counters import Accounts
from octavia_ovn.controller.statistics import StatisticsReceiver
from octavia_ovn.core.statistics.messages import (
    MAX_COUNT,
    Challenge,
    OpenConnections,
    Report,
)
from octavia_ovn.core.statistics.traffic import Key, Traffic
from octavia_ovn.errors import Refused
from octavia_ovn.observer import Observer
from tests.controller.drift.periods import Clock

WEB, DNS, FOREIGN = Key("aaaaaaaa", 80), Key("bbbbbbbb", 53), Key("cccccccc", 80)

IDS = {WEB: "web", DNS: "dns"}

INTERVAL = 10.0


def counters(connections=0, octets=0, active=0, **others):
    return {
        "total_connections": connections,
        "bytes_in": octets,
        "active_connections": active,
        "bytes_out": 0,
        "request_errors": 0,
        **others,
    }


class Octavia:
    """Its statistics; validates reports as its model does, and takes a message as a whole."""

    def __init__(self):
        self.shown = {"web": counters(100, 1000), "dns": counters(bytes_out=7)}
        self.asked = []
        self.messages = []
        self.fails = None
        self.unreadable = {}
        """Errors by listener."""
        self.refused = set()

    def listener_statistics(self, listener_id):
        self.asked.append(listener_id)
        if listener_id in self.unreadable:
            raise self.unreadable[listener_id]
        return self.shown.get(listener_id)

    def update_statistics(self, message):
        if self.fails:
            raise self.fails
        for record in message["listeners"]:
            numbers = [value for name, value in record.items() if name != "id"]
            fits = all(0 <= each <= MAX_COUNT for each in numbers)
            if not fits or record["active_connections"] >= 2**31 or record["id"] in self.refused:
                raise Refused(f"{record} is refused")
        self.messages.append(message["listeners"])
        for record in message["listeners"]:
            values = dict(record)
            self.shown[values.pop("id")] = values


class Chassis:
    """Collectors, and the way to them; they name the session that they were given last."""

    def __init__(self, clock):
        self.clock = clock
        self.inbox = []
        self.sent = []
        self.sessions = {}
        self.repeats = False
        """Whether an attacker repeats recorded messages."""
        self.closed = False

    def receive(self, timeout):
        if not self.inbox:
            self.clock.sleep(timeout)
            return None
        message = self.inbox.pop(0)
        if isinstance(message, Report | OpenConnections) and not self.repeats:
            session = self.sessions.get(message.chassis, "")
            message = dataclasses.replace(message, session=session)
        self.last = message
        return message, "there"

    def send(self, message, receiver):
        if isinstance(message, Challenge) and not self.repeats:
            self.sessions[message.chassis] = message.session
            self.inbox.insert(0, self.last)
        else:
            self.sent.append((message, receiver))

    def close(self):
        self.closed = True


class Drops(Observer):
    def __init__(self):
        self.dropped = 0

    def drops_statistics(self):
        self.dropped += 1


class Limits:
    def __init__(self):
        self.keys = frozenset()
        self.seen = []

    def counted(self, counts):
        self.seen.append(counts)


class World:
    def __init__(self):
        self.clock = Clock()
        self.octavia = Octavia()
        self.chassis = Chassis(self.clock)
        self.ids = dict(IDS)
        self.drops = Drops()
        self.limits = Limits()
        self.ledger = self.new_ledger()

    def new_ledger(self):
        found = Accounts(self.octavia, self.octavia, self.look_up, self.drops, self.clock)
        return StatisticsReceiver(self.chassis, found, INTERVAL, self.limits, self.clock)

    def look_up(self, hints):
        return {key: each for key, each in self.ids.items() if key.row_uuid_prefix in hints}

    def arrive(self, *messages):
        self.chassis.inbox += messages
        until = self.clock.now + INTERVAL
        while self.clock.now <= until:
            self.ledger.turn()


def report(number=1, chassis="one", **traffic):
    keys = {"web": WEB, "dns": DNS, "foreign": FOREIGN}
    given = {keys[name]: Traffic(*values) for name, values in traffic.items()}
    return Report(chassis, "", "life", number, number, given)
