# SPDX-License-Identifier: Apache-2.0
"""What chassis should probe, what they say, and what follows for members.

Both are compared as a whole at the beginning of each connection: a chassis tells all that it has,
and is told what differs from what it should have. Afterwards only changes are sent. The last result
stays while a member moves to another chassis,
while the program on its chassis is restarted, and when its probe is changed.

During a live migration a switch port is on two chassis. Both probe its members, and the better
result counts: the machine is on one of them only.
"""

from __future__ import annotations

import collections
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from octavia_ovn.core.health import HealthState
from octavia_ovn.core.multimap import MultiMap
from octavia_ovn.core.probing.conditions import Condition, joint
from octavia_ovn.core.probing.entries import Entry, Link, Session
from octavia_ovn.core.probing.first_checks import FirstChecks
from octavia_ovn.core.probing.messages import Plan, Result, Results, in_parts
from octavia_ovn.core.probing.places import Places
from octavia_ovn.core.probing.plan import Probes, Target

MOST = 20_000
"""Probes that a chassis can say it has, at most."""
_BETTER = (HealthState.UP, HealthState.UNKNOWN, HealthState.DOWN, HealthState.UNCHECKED)
"""Which of the results of two chassis counts. What is not known yet may become UP."""


class Registry:
    """The members that are to be probed."""

    def __init__(self) -> None:
        self.places = Places()
        self.begin()

    def begin(self) -> None:
        """Begin a leadership term: only what the Southbound database says is still true."""
        self._entries: dict[str, Entry] = {}
        self._members: dict[str, tuple[str, ...]] = {}
        """Load balancer → members, for each that has been reconciled in this term."""
        self._at_port: MultiMap[str, str] = MultiMap()
        self._on_chassis: dict[str, set[str]] = {}
        self._sessions: dict[str, Session] = {}
        self._changed: dict[str, set[str]] = {}
        """Chassis → members for which it may have to be told something."""
        self._settled = False
        self._first = FirstChecks()
        self._conditions: Mapping[str, Condition] = {}
        self.new_ports = False
        """Whether there are new ones in :meth:`ports`; the caller takes note of it."""
        self.flips: collections.Counter[HealthState] = collections.Counter()
        """How often members have become UP and DOWN; the caller takes them out."""
        self.reweighted: set[str] = set()
        """Load balancers whose members have said other weights; the caller takes them out."""

    # --- what is wanted

    def want(self, lb_id: str, probes: Probes) -> bool:
        """Set which members of a load balancer are probed; return whether that has changed."""
        targets = probes.targets
        before = {} if lb_id in self._members else probes.before
        old = self._members.get(lb_id, ())
        self._members[lb_id] = tuple(targets)
        changed = [self._remove(lb_id, each) for each in old if each not in targets]
        for member_id, target in targets.items():
            new = member_id not in self._entries
            state = before.get(member_id, HealthState.UNKNOWN)
            changed.append(self._put(lb_id, member_id, target, state))
            entry = self._entries[member_id]
            entry.serving = member_id in probes.serving
            if new and not entry.found:
                entry.weight = probes.weights.get(member_id)
                if member_id in probes.first:
                    self._begin_check(member_id)
        return any(changed)

    def _begin_check(self, member_id: str) -> None:
        """Have a member that serves continue until it has been checked, or the time is over."""
        entry = self._entries[member_id]
        entry.state = HealthState.UNCHECKED
        self._first.begin(member_id, entry.target.probe)

    def expire(self, now: float) -> frozenset[str]:
        """End first checks that have taken too long; return the load balancers that this concerns.

        :param now: seconds, monotonic
        """
        entries = [self._entries[each] for each in self._first.over(now)]
        for entry in entries:
            entry.state = HealthState.UNKNOWN
        return frozenset(entry.lb_id for entry in entries)

    def forget(self, lb_id: str) -> None:
        """Probe nothing for a load balancer any more: it is gone."""
        for each in self._members.pop(lb_id, ()):
            self._remove(lb_id, each)

    def _put(self, lb_id: str, member_id: str, target: Target, state: HealthState) -> bool:
        old = self._entries.get(member_id)
        if old is not None and old.target == target:
            return False
        version = target.probe.version
        if old is not None and old.target.port == target.port:
            old.lb_id, old.target, old.version = lb_id, target, version
        else:
            entry = Entry(lb_id, target, version, state)
            first = member_id in self._first
            if old is not None:
                self._remove(old.lb_id, member_id)
                # Another machine has its address, or another address is asked for.
                if old.target.probe.address != target.probe.address:
                    entry = replace(old, lb_id=lb_id, target=target, version=version, alive=None)
            self._entries[member_id] = entry
            if first and entry.state is HealthState.UNCHECKED:
                self._begin_check(member_id)
            self.new_ports |= target.port not in self._at_port
            self._at_port.add(target.port, member_id)
        self._place(member_id, self.places.of(target.port))
        return True

    def _remove(self, lb_id: str, member_id: str) -> bool:
        entry = self._entries.get(member_id)
        if entry is None or entry.lb_id != lb_id:
            return False
        del self._entries[member_id]
        self._first.end(member_id)
        self._at_port.discard(entry.target.port, member_id)
        self._displace(member_id, self.places.of(entry.target.port))
        return True

    def locate(self, port: str, *chassis: str) -> frozenset[str]:
        """Set on which chassis a switch port is; return the load balancers that this concerns.

        :param chassis: none, one, or during a live migration the old one and the new one
        """
        before = self.places.of(port)
        self.places.set(port, chassis)
        members = tuple(self._at_port.of(port)) if before != chassis else ()
        for member_id in members:
            self._displace(member_id, before)
            self._place(member_id, chassis)
        return self.at(port) if members else frozenset()

    def _place(self, member_id: str, chassis: Iterable[str]) -> None:
        for each in chassis:
            self._on_chassis.setdefault(each, set()).add(member_id)
            self._changed.setdefault(each, set()).add(member_id)
        self._adopt(member_id)

    def _displace(self, member_id: str, chassis: Iterable[str]) -> None:
        if member_id in self._entries:
            self._entries[member_id].alive = None
        for each in chassis:
            self._on_chassis[each].discard(member_id)
            if not self._on_chassis[each]:
                del self._on_chassis[each]
            self._changed.setdefault(each, set()).add(member_id)

    def settle(self) -> None:
        """Take note that all load balancers are known: what else a chassis probes can end."""
        if not self._settled:
            self._settled = True
            for chassis in self._sessions:
                self._compare(chassis)

    # --- what chassis say

    def join(self, link: Link) -> None:
        """Take note of a connection; one that the chassis had before is over."""
        self._sessions[link.chassis] = Session(link)

    def leave(self, link: Link) -> frozenset[str]:
        """Take note that a connection is over; return the load balancers that this concerns.

        What it could have said about a machine that migrates is not awaited any more.
        """
        if self._session(link) is None:
            return frozenset()
        del self._sessions[link.chassis]
        members = self._on_chassis.get(link.chassis, ())
        return _some(self._adopt(each) for each in members if len(self._places(each)) > 1)

    def _session(self, link: Link) -> Session | None:
        session = self._sessions.get(link.chassis)
        return session if session is not None and session.link is link else None

    def receive(self, link: Link, results: Results) -> frozenset[str]:
        """Process results; return the load balancers of which the health has changed.

        A chassis decides on members that it should probe, and on no others.
        """
        session = self._session(link)
        if session is None:
            return frozenset()
        changed = set()
        for each in results.rows:
            if session.complete and not _answers(each, session.has.get(each.id)):
                continue
            if each.id in session.has or len(session.has) < MOST:
                session.has[each.id] = each
                if link.chassis in self._places(each.id):
                    changed.add(self._adopt(each.id))
        if results.complete and not session.complete:
            session.complete = True
            changed |= self._begin_checks(session)
            self._compare(link.chassis)
        return _some(changed)

    def _begin_checks(self, session: Session) -> set[str]:
        """Have members of a chassis that begins to probe them serve until their first results."""
        found = set()
        for each in self._on_chassis.get(session.link.chassis, set()) - session.has.keys():
            entry = self._entries[each]
            if entry.serving and entry.state is HealthState.UNKNOWN:
                self._begin_check(each)
                found.add(entry.lb_id)
        return found

    def _places(self, member_id: str) -> tuple[str, ...]:
        """Return the chassis that probe a member."""
        entry = self._entries.get(member_id)
        return self.places.of(entry.target.port) if entry is not None else ()

    def _said(self, member_id: str, entry: Entry) -> Result | None:
        """Return what the chassis of a member say about it: the better of two results."""
        found = []
        for chassis in self._places(member_id):
            session = self._sessions.get(chassis)
            result = session.has.get(member_id) if session is not None else None
            if result is not None and result.version == self._target(entry, chassis)[1]:
                found.append(result)
        return min(found, key=lambda each: _BETTER.index(each.state), default=None)

    def _adopt(self, member_id: str) -> str | None:
        """Take over what is said about a member; return the load balancer if that is new."""
        entry = self._entries[member_id]
        result = self._said(member_id, entry)
        if result is None or result.state is HealthState.UNKNOWN:
            return None
        if result.state is HealthState.UNCHECKED and entry.state is not HealthState.UP:
            return None  # what is not known stays so, and what was DOWN, too
        new = entry.take(result)
        self.flips[result.state] += new
        self._first.end(member_id)
        if entry.weigh(result):
            self.reweighted.add(entry.lb_id)
        return entry.lb_id if new else None

    # --- what chassis are told

    def _compare(self, chassis: str) -> None:
        """Have a chassis told all that differs."""
        planned = self._on_chassis.get(chassis, set())
        has = self._sessions[chassis].has if self._settled else ()
        self._changed.setdefault(chassis, set()).update(planned, has)

    @property
    def waits(self) -> bool:
        """Whether there may be something in :meth:`outgoing`."""
        return bool(self._changed)

    def outgoing(self) -> Iterator[tuple[Link, Plan]]:
        """Yield what chassis must be told now, and take note of it."""
        changed, self._changed = self._changed, {}
        for chassis, members in changed.items():
            session = self._sessions.get(chassis)
            # When it has said what it has, all is compared.
            if session is not None and session.complete:
                yield from self._difference(session, sorted(members))

    def _difference(self, session: Session, members: Iterable[str]) -> Iterator[tuple[Link, Plan]]:
        put, drop = [], []
        planned = self._on_chassis.get(session.link.chassis, set())
        for each in members:
            if each in planned:
                target, version = self._target(self._entries[each], session.link.chassis)
                if session.needs(target, version):
                    put.append(target)
            elif session.ends(each):
                drop.append(each)
        for part in in_parts(drop) if drop else ():
            yield session.link, Plan(drop=part)
        for targets in in_parts(put) if put else ():
            weighted = tuple(each.probe.id for each in targets if each.weighted)
            yield session.link, Plan(tuple(each.probe for each in targets), weighted=weighted)

    def _target(self, entry: Entry, chassis: str) -> tuple[Target, str]:
        """Return how a chassis is to probe, and the version of that: expensive to compute."""
        target = self.places.target(entry.target, chassis)
        return target, entry.version if target is entry.target else target.probe.version

    # --- chassis that say nothing

    def judge(self, conditions: Mapping[str, Condition]) -> frozenset[str]:
        """Set what is wrong with which chassis; return the load balancers that it concerns.

        What a dead hypervisor had is DOWN until a chassis says otherwise, or until the hypervisor
        answers without having given up the member's port: then it was not dead.
        """
        old, self._conditions = self._conditions, dict(conditions)
        turned = {each for each in {**old, **conditions} if old.get(each) != conditions.get(each)}
        members = {each for chassis in turned for each in self._on_chassis.get(chassis, ())}
        for member_id in members:
            entry = self._entries[member_id]
            if self._condition(entry) is Condition.DEAD:
                entry.bury(first=member_id in self._first)
                self._first.end(member_id)
            else:
                entry.revive()
        return frozenset(self._entries[each].lb_id for each in members)

    def _condition(self, entry: Entry) -> Condition | None:
        """Return what is wrong with all chassis of a member."""
        return joint({self._conditions.get(each) for each in self.places.of(entry.target.port)})

    # --- answers

    def state(self, lb_id: str, member_id: str, before: HealthState) -> HealthState:
        """Return the health of a member.

        :param before: how it counted before this leadership term
        """
        entry = self._entries.get(member_id)
        if entry is None:
            return HealthState.UNKNOWN if lb_id in self._members else before
        condition = self._condition(entry)
        if condition is Condition.DEAD:
            return HealthState.DOWN
        if condition is Condition.SILENT and entry.state is HealthState.UP:
            return HealthState.UNCHECKED
        return entry.state

    def has_result(self, member_id: str) -> bool:
        """Whether a chassis has found a member UP or DOWN."""
        entry = self._entries.get(member_id)
        return entry is not None and entry.found

    def knows(self, lb_id: str) -> bool:
        """Whether a load balancer has been reconciled in this leadership term."""
        return lb_id in self._members

    def is_first(self, member_id: str) -> bool:
        """Whether a member serves until its first result."""
        return member_id in self._first

    def weight(self, member_id: str) -> int | None:
        """Return the weight that a member has said."""
        entry = self._entries.get(member_id)
        return entry.weight if entry is not None else None

    def reason(self, member_id: str) -> str:
        """Return why a member is DOWN."""
        entry = self._entries.get(member_id)
        return entry.reason if entry is not None else ""

    def target(self, member_id: str) -> Target | None:
        """Return how a member is probed until now."""
        entry = self._entries.get(member_id)
        return entry.target if entry is not None else None

    def at(self, port: str) -> frozenset[str]:
        """Return the load balancers of the members at a switch port."""
        return frozenset(self._entries[each].lb_id for each in self._at_port.of(port))

    def ports(self) -> frozenset[str]:
        """Return the switch ports of the members."""
        return frozenset(self._at_port)

    def planned(self) -> Mapping[str, Collection[str]]:
        """Return chassis → members that it is to probe."""
        return self._on_chassis

    def links(self) -> Mapping[str, Link]:
        """Return chassis → connection."""
        return {name: session.link for name, session in self._sessions.items()}

    def __len__(self) -> int:
        return len(self._entries)


def _some(lb_ids: Iterable[str | None]) -> frozenset[str]:
    return frozenset(each for each in lb_ids if each is not None)


def _answers(result: Result, expected: Result | None) -> bool:
    """Whether a result is of a probe that the chassis has been told."""
    return expected is not None and expected.version == result.version
