# SPDX-License-Identifier: Apache-2.0
"""The tree of a load balancer, where it hangs, and what Octavia says beside the rows."""

import dataclasses

import pytest

from octavia_ovn.core import model
from octavia_ovn.core.diagnosis.overview import overview
from octavia_ovn.core.diagnosis.shown import State
from octavia_ovn.core.diagnosis.snapshot import ObjectStatus, Snapshot
from octavia_ovn.core.health import HealthState
from octavia_ovn.core.pending import Kind
from octavia_ovn.core.rows import ROUTER, SWITCH
from tests.core.builders import VIP, balancer, listener, member, monitor, pool, stored, vip, web
from tests.core.diagnosis.snapshots import (
    ATTACHED,
    CHECKED,
    EXT,
    FIP,
    LB,
    MAPPINGS,
    NET1,
    NET2,
    R1,
    checked,
    snapshot,
    with_ports,
    with_rows,
)
from tests.core.diagnosis.test_probes import probed

M1 = LB.pools[0].members[0]


def node(found, object_id):
    return next(each for each in overview(found).nodes() if each.id == object_id)


@pytest.mark.parametrize(
    ("closed", "words", "state"),
    [
        ((), f"{VIP}:80", State.GOOD),
        (("l1",), "at its connection limit: lets no new ones in", State.ATTENTION),
    ],
)
def test_a_listener_with_a_limit(closed, words, state):
    lb = balancer([listener(connection_limit=1)], LB.pools)
    found = node(snapshot(lb, closed=frozenset(closed)), "l1")

    assert found.details == "TCP 80, up to 1 connection"
    assert (found.ovn, found.state) == (words, state)


def test_the_tree():
    root = overview(snapshot()).root
    assert (root.kind, root.id, root.name, root.octavia) == (
        Kind.LOAD_BALANCER,
        "lb1",
        "web",
        "ACTIVE ONLINE",
    )
    (a_listener,) = root.children
    (a_pool,) = a_listener.children
    assert [each.id for each in a_pool.children] == ["m1", "m2"]
    assert a_listener.details == "TCP 80"
    assert a_listener.ovn == f"{VIP}:80"
    assert a_pool.children[0].details == "10.0.0.1:80, net1-name"
    assert overview(snapshot()).is_right


@pytest.mark.parametrize(
    ("cidrs", "words"),
    [
        (("10.0.0.0/24",), "TCP 80, for 10.0.0.0/24"),
        (tuple(f"10.0.{each}.0/24" for each in range(4)), "10.0.0.0/24 10.0.1.0/24 10.0.2.0/24 …"),
    ],
)
def test_who_may_use_a_listener(cidrs, words):
    (node_,) = overview(snapshot(balancer([listener(allowed_cidrs=cidrs)]))).root.children
    assert node_.details.endswith(words)


@pytest.mark.parametrize(
    ("groups", "words"), [((), ""), (("sg2", "sg1"), "for security groups sg1 sg2")]
)
def test_the_security_groups_of_the_vip_are_named(groups, words):
    lb = balancer(security_groups=frozenset(groups))
    assert overview(snapshot(lb)).root.details == words


def test_monitor_and_persistence():
    sticky = model.SessionPersistence(model.Mechanism.HASH)
    lb = balancer([], [pool(members=[M1], monitor=monitor(), persistence=sticky)])
    (a_pool,) = overview(snapshot(lb)).root.children
    assert a_pool.details == "TCP, SOURCE_IP_PORT, sticky"
    assert [each.id for each in a_pool.children] == ["hm1", "m1"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (monitor("PING"), "PING, every 5 s"),
        (monitor("HTTP"), "HTTP GET /, expects 200, every 5 s"),
        (
            monitor(
                "HTTPS",
                http_method="HEAD",
                url_path="/up",
                expected_codes="200-204",
                domain_name="example.org",
            ),
            "HTTPS HEAD /up of example.org, expects 200-204, every 5 s",
        ),
    ],
)
def test_what_a_monitor_asks(given, words):
    lb = balancer([listener()], [pool(monitor=given)])
    assert node(snapshot(lb), "hm1").details == words


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"monitor_port": 8080}, "10.0.0.1:8080"),
        ({"monitor_address": "10.0.0.9"}, "10.0.0.9:80"),
        ({"monitor_address": "10.0.0.9", "monitor_port": 8080}, "10.0.0.9:8080"),
    ],
)
def test_where_a_member_is_checked(fields, place):
    members = [member(1, **fields)]
    watched, unwatched = (
        snapshot(balancer([listener()], [pool(members=members, monitor=each)]))
        for each in (monitor("HTTP"), None)
    )
    assert node(watched, "m1").details == f"10.0.0.1:80, checked at {place}, net1-name"
    assert node(unwatched, "m1").details == "10.0.0.1:80, net1-name"


LOST = snapshot(rows=stored(LB, attachments=ATTACHED, lost={VIP: "it is gone"}))


WITHDRAWS = dataclasses.replace(LB, flavor=model.Flavor(withdraw=True))
WITHDRAWN = snapshot(dataclasses.replace(web(member(1, weight=0)), flavor=WITHDRAWS.flavor))


@pytest.mark.parametrize(
    ("found", "object_id", "ovn", "state"),
    [
        (snapshot(rows=(), intent=None), "lb1", "no row", State.BAD),
        (LOST, "lb1", f"{VIP} is not served: it is gone", State.BAD),
        (snapshot(dataclasses.replace(LB, enabled=False)), "lb1", "disabled", State.OFF),
        (snapshot(dataclasses.replace(LB, enabled=False)), "l1", "disabled", State.OFF),
        (snapshot(balancer([listener(enabled=False)])), "l1", "disabled", State.OFF),
        (snapshot(balancer([listener(pool_id=None)])), "l1", "no pool", State.OFF),
        (snapshot(web()), "l1", "no member may serve", State.OFF),
        (snapshot(web(member(1, weight=0))), "l1", "no member may serve", State.BAD),
        (with_rows(snapshot(), vips={}), "l1", f"vips lacks {VIP}:80", State.BAD),
        (WITHDRAWN, "l1", "no member may serve", State.BAD),
        (with_rows(snapshot(WITHDRAWS), vips={}), "l1", f"vips lacks {VIP}:80", State.BAD),
        (snapshot(fips={VIP: FIP}), "l1", f"{VIP}:80, {FIP}:80", State.GOOD),
        (snapshot(web(M1, enabled=False)), "p1", "disabled", State.OFF),
        (checked("10.0.0.1", "10.0.0.2"), "p1", "2 members", State.BAD),
        (checked("10.0.0.1"), "p1", "2 members", State.GOOD),
        (snapshot(web(member(1, enabled=False))), "m1", "disabled", State.OFF),
        (snapshot(web(member(1, weight=0))), "m1", "drained (weight 0)", State.OFF),
        (snapshot(web(member(1, backup=True))), "m1", "backup, not checked", State.GOOD),
        (checked("10.0.0.1"), "m1", "down", State.BAD),
        (checked(), "m1", "not checked yet", State.ATTENTION),
        (checked(members={"m1": HealthState.UNCHECKED}), "m1", "not checked", State.GOOD),
        (
            checked(members={"m1": HealthState.UNREACHABLE}),
            "m1",
            "left out: cannot be reached",
            State.BAD,
        ),
        (checked(), "hm1", "checks", State.GOOD),
        (
            snapshot(balancer([listener()], [pool(monitor=monitor(enabled=False))])),
            "hm1",
            "disabled",
            State.OFF,
        ),
        (
            snapshot(statuses={(Kind.MEMBER, "m1"): ObjectStatus("a", "ERROR", "ERROR")}),
            "m1",
            "not checked",
            State.BAD,
        ),
        (
            snapshot(statuses={(Kind.POOL, "p1"): ObjectStatus("a", "ACTIVE", "DEGRADED")}),
            "p1",
            "2 members",
            State.ATTENTION,
        ),
    ],
)
def test_what_ovn_does(found, object_id, ovn, state):
    assert (node(found, object_id).ovn, node(found, object_id).state) == (ovn, state)


def test_http_is_called_http():
    http = listener(application=model.Application.HTTP)
    assert node(snapshot(balancer([http])), "l1").details == "HTTP 80"


def test_weight_and_unknown_network():
    heavy = snapshot(web(member(1, weight=5, subnet_id="gone")))
    assert node(heavy, "m1").details == "10.0.0.1:80, weight 5"


def test_octavia_was_not_asked():
    assert overview(snapshot(octavia=None)).is_right


def test_nothing_is_known():
    assert overview(Snapshot("lb1")) is None


def test_only_octavia_knows_it():
    found = overview(snapshot(rows=(), intent=None))
    assert not found.is_right
    assert found.root.children[0].ovn == f"vips lacks {VIP}:80"


def test_what_octavia_alone_has_is_shown_with_its_difference():
    found = snapshot(octavia=balancer(LB.listeners, [pool(members=map(member, (1, 2, 3)))]))
    assert node(found, "m3").differences == ("missing in the rows",)
    assert not overview(found).is_right
    other = snapshot(octavia=dataclasses.replace(LB, pools=(*LB.pools, pool("p2"))))
    assert node(other, "p2").differences == ("missing in the rows",)
    lost = snapshot(balancer(), octavia=LB)
    assert node(lost, "m1").kind is Kind.MEMBER


# --- where it is attached


def test_addresses():
    (address,) = overview(snapshot(fips={VIP: FIP})).addresses
    assert dataclasses.astuple(address) == (VIP, FIP, "vip-port-name (vip-port)", "net1-name", NET1)
    (address,) = overview(with_ports(snapshot(), without=("vip-port",))).addresses
    assert dataclasses.astuple(address) == (VIP, "", "vip-port", "net1-name", NET1)
    unknown = balancer([], vips=(vip(network_id=None, subnet_id=None),))
    (address,) = overview(with_ports(snapshot(unknown), without=("vip-port",))).addresses
    assert address.network == ""


def places(found):
    return {
        each.name: (each.table, each.label, each.purpose, each.attached, each.wanted, each.routers)
        for each in overview(found).places
    }


def test_places():
    assert places(snapshot()) == {
        R1: (ROUTER, "r1-name", "", True, True, ()),
        NET1: (SWITCH, "net1-name", "VIP", True, True, (R1,)),
        NET2: (SWITCH, NET2, "clients", True, True, (R1,)),
        EXT: (SWITCH, "ext-name", "outside", False, False, (R1,)),
    }
    assert overview(snapshot()).is_right


def test_places_that_are_wrong():
    found = with_rows(snapshot(), switches=frozenset({NET1, "neutron-old"}), routers=frozenset())
    states = {each.name: each.state for each in overview(found).places}
    assert states == {
        R1: State.BAD,
        NET1: State.GOOD,
        NET2: State.BAD,
        "neutron-old": State.BAD,
        EXT: State.GOOD,
    }
    assert not overview(found).is_right


def test_members_elsewhere():
    found = snapshot(web(member(1, address="10.0.3.5", subnet_id="sub3")))
    assert places(found)["neutron-net3"] == (SWITCH, "net3-name", "members", False, True, ())


def test_floating_ips_belong_to_ports():
    found = snapshot(fips={VIP: FIP})
    assert found.floating_ip("vip-port", VIP) == FIP
    assert found.floating_ip("other", VIP) is None
    assert found.floating_ip("vip-port", "10.0.0.1") is None


def test_notes():
    found = overview(snapshot(CHECKED, problems=("a",), notes=("b",)))
    assert found.notes == ("a", "b")


def test_policies_are_named_as_without_effect():
    statuses = {
        (Kind.L7POLICY, "policy"): ObjectStatus("redirect", "ERROR", "ERROR"),
        (Kind.L7POLICY, "nameless"): ObjectStatus("", "ERROR", "ERROR"),
        (Kind.L7RULE, "rule"): ObjectStatus("", "ERROR", "ERROR"),
    }

    notes = overview(snapshot(statuses=statuses)).notes

    assert [note.partition(" has no effect")[0] for note in notes] == [
        "L7 policy redirect",
        "L7 policy nameless",
    ]


def weighing(found, **weights):
    return dataclasses.replace(found, health=dataclasses.replace(found.health, weights=weights))


@pytest.mark.parametrize(
    ("weight", "details", "ovn", "state"),
    [
        (3, "10.0.0.1:80, weight 3 as it says itself, net1-name", "up", State.GOOD),
        (0, "10.0.0.1:80, weight 0 as it says itself, net1-name", "drained", State.OFF),
    ],
)
def test_weights_that_members_say(weight, details, ovn, state):
    found = node(weighing(probed(), m1=weight), "m1")
    assert (found.details, found.state) == (details, state)
    assert found.ovn.startswith(ovn)


def test_members_that_serve_because_all_fail():
    found = probed("ERROR", "ERROR", lb=with_flavor(fail_open=True))
    assert node(found, "m1").ovn == "down, serves as all others fail, too"
    assert node(found, "m1").state is State.BAD
    assert node(probed("ERROR", "ERROR"), "m1").ovn == "down"
    assert node(probed("ERROR"), "m1").ovn == "down"


def test_keys_of_the_flavor_that_have_no_effect_are_named():
    both = with_flavor(fail_open=True, endpoint_weights=True)
    found = overview(snapshot(both, mappings=MAPPINGS))
    words = "fail_open and endpoint_weights of the flavor has no effect on pool p1"
    assert [note for note in found.notes if note.startswith(words)]
    assert overview(probed(lb=both)).notes == ()
    assert overview(snapshot(CHECKED, mappings=MAPPINGS)).notes == ()


def with_flavor(**values):
    return dataclasses.replace(CHECKED, flavor=model.Flavor(**values))
