# SPDX-License-Identifier: Apache-2.0
"""Whether a packet gets through, with warnings and unknown facts."""

import dataclasses

import pytest

from octavia_ovn.core import model
from octavia_ovn.core.diagnosis.acls import Acl
from octavia_ovn.core.diagnosis.checks import CHECKS
from octavia_ovn.core.diagnosis.findings import Severity
from octavia_ovn.core.diagnosis.snapshot import ObjectStatus
from octavia_ovn.core.pending import Kind
from octavia_ovn.core.topology import RouterPort
from tests.core.builders import VIP, balancer, listener, member, monitor, pool, vip, web
from tests.core.diagnosis.snapshots import (
    ACLS,
    EXT,
    FAR,
    FIPS,
    GROUP,
    GUARDED,
    LB,
    NEAR,
    NET1,
    NET2,
    OUTSIDE,
    R1,
    RESTRICTED,
    answering,
    checked,
    faults,
    port,
    snapshot,
    trace,
    with_ports,
    with_rows,
)


@pytest.mark.parametrize(
    ("found", "sender"),
    [
        (snapshot(), NEAR),
        (snapshot(), FAR),
        (snapshot(), "one"),
        (snapshot(fips=FIPS), OUTSIDE),
        (snapshot(fips=FIPS), FAR),
        (checked(), NEAR),
        (checked(), FAR),
    ],
)
def test_all_is_well(found, sender):
    explanation = trace(found, sender)
    assert explanation.severity is Severity.OK
    assert faults(explanation) == []


@pytest.mark.parametrize(("found", "sender"), [(snapshot(), NEAR), (snapshot(), OUTSIDE)])
def test_a_router_with_two_interfaces_on_the_network_is_named_once(found, sender):
    ports = (*found.router_ports, RouterPort("lrp-r1-net1-v6", R1, NET1, ("fd00::1/64",)))
    both = trace(dataclasses.replace(found, router_ports=ports), sender)
    assert both.findings == trace(found, sender).findings


def test_a_router_with_two_interfaces_and_no_gateway_is_named_once():
    found = snapshot()
    inner = [each for each in found.router_ports if not each.gateway]
    ports = (*inner, RouterPort("lrp-r1-net1-v6", R1, NET1, ("fd00::1/64",)))
    words = [each.sentence for each in faults(trace(snapshot(router_ports=ports), OUTSIDE))]
    assert "Router r1-name has no gateway to an external network." in words


def test_the_names_of_checks_are_different():
    assert len({check.name for check in CHECKS}) == len(CHECKS)


HOLES = with_ports(snapshot(), without=("two",))
PENDING = {(Kind.LOAD_BALANCER, "lb1"): ObjectStatus("web", "PENDING_UPDATE", "ONLINE")}
BACKUP = web(member(1), member(2, backup=True))
UNMONITORED = balancer([listener()], [pool(members=[member(1)], monitor=monitor(enabled=False))])

WARNINGS = [
    ("pending", snapshot(statuses=PENDING), "octavia", "in PENDING_UPDATE"),
    ("damaged", snapshot(problems=("'x' cannot be read",)), "octavia", "'x' cannot be read"),
    ("different", snapshot(octavia=web(member(1))), "octavia", "member m2: not in Octavia"),
    (
        "some serve",
        snapshot(web(member(1), member(2, weight=0))),
        "members",
        "1 of 2 members do not serve",
    ),
    ("backup", snapshot(BACKUP), "members", "is a backup"),
    ("one missing", HOLES, "backends", "10.0.0.2"),
    ("one dead", checked("10.0.0.2"), "backends", "10.0.0.2:80 is DOWN"),
    ("no check", with_rows(checked(), health_checks=()), "health-monitor", "has no health check"),
    (
        "no source",
        with_ports(checked(), without=("hm",)),
        "health-monitor",
        "(10.0.0.250): another machine may be given it",
    ),
]


@pytest.mark.parametrize(
    ("found", "check", "words"), [each[1:] for each in WARNINGS], ids=[each[0] for each in WARNINGS]
)
def test_a_warning_stops_nothing(found, check, words):
    explanation = trace(found)
    assert explanation.severity is Severity.WARNING
    (warning,) = [each for each in explanation.findings if each[1].severity is Severity.WARNING]
    assert warning[0].name == check
    assert words in warning[1].sentence


FENCED = balancer([listener(allowed_cidrs=("10.0.0.0/24", "fd00::/64"))], LB.pools)
FENCE = dataclasses.replace(
    RESTRICTED, match=f"ip4.dst == {VIP} && ip4.src == $denied", listener="l1"
)
SETS = {"denied": ("10.0.1.0/24",)}


@pytest.mark.parametrize(
    ("sender", "sets", "severity", "words"),
    [
        (
            NEAR,
            SETS,
            Severity.OK,
            "The listener's allowed_cidrs (10.0.0.0/24, fd00::/64) contain 10.0.0.7.",
        ),
        (FAR, SETS, Severity.FAULT, "do not contain 10.0.1.7."),
        (FAR, {"denied": ()}, Severity.WARNING, "do not contain 10.0.1.7, but no rule denies it"),
        (NEAR, {"denied": ("10.0.0.0/24",)}, Severity.FAULT, "ACLs forbid packets from 10.0.0.7"),
    ],
)
def test_allowed_cidrs(sender, sets, severity, words):
    found = with_ports(snapshot(FENCED, acls=(*ACLS, FENCE), address_sets=sets), *GUARDED)
    explanation = trace(found, sender)
    assert explanation.severity is severity
    (said,) = [each for _, each in explanation.findings if words in each.sentence]
    assert said.severity is severity


@pytest.mark.parametrize(
    ("closed", "severity", "words"),
    [
        ((), Severity.OK, "connection_limit (10) lets new connections in."),
        (("l1",), Severity.FAULT, "has as many connections as its connection_limit (10) lets in"),
    ],
)
def test_connection_limit(closed, severity, words):
    lb = balancer([listener(connection_limit=10)], LB.pools)
    explanation = trace(snapshot(lb, closed=frozenset(closed)), NEAR)
    (said,) = [each for _, each in explanation.findings if words in each.sentence]
    assert said.severity is severity


def test_a_provider_network_must_not_refer_to_it():
    found = with_rows(snapshot(fips=FIPS), switches=frozenset({NET1, NET2, EXT}))
    explanation = trace(found, OUTSIDE)
    assert explanation.severity is Severity.WARNING
    assert any(
        "attached to the provider network" in each.sentence for _, each in explanation.findings
    )


UNKNOWN_RULE = Acl(GROUP, "from-lport", 3000, "ct.est", "drop")
UNCLEAR = [
    ("rule", snapshot(acls=(*ACLS, UNKNOWN_RULE)), NEAR, "client-security-groups"),
    (
        "rule of members",
        snapshot(acls=(*ACLS, dataclasses.replace(UNKNOWN_RULE, direction="to-lport"))),
        NEAR,
        "backends",
    ),
    ("gateway", snapshot(fips=FIPS, gateway_chassis={}), OUTSIDE, "gateway"),
    (
        "chassis",
        with_ports(snapshot(), dataclasses.replace(port(NEAR, NET1, "10.0.0.7"), chassis=None)),
        NEAR,
        "client-port",
    ),
    ("subnet", snapshot(web(member(1, subnet_id="gone"))), NEAR, "backends"),
]


@pytest.mark.parametrize(
    ("found", "sender", "check"), [each[1:] for each in UNCLEAR], ids=[each[0] for each in UNCLEAR]
)
def test_unknown_facts_are_named(found, sender, check):
    explanation = trace(found, sender)
    assert explanation.severity is Severity.UNCLEAR
    assert check in {
        each.name for each, finding in explanation.findings if finding.severity is Severity.UNCLEAR
    }


@pytest.mark.parametrize(
    "found",
    [
        snapshot(UNMONITORED),
        with_ports(snapshot(), answering(silent=True)),
        with_ports(snapshot(answers_for_down=False), answering(chassis="")),
        with_ports(snapshot(), port("vip-port", NET1, VIP, addresses=("fa:16:3e:00:00:01",))),
        with_ports(
            snapshot(acls=(*ACLS, RESTRICTED)),
            dataclasses.replace(GUARDED[1], groups=frozenset({"pg_cidrs"})),
        ),
        with_ports(snapshot(acls=(*ACLS, dataclasses.replace(RESTRICTED, match="udp"))), *GUARDED),
        snapshot(statuses={}),
    ],
)
def test_what_is_right(found):
    assert trace(found).severity is Severity.OK


def test_a_vip_on_a_provider_network_is_reached_from_outside():
    lb = balancer(
        [listener()], LB.pools, vips=(vip("172.24.4.50", subnet_id="subx", network_id="ext"),)
    )
    found = with_ports(snapshot(lb), without=("vip-port",))
    explanation = trace(found, OUTSIDE)
    assert explanation.severity is Severity.OK
    assert explanation.path.gateways[0].name == "lrp-r1-ext"


def dual_stack():
    """A load balancer with an IPv6 VIP, behind a router with a gateway."""
    lb = balancer(
        [listener()], [pool(members=[member(1, address="fd00::1")])], vips=(vip("fd00::100"),)
    )
    ports = (
        RouterPort("lrp-r1-net1", R1, NET1, ("10.0.0.254/24", "fd00::fe/64")),
        *snapshot().router_ports[1:],
    )
    acls = (*ACLS, Acl(GROUP, "to-lport", 1002, f"outport == @{GROUP} && ip6", "allow"))
    return with_ports(snapshot(lb, router_ports=ports, acls=acls), port("one", NET1, "fd00::1"))


def test_ipv6_is_routed():
    explanation = trace(dual_stack(), "2001:db8::7")
    assert explanation.severity is Severity.WARNING
    assert "by router r1-name" in next(
        each.sentence for _, each in explanation.findings if each.severity is Severity.WARNING
    )


def test_a_member_on_a_provider_network_may_be_a_machine_outside():
    lb = web(member(1, address="172.24.4.60", subnet_id="subx"))
    subnets = {
        **snapshot().subnets,
        "subx": dataclasses.replace(
            snapshot().subnets["sub3"], id="subx", network_id="ext", cidr="172.24.4.0/24"
        ),
    }
    ports = (*snapshot().router_ports[:2], RouterPort("lrp-x", R1, EXT, ("172.24.4.2/24",)))
    assert trace(snapshot(lb, subnets=subnets, router_ports=ports), FAR).severity is Severity.OK


def test_a_responder_answers_where_there_is_no_router():
    isolated = with_rows(
        snapshot(router_ports=(), answered=frozenset({VIP})), routers=frozenset(), switches={NET1}
    )
    assert trace(isolated).severity is Severity.OK


def test_a_vip_of_unknown_network():
    lb = balancer([listener()], LB.pools, vips=(model.Vip(VIP, None),))
    explanation = trace(snapshot(lb), FAR)
    assert explanation.path.vip_switch == ""
    assert faults(explanation)[0].sentence.startswith("No router connects")
