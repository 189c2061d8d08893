"""Whether a packet gets through, and what is named when it does not."""

import dataclasses

import pytest

from octavia_ovn.core import model
from octavia_ovn.core.insight.acls import Acl
from octavia_ovn.core.insight.checks import CHECKS
from octavia_ovn.core.insight.findings import Verdict
from octavia_ovn.core.insight.path import Client, NoPath, paths
from octavia_ovn.core.insight.scene import Scene, Switch, Told
from octavia_ovn.core.pending import Kind
from octavia_ovn.core.topology import RouterPort
from tests.core.builders import VIP, balancer, listener, member, monitor, pool, vip, web
from tests.core.scenes import (
    ACLS,
    ALONE,
    DROP,
    EXT,
    FAR,
    FIP,
    GROUP,
    LB,
    NEAR,
    NET1,
    NET2,
    OUTSIDE,
    PORTS,
    R1,
    checked,
    client,
    port,
    scene,
    trace,
    with_ports,
    with_rows,
)

FIPS = {VIP: FIP}
PROVIDER = {NET1: Switch(NET1, "net1-name", "physnet1")}


@pytest.mark.parametrize(
    ("found", "sender"),
    [
        (scene(), NEAR),
        (scene(), FAR),
        (scene(), "one"),
        (scene(fips=FIPS), OUTSIDE),
        (scene(fips=FIPS), FAR),
        (checked(), NEAR),
        (checked(), FAR),
    ],
)
def test_all_is_well(found, sender):
    explanation = trace(found, sender)
    assert explanation.verdict is Verdict.OK
    assert explanation.faults == ()


def test_the_names_of_checks_are_different():
    assert len({check.name for check in CHECKS}) == len(CHECKS)


# --- what stops packets

DISABLED = dataclasses.replace(LB, enabled=False)
ELSEWHERE = member(1, address="10.0.3.5", subnet_id="sub3")
NO_GATEWAY = tuple(each for each in scene().router_ports if not each.gateway)
LIFTED = dataclasses.replace(port(NEAR, NET1, "10.0.0.7"), groups=frozenset({DROP}))
ONLY_VIP = Acl(GROUP, "from-lport", 1002, f"inport == @{GROUP} && ip4.dst == {VIP}", "allow")
RESTRICTED = Acl(
    "pg_cidrs", "from-lport", 2000, f"ip4.dst == {VIP} && ip4.src != 10.9.0.0/16", "drop"
)
GUARDED = [
    dataclasses.replace(each, groups=frozenset({"pg_cidrs"}))
    for each in PORTS
    if each.type == "router"
]


def no_groups(*names):
    return [
        dataclasses.replace(each, groups=frozenset({DROP})) for each in PORTS if each.name in names
    ]


def down(*names):
    return [dataclasses.replace(each, enabled=False) for each in PORTS if each.name in names]


def unbound(*names):
    return [dataclasses.replace(each, chassis="") for each in PORTS if each.name in names]


def answering(**fields):
    return port("vip-port", NET1, VIP, addresses=(f"fa:16:3e:00:00:01 {VIP}",), **fields)


FAULTS = [
    ("no rows", scene(rows=(), intent=None), NEAR, "octavia", "has no row"),
    ("down", scene(DISABLED), NEAR, "load-balancer", "administratively down"),
    ("no listener", scene(balancer()), NEAR, "listener", "no listener at all"),
    (
        "listener down",
        scene(balancer([listener(enabled=False)], LB.pools)),
        NEAR,
        "listener",
        "Listener l1 (TCP 80) is administratively down",
    ),
    ("no pool", scene(balancer([listener(pool_id=None)])), NEAR, "pool", "has no pool"),
    (
        "pool down",
        scene(web(member(1), enabled=False)),
        NEAR,
        "pool",
        "Pool p1 is administratively down",
    ),
    ("no members", scene(web()), NEAR, "members", "has no members"),
    (
        "drained",
        scene(web(member(1, weight=0), member(2, enabled=False))),
        NEAR,
        "members",
        "has weight 0; member 10.0.0.2:80 is administratively down",
    ),
    (
        "other family",
        scene(web(member(1, address="fd00::1"))),
        NEAR,
        "members",
        f"is not of the IP version of {VIP}",
    ),
    ("outside", scene(), OUTSIDE, "address", "is a private address"),
    (
        "no router",
        scene(),
        ALONE,
        "address",
        "No router connects the client's network net3-name with",
    ),
    ("client down", with_ports(scene(), *down(NEAR)), NEAR, "client-port", "administratively down"),
    (
        "client unbound",
        with_ports(scene(), *unbound(NEAR)),
        NEAR,
        "client-port",
        "no hypervisor has it",
    ),
    (
        "egress",
        with_ports(scene(), LIFTED),
        NEAR,
        "client-security-groups",
        "ACLs forbid the client's packets to TCP 10.0.0.100:80",
    ),
    (
        "egress to members",
        scene(acls=(*ACLS[:2], ONLY_VIP, ACLS[3])),
        NEAR,
        "client-security-groups",
        "to the member 10.0.0.1:80",
    ),
    (
        "allowed_cidrs",
        with_ports(scene(acls=(*ACLS, RESTRICTED)), *GUARDED),
        NEAR,
        "network-rules",
        "port group pg_cidrs: drop",
    ),
    (
        "allowed_cidrs outside",
        with_ports(
            scene(
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
        scene(fips=FIPS, router_ports=NO_GATEWAY),
        OUTSIDE,
        "gateway",
        "Router r1-name has no gateway",
    ),
    (
        "gateway nowhere",
        scene(fips=FIPS, gateway_chassis={"lrp-r1-ext": ""}),
        OUTSIDE,
        "gateway",
        "No hypervisor has the gateway",
    ),
    (
        "not on switch",
        with_rows(scene(), switches=frozenset({NET1})),
        FAR,
        "attachment",
        "not attached to the client's network",
    ),
    (
        "not on router",
        with_rows(scene(fips=FIPS), routers=frozenset()),
        OUTSIDE,
        "attachment",
        "not attached to router r1-name",
    ),
    (
        "isolated",
        with_rows(scene(router_ports=()), routers=frozenset()),
        NEAR,
        "vip-port",
        "Nobody answers ARP for 10.0.0.100",
    ),
    (
        "provider network without a router",
        with_rows(scene(switches=PROVIDER, router_ports=()), routers=frozenset()),
        NEAR,
        "attachment",
        "no router has a gateway or an interface on the provider network net1-name",
    ),
    ("vip port", with_ports(scene(), answering()), NEAR, "vip-port", "has addresses"),
    ("no entry", with_rows(scene(), vips={}), NEAR, "vips", "10.0.0.100:80 is missing from vips"),
    (
        "no entry of fip",
        with_rows(scene(fips=FIPS), vips={f"{VIP}:80": "10.0.0.1:80"}),
        OUTSIDE,
        "vips",
        f"{FIP}:80 is missing",
    ),
    ("dead", checked("10.0.0.1", "10.0.0.2"), NEAR, "backends", "is dead, says its health check"),
    (
        "unmapped",
        checked(mappings={}, missing=("10.0.0.1", "10.0.0.2")),
        NEAR,
        "backends",
        "is not checked and therefore left out",
    ),
    (
        "no route",
        scene(web(ELSEWHERE)),
        FAR,
        "backends",
        "subnet 10.0.3.0/24, which the client's network neutron-net2 does not lead to",
    ),
    (
        "no route from outside",
        scene(web(ELSEWHERE), fips=FIPS),
        OUTSIDE,
        "backends",
        "which router r1-name does not lead to",
    ),
    (
        "no port",
        with_ports(scene(), without=("one", "two")),
        NEAR,
        "backends",
        "no port on network net1-name has the address 10.0.0.1",
    ),
    (
        "members down",
        with_ports(scene(), *down("one", "two")),
        NEAR,
        "backends",
        "administratively down",
    ),
    (
        "members unbound",
        with_ports(scene(), *unbound("one", "two")),
        NEAR,
        "backends",
        "no hypervisor has it",
    ),
    (
        "ingress",
        with_ports(scene(), *no_groups("one", "two")),
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
    assert explanation.verdict is Verdict.FAULT
    faults = [
        (each.name, finding)
        for each, finding in explanation.findings
        if finding in explanation.faults
    ]
    assert faults[0][0] == check
    assert words in faults[0][1].sentence


def test_there_may_be_several_faults():
    found = with_rows(scene(DISABLED), switches=frozenset())
    checks = {
        each.name for each, finding in trace(found).findings if finding.verdict is Verdict.FAULT
    }
    assert checks == {"load-balancer", "attachment"}


def test_a_member_that_calls_its_own_vip_sees_the_vip():
    only = (
        *ACLS[:3],
        Acl(GROUP, "to-lport", 1002, f"outport == @{GROUP} && ip4.src == 10.0.0.1", "allow"),
    )
    found = scene(web(member(1)), acls=only)
    (fault,) = trace(found, "one").faults
    assert f"from {VIP} to port 80" in fault.sentence

    flavored = dataclasses.replace(found.intent, flavor=HAIRPIN)
    (fault,) = trace(dataclasses.replace(found, intent=flavored), "one").faults
    assert "from 192.0.2.9 to port 80" in fault.sentence


# --- what does not stop them

HAIRPIN = model.Flavor(hairpin_snat_ip=("fd00::9", "192.0.2.9"))
HOLES = with_ports(scene(), without=("two",))
PENDING = {(Kind.LOAD_BALANCER, "lb1"): Told("web", "PENDING_UPDATE", "ONLINE")}
BACKUP = web(member(1), member(2, backup=True))
UNMONITORED = balancer([listener()], [pool(members=[member(1)], monitor=monitor(enabled=False))])

WARNINGS = [
    ("pending", scene(told=PENDING), "octavia", "in PENDING_UPDATE"),
    ("damaged", scene(problems=("'x' cannot be read",)), "octavia", "'x' cannot be read"),
    ("different", scene(octavia=web(member(1))), "octavia", "member m2: not in Octavia"),
    (
        "some serve",
        scene(web(member(1), member(2, weight=0))),
        "members",
        "1 of 2 members do not serve",
    ),
    ("backup", scene(BACKUP), "members", "is a backup"),
    ("one missing", HOLES, "backends", "10.0.0.2"),
    ("one dead", checked("10.0.0.2"), "backends", "10.0.0.2:80 is dead"),
    ("no check", with_rows(checked(), health_checks=()), "health-monitor", "has no health check"),
    (
        "no source",
        with_ports(checked(), without=("hm",)),
        "health-monitor",
        "(10.0.0.250): another machine may get it",
    ),
]


@pytest.mark.parametrize(
    ("found", "check", "words"), [each[1:] for each in WARNINGS], ids=[each[0] for each in WARNINGS]
)
def test_a_warning_stops_nothing(found, check, words):
    explanation = trace(found)
    assert explanation.verdict is Verdict.WARNING
    (warning,) = [each for each in explanation.findings if each[1].verdict is Verdict.WARNING]
    assert warning[0].name == check
    assert words in warning[1].sentence


FENCED = balancer([listener(allowed_cidrs=("10.0.0.0/24", "fd00::/64"))], LB.pools)
FENCE = dataclasses.replace(
    RESTRICTED, match=f"ip4.dst == {VIP} && ip4.src == $denied", listener="l1"
)
SETS = {"denied": ("10.0.1.0/24",)}


@pytest.mark.parametrize(
    ("sender", "sets", "verdict", "words"),
    [
        (
            NEAR,
            SETS,
            Verdict.OK,
            "The listener's allowed_cidrs (10.0.0.0/24, fd00::/64) have 10.0.0.7 in them.",
        ),
        (FAR, SETS, Verdict.FAULT, "are without 10.0.1.7."),
        (FAR, {"denied": ()}, Verdict.WARNING, "are without 10.0.1.7, but no rule keeps it out"),
        (NEAR, {"denied": ("10.0.0.0/24",)}, Verdict.FAULT, "ACLs forbid packets from 10.0.0.7"),
    ],
)
def test_allowed_cidrs(sender, sets, verdict, words):
    found = with_ports(scene(FENCED, acls=(*ACLS, FENCE), address_sets=sets), *GUARDED)
    explanation = trace(found, sender)
    assert explanation.verdict is verdict
    (said,) = [each for _, each in explanation.findings if words in each.sentence]
    assert said.verdict is verdict


def test_a_provider_network_must_not_refer_to_it():
    found = with_rows(scene(fips=FIPS), switches=frozenset({NET1, NET2, EXT}))
    explanation = trace(found, OUTSIDE)
    assert explanation.verdict is Verdict.WARNING
    assert any(
        "attached to the provider network" in each.sentence for _, each in explanation.findings
    )


UNKNOWN_RULE = Acl(GROUP, "from-lport", 3000, "ct.est", "drop")
UNCLEAR = [
    ("rule", scene(acls=(*ACLS, UNKNOWN_RULE)), NEAR, "client-security-groups"),
    (
        "rule of members",
        scene(acls=(*ACLS, dataclasses.replace(UNKNOWN_RULE, direction="to-lport"))),
        NEAR,
        "backends",
    ),
    ("gateway", scene(fips=FIPS, gateway_chassis={}), OUTSIDE, "gateway"),
    (
        "chassis",
        with_ports(scene(), dataclasses.replace(port(NEAR, NET1, "10.0.0.7"), chassis=None)),
        NEAR,
        "client-port",
    ),
    ("subnet", scene(web(member(1, subnet_id="gone"))), NEAR, "backends"),
]


@pytest.mark.parametrize(
    ("found", "sender", "check"), [each[1:] for each in UNCLEAR], ids=[each[0] for each in UNCLEAR]
)
def test_what_cannot_be_told_is_said(found, sender, check):
    explanation = trace(found, sender)
    assert explanation.verdict is Verdict.UNCLEAR
    assert check in {
        each.name for each, finding in explanation.findings if finding.verdict is Verdict.UNCLEAR
    }


@pytest.mark.parametrize(
    "found",
    [
        scene(UNMONITORED),
        with_ports(scene(), answering(silent=True)),
        with_ports(scene(answers_for_down=False), answering(chassis="")),
        with_ports(scene(), port("vip-port", NET1, VIP, addresses=("fa:16:3e:00:00:01",))),
        with_ports(
            scene(acls=(*ACLS, RESTRICTED)),
            dataclasses.replace(GUARDED[1], groups=frozenset({"pg_cidrs"})),
        ),
        with_ports(scene(acls=(*ACLS, dataclasses.replace(RESTRICTED, match="udp"))), *GUARDED),
        scene(told={}),
    ],
)
def test_what_is_right(found):
    assert trace(found).verdict is Verdict.OK


def test_a_vip_on_a_provider_network_is_reached_from_outside():
    lb = balancer(
        [listener()], LB.pools, vips=(vip("172.24.4.50", subnet_id="subx", network_id="ext"),)
    )
    found = with_ports(scene(lb), without=("vip-port",))
    explanation = trace(found, OUTSIDE)
    assert explanation.verdict is Verdict.OK
    assert explanation.path.gateways[0].name == "lrp-r1-ext"


def test_ipv6_is_routed():
    lb = balancer(
        [listener()], [pool(members=[member(1, address="fd00::1")])], vips=(vip("fd00::100"),)
    )
    ports = (
        RouterPort("lrp-r1-net1", R1, NET1, ("10.0.0.254/24", "fd00::fe/64")),
        *scene().router_ports[1:],
    )
    acls = (*ACLS, Acl(GROUP, "to-lport", 1002, f"outport == @{GROUP} && ip6", "allow"))
    found = with_ports(scene(lb, router_ports=ports, acls=acls), port("one", NET1, "fd00::1"))
    explanation = trace(found, "2001:db8::7")
    assert explanation.verdict is Verdict.WARNING
    assert "by router r1-name" in next(
        each.sentence for _, each in explanation.findings if each.verdict is Verdict.WARNING
    )


def test_a_member_on_a_provider_network_may_be_a_machine_outside():
    lb = web(member(1, address="172.24.4.60", subnet_id="subx"))
    subnets = {
        **scene().subnets,
        "subx": dataclasses.replace(
            scene().subnets["sub3"], id="subx", network_id="ext", cidr="172.24.4.0/24"
        ),
    }
    ports = (*scene().router_ports[:2], RouterPort("lrp-x", R1, EXT, ("172.24.4.2/24",)))
    assert trace(scene(lb, subnets=subnets, router_ports=ports), FAR).verdict is Verdict.OK


def test_a_router_of_ours_answers_where_there_is_no_other():
    isolated = with_rows(
        scene(router_ports=(), answered=frozenset({VIP})), routers=frozenset(), switches={NET1}
    )
    assert trace(isolated).verdict is Verdict.OK


def test_a_vip_of_unknown_network():
    lb = balancer([listener()], LB.pools, vips=(model.Vip(VIP, None),))
    explanation = trace(scene(lb), FAR)
    assert explanation.path.vip_switch == ""
    assert explanation.faults[0].sentence.startswith("No router connects")


# --- which path


def test_each_listener_has_a_path():
    lb = balancer(
        [listener(), listener("l2", 443), listener("l3", 53, protocol=model.Protocol.UDP)], LB.pools
    )
    found = scene(lb)
    every = paths(found, client(found, NEAR))
    assert [(each.protocol, each.port) for each in every] == [
        ("udp", 53),
        ("tcp", 80),
        ("tcp", 443),
    ]
    (secure,) = paths(found, client(found, NEAR), port=443)
    assert secure.port == 443
    assert "no listener on port 444" in trace(found, port=444).faults[0].sentence


def test_addresses():
    found = scene(fips=FIPS)
    for sender, address in ((NEAR, VIP), (FAR, VIP), (OUTSIDE, FIP), (ALONE, FIP)):
        (path,) = paths(found, client(found, sender))
        assert path.destination == address
    assert trace(found, NEAR, FIP).verdict is Verdict.OK
    assert trace(found, OUTSIDE, VIP).verdict is Verdict.FAULT


def test_a_client_on_the_provider_network_is_outside():
    found = with_ports(scene(fips=FIPS), port("ext", EXT, "172.24.4.77"))
    explanation = trace(found, "ext")
    assert explanation.path.destination == FIP
    assert not explanation.path.is_inside
    assert explanation.verdict is Verdict.OK


@pytest.mark.parametrize(
    ("found", "sender", "address", "words"),
    [
        (Scene("lb1"), NEAR, None, "Neither the Northbound database nor Octavia"),
        (scene(), "fd00::1", None, "No VIP has an address of the IP version of fd00::1"),
        (
            scene(),
            OUTSIDE,
            "10.0.0.99",
            f"no address 10.0.0.99 that 172.24.4.200, outside can use; it has {VIP}",
        ),
    ],
)
def test_no_path(found, sender, address, words):
    with pytest.raises(NoPath, match=words):
        paths(found, Client((sender,)), address)


def test_titles():
    found = scene()
    assert client(found, NEAR).title == "port near-name (near), 10.0.0.7"
    assert dataclasses.replace(found.ports[NEAR], label="").title == NEAR
