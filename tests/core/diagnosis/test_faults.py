# SPDX-License-Identifier: Apache-2.0
"""What stops a packet is named."""

import dataclasses

import pytest

from octavia_ovn.core import health, model
from octavia_ovn.core.diagnosis.acls import VIP_GROUPS, Acl
from octavia_ovn.core.diagnosis.findings import Severity
from octavia_ovn.core.diagnosis.snapshot import Switch
from octavia_ovn.core.topology import RouterPort
from tests.core.builders import VIP, balancer, listener, member, stored, web
from tests.core.diagnosis.snapshots import (
    ACLS,
    ALONE,
    ATTACHED,
    DROP,
    EXT,
    FAR,
    FIP,
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
    down,
    faults,
    no_groups,
    port,
    snapshot,
    trace,
    unbound,
    with_ports,
    with_rows,
)

PROVIDER = {NET1: Switch(NET1, "net1-name", "physnet1")}
HAIRPIN = model.Flavor(hairpin_snat_ip=("fd00::9", "192.0.2.9"))
DISABLED = dataclasses.replace(LB, enabled=False)
ELSEWHERE = member(1, address="10.0.3.5", subnet_id="sub3")
NO_GATEWAY = tuple(each for each in snapshot().router_ports if not each.gateway)
LIFTED = dataclasses.replace(port(NEAR, NET1, "10.0.0.7"), groups=frozenset({DROP}))
STATELESS = Acl(GROUP, "from-lport", 1002, f"inport == @{GROUP} && ip4", "allow-stateless")
ONLY_VIP = Acl(GROUP, "from-lport", 1002, f"inport == @{GROUP} && ip4.dst == {VIP}", "allow")


FAULTS = [
    (
        "lost VIP",
        snapshot(rows=stored(LB, attachments=ATTACHED, lost={VIP: "it is gone"})),
        FAR,
        "vip-port",
        "is not served: it is gone",
    ),
    ("no rows", snapshot(rows=(), intent=None), NEAR, "octavia", "has no row"),
    ("down", snapshot(DISABLED), NEAR, "load-balancer", "administratively down"),
    ("no listener", snapshot(balancer()), NEAR, "listener", "no listener at all"),
    (
        "listener down",
        snapshot(balancer([listener(enabled=False)], LB.pools)),
        NEAR,
        "listener",
        "Listener l1 (TCP 80) is administratively down",
    ),
    ("no pool", snapshot(balancer([listener(pool_id=None)])), NEAR, "pool", "has no pool"),
    (
        "pool down",
        snapshot(web(member(1), enabled=False)),
        NEAR,
        "pool",
        "Pool p1 is administratively down",
    ),
    ("no members", snapshot(web()), NEAR, "members", "has no members"),
    (
        "drained",
        snapshot(web(member(1, weight=0), member(2, enabled=False))),
        NEAR,
        "members",
        "has weight 0; member 10.0.0.2:80 is administratively down",
    ),
    (
        "other family",
        snapshot(web(member(1, address="fd00::1"))),
        NEAR,
        "members",
        f"is not of the IP version of {VIP}",
    ),
    ("outside", snapshot(), OUTSIDE, "address", "is a private address"),
    (
        "no router",
        snapshot(),
        ALONE,
        "address",
        "No router connects the client's network net3-name with",
    ),
    (
        "client down",
        with_ports(snapshot(), *down(NEAR)),
        NEAR,
        "client-port",
        "administratively down",
    ),
    (
        "client unbound",
        with_ports(snapshot(), *unbound(NEAR)),
        NEAR,
        "client-port",
        "is not bound to a hypervisor",
    ),
    (
        "egress",
        with_ports(snapshot(), LIFTED),
        NEAR,
        "client-security-groups",
        "ACLs forbid the client's packets to TCP 10.0.0.100:80",
    ),
    (
        "egress to members",
        snapshot(acls=(*ACLS[:2], ONLY_VIP, ACLS[3])),
        NEAR,
        "client-security-groups",
        "to the member 10.0.0.1:80",
    ),
    (
        "allowed_cidrs",
        with_ports(snapshot(acls=(*ACLS, RESTRICTED)), *GUARDED),
        NEAR,
        "network-rules",
        "port group pg_cidrs: drop",
    ),
    (
        "vip_sg_ids",
        with_ports(
            snapshot(acls=(*ACLS, dataclasses.replace(RESTRICTED, owner=VIP_GROUPS))),
            *GUARDED,
        ),
        NEAR,
        "network-rules",
        "security groups of the VIP: drop",
    ),
    (
        "allowed_cidrs outside",
        with_ports(
            snapshot(
                fips=FIPS, acls=(*ACLS, dataclasses.replace(RESTRICTED, match=f"ip4.dst == {FIP}"))
            ),
            *GUARDED,
        ),
        OUTSIDE,
        "network-rules",
        "ACLs forbid packets from 172.24.4.200",
    ),
    (
        "no gateway",
        snapshot(fips=FIPS, router_ports=NO_GATEWAY),
        OUTSIDE,
        "gateway",
        "Router r1-name has no gateway",
    ),
    (
        "gateway nowhere",
        snapshot(fips=FIPS, gateway_chassis={"lrp-r1-ext": ""}),
        OUTSIDE,
        "gateway",
        "is bound to no hypervisor",
    ),
    ("router down", snapshot(down=frozenset({R1})), NEAR, "routers", "Router r1-name is admin"),
    (
        "router down for another network",
        snapshot(down=frozenset({R1})),
        FAR,
        "routers",
        "Router r1",
    ),
    (
        "router down for clients outside",
        snapshot(fips=FIPS, down=frozenset({R1})),
        OUTSIDE,
        "routers",
        "Router r1-name is administratively down",
    ),
    (
        "router port down",
        snapshot(down=frozenset({"lrp-r1-net2"})),
        FAR,
        "routers",
        "The interface of router r1-name on network neutron-net2 is administratively down",
    ),
    (
        "switch port of the router down",
        with_ports(snapshot(), *down("r1-net2")),
        FAR,
        "routers",
        "The interface of router r1-name on network neutron-net2 is administratively down",
    ),
    (
        "gateway's port down",
        with_ports(snapshot(fips=FIPS), *down("r1-ext")),
        OUTSIDE,
        "routers",
        "The interface of router r1-name on network ext-name is administratively down",
    ),
    (
        "router's interface to the members down",
        snapshot(down=frozenset({"lrp-r1-net1"})),
        FAR,
        "backends",
        "member 10.0.0.1:80: The interface of router r1-name on network net1-name is admin",
    ),
    (
        "router's interface to the members down for clients outside",
        with_ports(snapshot(fips=FIPS), *down("r1-net1")),
        OUTSIDE,
        "backends",
        "The interface of router r1-name on network net1-name is administratively down",
    ),
    (
        "stateless",
        snapshot(acls=(*ACLS, STATELESS)),
        NEAR,
        "client-security-groups",
        "A stateless rule allows the client's packets to TCP 10.0.0.100:80, so OVN does not bal",
    ),
    (
        "stateless from another network",
        snapshot(acls=(ACLS[0], ACLS[1], STATELESS, ACLS[3])),
        FAR,
        "client-security-groups",
        "port group pg_web: allow-stateless inport",
    ),
    (
        "not on switch",
        with_rows(snapshot(), switches=frozenset({NET1})),
        FAR,
        "attachment",
        "not attached to the client's network",
    ),
    (
        "not on router",
        with_rows(snapshot(fips=FIPS), routers=frozenset()),
        OUTSIDE,
        "attachment",
        "not attached to router r1-name",
    ),
    (
        "isolated",
        with_rows(snapshot(router_ports=()), routers=frozenset()),
        NEAR,
        "vip-port",
        "Nothing answers ARP for 10.0.0.100",
    ),
    (
        "provider network without a router",
        with_rows(snapshot(switches=PROVIDER, router_ports=()), routers=frozenset()),
        NEAR,
        "attachment",
        "no router has a gateway or an interface on the provider network net1-name",
    ),
    ("vip port", with_ports(snapshot(), answering()), NEAR, "vip-port", "has addresses"),
    (
        "no entry",
        with_rows(snapshot(), vips={}),
        NEAR,
        "vips",
        "10.0.0.100:80 is missing from vips",
    ),
    (
        "no entry of fip",
        with_rows(snapshot(fips=FIPS), vips={f"{VIP}:80": "10.0.0.1:80"}),
        OUTSIDE,
        "vips",
        f"{FIP}:80 is missing",
    ),
    (
        "dead",
        checked("10.0.0.1", "10.0.0.2"),
        NEAR,
        "backends",
        "is DOWN according to its health monitor",
    ),
    (
        "unmapped",
        checked(mappings={}),
        NEAR,
        "backends",
        "is not checked and therefore left out",
    ),
    (
        "no route",
        snapshot(web(ELSEWHERE)),
        FAR,
        "backends",
        "subnet 10.0.3.0/24, which the client's network neutron-net2 does not lead to",
    ),
    (
        "no route from outside",
        snapshot(web(ELSEWHERE), fips=FIPS),
        OUTSIDE,
        "backends",
        "which router r1-name does not lead to",
    ),
    (
        "all unreachable",
        with_rows(
            checked(members=dict.fromkeys(["m1", "m2"], health.HealthState.UNREACHABLE)),
            vips={f"{VIP}:80": ""},
        ),
        NEAR,
        "members",
        "10.0.0.1:80 cannot be reached",
    ),
    (
        "members down",
        with_ports(snapshot(), *down("one", "two")),
        NEAR,
        "backends",
        "administratively down",
    ),
    (
        "members unbound",
        with_ports(snapshot(), *unbound("one", "two")),
        NEAR,
        "backends",
        "is not bound to a hypervisor",
    ),
    (
        "ingress",
        with_ports(snapshot(), *no_groups("one", "two")),
        NEAR,
        "backends",
        "do not let packets in from 10.0.0.7 to port 80 (no rule allows it: drop",
    ),
]


@pytest.mark.parametrize(
    ("found", "sender", "check", "words"),
    [each[1:] for each in FAULTS],
    ids=[each[0] for each in FAULTS],
)
def test_the_fault_is_named(found, sender, check, words):
    explanation = trace(found, sender)
    assert explanation.severity is Severity.FAULT
    first = faults(explanation)[0]
    assert (check, first) in [(each.name, finding) for each, finding in explanation.findings]
    assert words in first.sentence


def test_a_stateless_client_outside_is_balanced_by_the_router():
    ours = with_ports(snapshot(fips=FIPS, acls=(*ACLS, STATELESS)), port("ext", EXT, "172.24.4.77"))
    assert trace(ours, "ext").severity is Severity.OK


def test_one_router_of_two_may_be_down():
    second = (
        RouterPort("lrp-r2-net1", "neutron-r2", NET1, ("10.0.0.253/24",)),
        RouterPort("lrp-r2-net2", "neutron-r2", NET2, ("10.0.1.253/24",)),
    )
    found = snapshot(router_ports=(*snapshot().router_ports, *second), down=frozenset({R1}))
    explanation = trace(found, FAR)
    assert explanation.severity is Severity.WARNING
    assert any(
        "openstack router set --enable r1" in each.remedy for _, each in explanation.findings
    )


def test_a_port_for_checks_that_is_down():
    found = with_ports(checked(), *down("hm"))
    words = [each.sentence for _, each in trace(found).findings]
    assert any("that members are checked from is administratively down" in each for each in words)


def test_there_may_be_several_faults():
    found = with_rows(snapshot(DISABLED), switches=frozenset())
    checks = {
        each.name for each, finding in trace(found).findings if finding.severity is Severity.FAULT
    }
    assert checks == {"load-balancer", "attachment"}


def test_a_member_that_calls_its_own_vip_sees_the_vip():
    only = (
        *ACLS[:3],
        Acl(GROUP, "to-lport", 1002, f"outport == @{GROUP} && ip4.src == 10.0.0.1", "allow"),
    )
    found = snapshot(web(member(1)), acls=only)
    (fault,) = faults(trace(found, "one"))
    assert f"from {VIP} to port 80" in fault.sentence

    flavored = dataclasses.replace(found.intent, flavor=HAIRPIN)
    (fault,) = faults(trace(dataclasses.replace(found, intent=flavored), "one"))
    assert "from 192.0.2.9 to port 80" in fault.sentence
