# SPDX-License-Identifier: Apache-2.0
"""The outside of the controller in memory: it has a state, and can be unavailable or refuse."""

import collections
import dataclasses
from concurrent.futures import Executor, Future

from octavia_ovn.core.codec import keys as k
from octavia_ovn.core.health import HealthState, Source
from octavia_ovn.core.rows import Announce, IncrementNumber
from octavia_ovn.core.topology import FloatingIp, Subnet
from tests.core.builders import Cloud
from tests.core.database import Database

SERVICE, TENANT = "service", "tenant"
"""Projects."""


class Clock:
    """Time that passes only when the test says so."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now

    def passes(self, seconds):
        self.now += seconds


class Later(Executor):
    """Runs submitted functions only when the test says so."""

    def __init__(self):
        self._work = collections.deque()

    def submit(self, work, /, *args, **kwargs):
        future = Future()
        self._work.append((future, lambda: work(*args, **kwargs)))
        return future

    def __len__(self):
        return len(self._work)

    def begin(self):
        """Begin all that waits: it cannot be cancelled any more."""
        for future, _ in self._work:
            future.set_running_or_notify_cancel()

    def run(self):
        """Run all that waits; return how much it was."""
        count = len(self._work)
        for _ in range(count):
            future, work = self._work.popleft()
            if not future.running() and not future.set_running_or_notify_cancel():
                continue
            try:
                result = work()
            except Exception as error:  # noqa: BLE001 - it is the caller's
                future.set_exception(error)
            else:
                future.set_result(result)
        return count


@dataclasses.dataclass(frozen=True)
class SwitchPort:
    name: str
    up: bool = True
    virtual: bool = False
    project: str = TENANT
    addresses: tuple = ()
    mac: str = ""


@dataclasses.dataclass
class SwitchPorts:
    """The ports of a switch: address → name; the sources of checks, and those that answer ARP."""

    names: dict = dataclasses.field(default_factory=dict)
    sources: dict = dataclasses.field(default_factory=dict)
    answers: dict = dataclasses.field(default_factory=dict)
    owners: dict = dataclasses.field(default_factory=dict)
    down: set = dataclasses.field(default_factory=set)
    virtual: set = dataclasses.field(default_factory=set)
    probe_sources: dict = dataclasses.field(default_factory=dict)

    def at(self, address):
        name = self.names.get(address)
        return name and SwitchPort(name, name not in self.down, name in self.virtual)

    def monitor_source(self, subnet_id, projects):
        """The source, if one of the projects has it; the service's project unless set otherwise."""
        address = self.sources.get(subnet_id)
        if address is None or self.owners.get(subnet_id, SERVICE) not in projects:
            return None
        port = self.answers.get(subnet_id)
        return Source(port or f"hm-{subnet_id}", address, answers=port is not None)

    def probe_source(self, subnet_id, project):
        """The port that chassis probe from, which belongs to the service."""
        return self.probe_sources.get(subnet_id)


def member_fip(fip_id, router, *, distributed):
    """Return the floating IP of a member."""
    return FloatingIp("203.0.113.9", "10.0.0.1", "port1", router, fip_id, distributed)


class Northbound:
    """The rows, and a topology that tests replace."""

    ipv6_fields = False

    def __init__(self, rows=()):
        self.db = Database(rows)
        self.cloud = Cloud({"R1": {"neutron-net1": ("10.0.0.1/24",)}})
        self.subnets = {"sub1": Subnet("sub1", "net1", "10.0.0.0/24")}
        self.ports = {"neutron-net1": SwitchPorts()}
        self.addresses = {}
        self.member_fips = {}
        self.occupied = set()
        self.held = {}
        self.fetching = frozenset()
        self.forgotten = set()
        self.error = None
        self.committed = lambda _: None
        self.number = 7
        self.sampled = False
        self.groups = {}
        self.marks = set()

    def __getattr__(self, name):
        return getattr(self.cloud, name)

    def names(self):
        return self.db.names() | {lb_id for lb_id, _ in self.db.answers}

    def awaited(self):
        return {row.name for row in self.db.all() if "octavia:pending" in row.external_ids}

    def rows(self, lb_id):
        return self.db.of(lb_id)

    def answers(self, lb_id):
        answers = self.db.answers.items()
        return {switch: found for (owner, switch), found in answers if owner == lb_id}

    def subnet(self, subnet_id):
        return self.subnets.get(subnet_id)

    def has_row(self, lb_id):
        return bool(self.db.of(lb_id))

    def access(self, lb_id):
        return self.db.access(lb_id)

    def existing_ports(self, names):
        """Every port exists, but for those that are being fetched."""
        return None if self.fetching & set(names) else frozenset(names)

    def global_number(self):
        return self.number

    def announces(self, mark):
        return mark in self.marks

    @property
    def announced(self):
        """Whether API workers are told that chassis probe."""
        return self.announces(k.PROBES_MARK)

    def samples_drops(self):
        return self.sampled

    def forget_port(self, name):
        self.forgotten.add(name)

    def forget_switch(self, switch):
        self.forgotten.add(switch)

    def group_rules(self, group_id):
        """The rules of a security group: none unless a test says so."""
        return self.groups.get(group_id, ())

    def forget_group(self, group_id):
        self.forgotten.add(group_id)

    def switch_ports(self, switch):
        found = self.ports.get(switch)
        if found is not None:
            answers = found.answers.items()
            found.answers = {key: port for key, port in answers if port not in self.db.cleared}
        return found

    def is_occupied(self, switch, address):
        return (switch, address) in self.occupied

    def holds(self, port_id, address, *, user_port):
        return self.held.get(port_id, True)

    def has_addresses(self, port_id):
        return self.addresses.get(port_id, False)

    def member_floating_ips(self, address):
        return self.member_fips.get(address, ())

    def commit(self, plan):
        """Write what is planned, and say of which load balancers rows have changed."""
        operations = tuple(plan())
        if self.error is not None:
            raise self.error
        operations = self._write_global(operations)
        before = self.db.all()
        written = self.db.write(operations)
        if written:
            after = self.db.all()
            rows = [each for each in before if each not in after]
            rows += [each for each in after if each not in before]
            # Those of other tables concern whichever load balancers depend on them.
            self.committed({each.name for each in rows} or self.names())
        return written

    def _write_global(self, operations):
        """Write what is meant for NB_Global; return the rest."""
        rest = []
        for each in operations:
            if isinstance(each, Announce):
                assert (each.mark in self.marks) is not each.value
                self.marks ^= {each.mark}
            elif isinstance(each, IncrementNumber):
                self.number += 1
            else:
                rest.append(each)
        return tuple(rest)


class Southbound:
    """What OVN's checks say."""

    def __init__(self):
        self.ready = True
        self.states = {}
        self.sets = {}
        self.forgotten = set()

    def address_set(self, name):
        """The addresses of a set; None of one that is being fetched."""
        return self.sets.get(name, frozenset())

    def forget_address_set(self, name):
        self.forgotten.add(name)

    def health_state(self, switch_port, address, port, protocol):
        if not self.ready:
            return HealthState.UNKNOWN
        return self.states.get((switch_port, address, port, protocol), HealthState.UNKNOWN)
