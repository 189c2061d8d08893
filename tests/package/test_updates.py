# SPDX-License-Identifier: Apache-2.0
"""An update changes what it names and nothing else, though Octavia gives more of the old object."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from octavia_lib.api.drivers import data_models, exceptions

from octavia_ovn import driver, wiring
from octavia_ovn.adapters.northbound.intents import IntentRows
from octavia_ovn.adapters.octavia.data_models import DriverDefaults
from octavia_ovn.controller.record import Recorder
from octavia_ovn.core import codec, model
from octavia_ovn.core.request.admission import Admission
from octavia_ovn.core.topology import Subnet
from tests.core.builders import balancer, listener, member, monitor, pool, recorded
from tests.core.database import Database
from tests.core.strategies import many

SUBNET = Subnet("sub1", "net1", "10.0.0.0/24")
HASH = model.Mechanism.HASH
KEPT = model.SessionPersistence(HASH, 90)
HTTP = dataclasses.replace(
    monitor("HTTP", url_path="/up", expected_codes="200,204", http_method="GET"), id="hm2"
)
LB = balancer(
    [listener(allowed_cidrs=("192.0.2.0/24",), enabled=False)],
    [
        pool(
            members=[member(1, weight=7, backup=True, monitor_port=8080), member(2)],
            monitor=monitor(),
            persistence=KEPT,
            algorithm=model.Algorithm.ROUND_ROBIN,
        ),
        pool("p2", monitor=HTTP),
    ],
)
"""A program on each chassis has checked its members; now OVN does, and new such checks are refused.
That must not matter to what is there."""


class Counting(IntentRows):
    """Programs on chassis count connections."""

    def announces(self, mark, deadline):
        return mark == "octavia-ovn-statistics"


class Worker:
    """What the driver needs of an API worker, over rows in memory."""

    def __init__(self, lb):
        self.defaults = DriverDefaults()
        self.recorder = self
        self.db = Database(recorded(lb))
        self._recorder = Recorder(Counting(None), 5.0, lambda _: SUBNET, Admission())

    def record(self, request, **_):
        self.db.write(self._recorder.plan(request, self.db.of("lb1")))

    @property
    def lb(self):
        return codec.decode(self.db.of("lb1")).lb


def ask(kind, new, old=None, lb=LB):
    """Send one update and return the load balancer after it."""
    worker = Worker(lb)
    cls, name, ids = KINDS[kind]
    identity = dict([ids])
    pool_id = POOLS.get(kind)
    above = {"pool_id": pool_id} if pool_id else {"loadbalancer_id": "lb1"}
    before, after = cls(**{**(old or {}), **above, **identity}), cls(**new, **identity)
    after.added_by_a_later_octavia = "something"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wiring, "get", lambda: worker)
        getattr(driver.OvnProviderDriver(), name)(before, after)
    return worker.lb


KINDS = {
    "listener": (data_models.Listener, "listener_update", ("listener_id", "l1")),
    "pool": (data_models.Pool, "pool_update", ("pool_id", "p1")),
    "member": (data_models.Member, "member_update", ("member_id", "m1")),
    "monitor": (data_models.HealthMonitor, "health_monitor_update", ("healthmonitor_id", "hm1")),
    "HTTP": (data_models.HealthMonitor, "health_monitor_update", ("healthmonitor_id", "hm2")),
}
POOLS = {"member": "p1", "monitor": "p1", "HTTP": "p2"}

SOURCE_IP = {"type": "SOURCE_IP", "cookie_name": None}
# What a request may say of each field, and what comes of it.
FIELDS = {
    "listener": {
        "name": {"x": {}, None: {}},
        "description": {"x": {}},
        "admin_state_up": {True: {"enabled": True}, False: {"enabled": False}},
        "default_pool_id": {"p2": {"pool_id": "p2"}, None: {"pool_id": None}},
        "allowed_cidrs": {
            ("10.0.0.0/8",): {"allowed_cidrs": ("10.0.0.0/8",)},
            (): {"allowed_cidrs": ()},
            None: {"allowed_cidrs": ()},
        },
        "connection_limit": {
            5: {"connection_limit": 5},
            -1: {"connection_limit": None},
            None: {"connection_limit": None},
        },
        "insert_headers": {None: {}},
    },
    "pool": {
        "name": {"x": {}, None: {}},
        "admin_state_up": {True: {"enabled": True}, False: {"enabled": False}},
        "lb_algorithm": {"SOURCE_IP": {"algorithm": model.Algorithm.SOURCE_IP}},
        "session_persistence": {
            tuple(SOURCE_IP.items()): {"persistence": KEPT},
            (*SOURCE_IP.items(), ("persistence_timeout", 5)): {
                "persistence": model.SessionPersistence(HASH, 5)
            },
            (*SOURCE_IP.items(), ("persistence_timeout", None)): {
                "persistence": model.SessionPersistence(HASH)
            },
            None: {"persistence": None},
        },
        "tls_enabled": {False: {}},
    },
    "member": {
        "name": {"x": {}, None: {}},
        "admin_state_up": {True: {"enabled": True}, False: {"enabled": False}},
        "weight": {0: {"weight": 0}, None: {"weight": 1}},
        "backup": {False: {"backup": False}, None: {"backup": False}},
        "monitor_port": {
            None: {"monitor_port": None},
            80: {"monitor_port": None},
            8080: {},
        },
        "monitor_address": {None: {}, "10.0.0.1": {}},
    },
    "monitor": {
        "name": {"x": {}},
        "admin_state_up": {True: {"enabled": True}, False: {"enabled": False}},
        "delay": {9: {"delay": 9}},
        "timeout": {2: {"timeout": 2}},
        "max_retries": {1: {"max_retries": 1}},
        "max_retries_down": {1: {"max_retries_down": 1}, None: {"max_retries_down": 3}},
        "type": {"TCP": {}},
        "url_path": {"/x": {}, None: {}},
        "expected_codes": {"200": {}},
        "http_version": {1.1: {}, None: {}},
    },
    "HTTP": {
        "name": {"x": {}},
        "type": {"HTTP": {}},
        "delay": {9: {"delay": 9}},
        "http_method": {"HEAD": {"http_method": "HEAD"}},
        "url_path": {"/x?y=1": {"url_path": "/x?y=1"}},
        "expected_codes": {
            "201 , 202": {"expected_codes": "201,202"},
            "200-299": {"expected_codes": "200-299"},
        },
        "http_version": {
            1.1: {"http_version": "1.1"},
            1.0: {"http_version": "1.0"},
            None: {"http_version": None},
        },
        "domain_name": {
            "www.example.org": {"domain_name": "www.example.org"},
            None: {"domain_name": None},
        },
    },
}
# What Octavia may have loaded of the old object; none of it may count.
LIES = {
    "listener": {
        "allowed_cidrs": [],
        "connection_limit": 7,
        "default_pool_id": None,
        "admin_state_up": True,
    },
    "pool": {"session_persistence": None, "lb_algorithm": "SOURCE_IP", "members": []},
    "member": {"weight": 1, "backup": False, "admin_state_up": False, "address": "10.0.0.1"},
    "monitor": {"delay": 77, "timeout": 77, "max_retries": 10, "type": "TCP"},
    "HTTP": {"url_path": "/old", "expected_codes": "500", "domain_name": "old", "type": "HTTP"},
}


def octavia(value):
    """A value as Octavia hands it over; as keys of a table they must be hashable."""
    if isinstance(value, tuple):
        return dict(value) if value and isinstance(value[0], tuple) else list(value)
    return value


def part(lb, kind):
    pool = lb.pool("p1")
    found = {"listener": lb.listener("l1"), "pool": pool, "monitor": pool.monitor}
    found["HTTP"] = lb.pool("p2").monitor
    return found.get(kind, pool.member("m1"))


def replaced(lb, kind, **fields):
    after = dataclasses.replace(part(lb, kind), **fields)
    if kind == "listener":
        return dataclasses.replace(lb, listeners=(after,))
    first, second = lb.pools
    if kind == "HTTP":
        return dataclasses.replace(lb, pools=(first, dataclasses.replace(second, monitor=after)))
    if kind == "member":
        after = dataclasses.replace(first, members=(after, *first.members[1:]))
    elif kind == "monitor":
        after = dataclasses.replace(first, monitor=after)
    return dataclasses.replace(lb, pools=(after, second))


@st.composite
def updates(draw):
    kind = draw(st.sampled_from(sorted(KINDS)))
    some = draw(st.sets(st.sampled_from(sorted(FIELDS[kind]))))
    new, outcome = {}, {}
    for name in sorted(some):
        value, means = draw(st.sampled_from(sorted(FIELDS[kind][name].items(), key=repr)))
        new[name] = octavia(value)
        outcome |= means
    loaded = draw(st.sets(st.sampled_from(sorted(LIES[kind]))))
    old = {name: LIES[kind][name] for name in loaded}
    return kind, new, old, outcome


@many
@given(updates())
def test_an_update_changes_what_it_names_and_nothing_else(update):
    kind, new, old, outcome = update

    assert ask(kind, new, old) == replaced(LB, kind, **outcome)


@pytest.mark.parametrize("kind", KINDS)
def test_an_update_that_names_nothing_changes_nothing(kind):
    assert ask(kind, {}) == LB


def test_a_batch_keeps_what_it_does_not_name():
    worker = Worker(LB)
    known = data_models.Member(
        member_id="m1", address="10.0.0.1", protocol_port=80, weight=3, monitor_port=8080
    )
    new = data_models.Member(member_id="m3", address="10.0.0.3", protocol_port=80, subnet_id="sub1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wiring, "get", lambda: worker)
        driver.OvnProviderDriver().member_batch_update("p1", [known, new])

    kept = member(1, weight=3, backup=True, monitor_port=8080)
    assert worker.lb.pool("p1").members == (kept, member(3))


BARE = balancer(LB.listeners, [pool(persistence=KEPT)])
EMPTY = balancer()
MEMBER = {
    "address": "10.0.0.1",
    "protocol_port": 80,
    "subnet_id": "sub1",
    "admin_state_up": True,
    "monitor_address": None,
    "monitor_port": 80,
}
NO_HTTP = dict.fromkeys(
    ("http_method", "url_path", "expected_codes", "http_version", "domain_name")
)
# An object that the rows have lost: what Octavia knows of it, and what comes of disabling it.
LOST = {
    "listener": (
        EMPTY,
        {
            "protocol": "TCP",
            "protocol_port": 80,
            "default_pool_id": None,
            "admin_state_up": True,
            "allowed_cidrs": ["192.0.2.0/24"],
            "connection_limit": 5,
        },
        listener(pool_id=None, allowed_cidrs=("192.0.2.0/24",), connection_limit=5, enabled=False),
    ),
    "pool": (
        EMPTY,
        {
            "protocol": "TCP",
            "lb_algorithm": "ROUND_ROBIN",
            "session_persistence": {"type": "SOURCE_IP", "persistence_timeout": 90},
            "admin_state_up": True,
            "members": [{**MEMBER, "member_id": "m1"}],
            "healthmonitor": None,
        },
        pool(
            members=[member(1)],
            persistence=KEPT,
            algorithm=model.Algorithm.ROUND_ROBIN,
            enabled=False,
        ),
    ),
    "member": (
        BARE,
        {**MEMBER, "weight": 4, "backup": False},
        member(1, weight=4, enabled=False),
    ),
    "monitor": (
        BARE,
        {
            "type": "TCP",
            "delay": 5,
            "timeout": 3,
            "max_retries": 4,
            "max_retries_down": 2,
            "admin_state_up": True,
            **NO_HTTP,
        },
        monitor(enabled=False),
    ),
}


@pytest.mark.parametrize("kind", LOST)
def test_an_object_that_the_rows_lost_is_written_when_octavia_has_all_of_it(kind):
    lb, old, after = LOST[kind]

    found = ask(kind, {"admin_state_up": False}, old, lb)

    pools = found.pools or [None]
    parts = {"listener": found.listeners[:1], "pool": pools, "member": (pools[0] or pool()).members}
    parts["monitor"] = [(pools[0] or pool()).monitor]
    assert parts[kind][0] == after


PARTS = [(kind, name) for kind, (_, old, _) in LOST.items() for name in old]


@pytest.mark.parametrize(("kind", "name"), [each for each in PARTS if each[1] != "admin_state_up"])
def test_what_octavia_did_not_load_of_a_lost_object_is_not_guessed(kind, name):
    """A listener without its list of networks would let everybody in."""
    lb, old, _ = LOST[kind]
    incomplete = {key: value for key, value in old.items() if key != name}

    with pytest.raises(exceptions.DriverError, match="failover"):
        ask(kind, {"admin_state_up": False}, incomplete, lb)


def test_an_option_that_another_driver_let_pass_may_be_sent_again():
    old = {"connection_limit": 0, "insert_headers": {"X-Forwarded-For": "true"}}

    assert ask("listener", old, old) == LB
    with pytest.raises(exceptions.UnsupportedOptionError, match="connection_limit: 0 would"):
        ask("listener", old, {**old, "connection_limit": 5})
