# SPDX-License-Identifier: Apache-2.0
"""Where a load balancer hangs, given networks and routers."""

import dataclasses

import pytest

from octavia_ovn.core.topology import (
    Attachments,
    RouterPort,
    Subnet,
    attachments,
    ingress_ports,
    place_member,
    subnets_around,
    switch_name,
)
from tests.core.builders import Cloud, balancer, member, vip, web

SUBNETS = {
    "sub1": Subnet("sub1", "net1", "10.0.0.0/24"),
    "sub2": Subnet("sub2", "net2", "10.2.0.0/24"),
    "sub3": Subnet("sub3", "net3", "10.3.0.0/24"),
    "sub6": Subnet("sub6", "net1", "fd00::/64"),
    "ext": Subnet("ext", "ext", "10.73.1.0/24"),
}
N1, N2, N3, EXT = map(switch_name, ("net1", "net2", "net3", "ext"))
IF1, IF2, IF3 = ("10.0.0.1/24",), ("10.2.0.1/24",), ("10.3.0.1/24",)
GATEWAY = (EXT, ("10.73.1.1/24",))


def vip_on(number, **fields):
    return vip(f"10.{number}.0.100", subnet_id=f"sub{number}", network_id=f"net{number}", **fields)


def member_on(number, host=7):
    return member(host, address=f"10.{number}.0.{host}", subnet_id=f"sub{number}")


VIP6 = vip("fd00::100", subnet_id="sub6")
VIP_EXT = vip("10.73.1.100", subnet_id="ext", network_id="ext")


def hangs(lb, cloud, **options):
    found = attachments(lb, cloud, SUBNETS, **options)
    return set(found.switches), set(found.routers)


class TestExampleOfTheReferenceDocument:
    """N1 with LB1, N2 with LB2 and N3 on R1; then N2 leaves R1."""

    LB1, LB2 = balancer(), balancer(vips=(vip_on(2),))
    CLOUD = Cloud({"R1": {N1: IF1, N2: IF2, N3: IF3}})

    @pytest.mark.parametrize("lb", [LB1, LB2])
    def test_all_switches_and_the_router_hold_both(self, lb):
        assert hangs(lb, self.CLOUD) == ({N1, N2, N3}, {"R1"})

    def test_each_keeps_what_it_still_reaches(self):
        without_n2 = Cloud({"R1": {N1: IF1, N3: IF3}}, switches=[N2])

        assert hangs(self.LB1, without_n2) == ({N1, N3}, {"R1"})
        assert hangs(self.LB2, without_n2) == ({N2}, set())


# What there is, and where the load balancer hangs: switches, routers.
CASES = {
    "no router": (balancer(), Cloud(switches=[N1]), {N1}, set()),
    "the switch is gone": (balancer(), Cloud(), set(), set()),
    "the member's switch is gone": (web(member_on(2)), Cloud(switches=[N1]), {N1}, set()),
    "a member on another switch": (web(member_on(2)), Cloud(switches=[N1, N2]), {N1, N2}, set()),
    "a member in an unknown subnet": (
        web(member(1, subnet_id="sub9")),
        Cloud(switches=[N1]),
        {N1},
        set(),
    ),
    "a member without subnet": (web(member(1, subnet_id=None)), Cloud(switches=[N1]), {N1}, set()),
    "a VIP of which only the subnet is known": (
        balancer(vips=(vip(network_id=None),)),
        Cloud(switches=[N1]),
        {N1},
        set(),
    ),
    "a VIP of which nothing is known": (
        balancer(vips=(vip(network_id=None, subnet_id=None),)),
        Cloud(switches=[N1]),
        set(),
        set(),
    ),
    "two routers on the VIP's network, with networks of their own": (
        balancer(),
        Cloud({"R1": {N1: IF1, N2: IF2}, "R2": {N1: ("10.0.0.2/24",), N3: IF3}}),
        {N1, N2, N3},
        {"R1", "R2"},
    ),
    "one of two routers has left": (
        balancer(),
        Cloud({"R1": {N1: IF1, N2: IF2}, "R2": {N3: IF3}}),
        {N1, N2},
        {"R1"},
    ),
    "a member behind another router": (
        web(member_on(2)),
        Cloud({"R1": {N1: IF1}, "R2": {N2: IF2, N3: IF3}}),
        {N1, N2, N3},
        {"R1", "R2"},
    ),
    "the last member behind it has left": (
        web(),
        Cloud({"R1": {N1: IF1}, "R2": {N2: IF2, N3: IF3}}),
        {N1},
        {"R1"},
    ),
    "a member's network has left the VIP's router": (
        web(member_on(2)),
        Cloud({"R1": {N1: IF1, N3: IF3}}, switches=[N2]),
        {N1, N2, N3},
        {"R1"},
    ),
    "a gateway leads to no network of ours": (
        balancer(),
        Cloud({"R1": {N1: IF1}}, provider=[EXT], gateways={"R1": GATEWAY}),
        {N1},
        {"R1"},
    ),
    "a gateway network that is no provider network": (
        balancer(),
        Cloud({"R1": {N1: IF1}}, gateways={"R1": GATEWAY}),
        {N1},
        {"R1"},
    ),
    "a VIP on a provider network": (
        balancer(vips=(VIP_EXT,)),
        Cloud(provider=[EXT], switches=[EXT]),
        set(),
        set(),
    ),
    "its router's gateway has come": (
        balancer(vips=(VIP_EXT,)),
        Cloud({"R1": {N1: IF1}}, provider=[EXT], gateways={"R1": GATEWAY}),
        {N1},
        {"R1"},
    ),
    "a member on a provider network": (
        web(member(9, address="10.73.1.9", subnet_id="ext")),
        Cloud({"R1": {N1: IF1, EXT: ("10.73.1.2/24",)}}, provider=[EXT]),
        {N1},
        {"R1"},
    ),
    "gateways on a member's network count for nothing": (
        web(member(9, address="10.73.1.9", subnet_id="ext")),
        Cloud({"R1": {N1: IF1}, "R2": {N2: IF2}}, provider=[EXT], gateways={"R2": GATEWAY}),
        {N1},
        {"R1"},
    ),
    "several gateways: those that lead to members": (
        balancer(vips=(VIP_EXT,), pools=web(member_on(2)).pools),
        Cloud(
            {"R1": {N1: IF1}, "R2": {N2: IF2}},
            provider=[EXT],
            gateways={"R1": GATEWAY, "R2": (EXT, ("10.73.1.2/24",))},
        ),
        {N2},
        {"R2"},
    ),
    "several gateways, and no member yet": (
        balancer(vips=(VIP_EXT,)),
        Cloud(
            {"R1": {N1: IF1}, "R2": {N2: IF2}},
            provider=[EXT],
            gateways={"R1": GATEWAY, "R2": (EXT, ("10.73.1.2/24",))},
        ),
        {N1, N2},
        {"R1", "R2"},
    ),
    "an interface of the other IP version": (
        balancer(vips=(VIP6,)),
        Cloud({"R1": {N1: IF1}}),
        {N1},
        set(),
    ),
    "IPv4 follows IPv4": (
        balancer(),
        Cloud({"R1": {N1: IF1, N2: ("fd02::1/64",), N3: IF3}}),
        {N1, N3},
        {"R1"},
    ),
    "two subnets on one network, one router each": (
        balancer(),
        Cloud({"R1": {N1: IF1}, "R2": {N1: ("10.0.1.1/24",), N2: IF2}}),
        {N1},
        {"R1"},
    ),
    "dual stack follows both": (
        balancer(vips=(vip(), VIP6)),
        Cloud({"R1": {N1: IF1, N2: ("fd02::1/64",)}, "R2": {N1: ("fd00::1/64",), N3: IF3}}),
        {N1, N2, N3},
        {"R1", "R2"},
    ),
    "a gateway of the other IP version": (
        balancer(vips=(vip("fd73::9", subnet_id="ext", network_id="ext"),)),
        Cloud({"R1": {N1: IF1}}, provider=[EXT], gateways={"R1": GATEWAY}),
        set(),
        set(),
    ),
    "an interface with two subnets": (
        balancer(),
        Cloud({"R1": {N1: ("10.9.0.1/24", "10.0.0.1/24")}}),
        {N1},
        {"R1"},
    ),
}


@pytest.mark.parametrize(("lb", "cloud", "switches", "routers"), CASES.values(), ids=CASES)
def test_attaches(lb, cloud, switches, routers):
    assert (switches, routers) == hangs(lb, cloud)


class Half(Cloud):
    """A moment at which interfaces still name a router or switch that has gone."""

    def __init__(self, *args, gone=(), **options):
        super().__init__(*args, **options)
        self._gone = gone

    def has_router(self, router):
        return router not in self._gone and super().has_router(router)

    def has_switch(self, switch):
        return switch not in self._gone and super().has_switch(switch)


def test_never_refers_to_a_router_that_is_gone():
    assert hangs(balancer(), Half({"R1": {N1: IF1, N2: IF2}}, gone=["R1"])) == ({N1}, set())


def test_never_refers_to_a_switch_that_is_gone():
    assert hangs(balancer(), Half({"R1": {N1: IF1, N2: IF2}}, gone=[N2])) == ({N1}, {"R1"})


class TestWhatTheRowSays:
    CLOUD = Cloud(
        {"R1": {N1: IF1}, "R2": {N1: ("10.0.0.2/24",), N2: IF2}},
        provider=[EXT],
        switches=[EXT],
    )

    def found(self, lb=None, **options):
        return attachments(lb or balancer(), self.CLOUD, SUBNETS, **options)

    def test_counts_vips_and_members_of_each_switch(self):
        lb = web(member_on(2, 7), member_on(2, 8), member(1))

        assert self.found(lb).switch_refs == {N1: 2, N2: 2}

    def test_does_not_count_on_provider_networks(self):
        lb = web(member(9, address="10.73.1.9", subnet_id="ext"))

        assert self.found(lb).switch_refs == {N1: 1}

    @pytest.mark.parametrize(
        ("named", "router"), [(None, "R1"), ("R2", "R2"), ("R9", "R1"), ("R1,R2", "R1")]
    )
    def test_names_one_router_and_keeps_it_while_it_is_right(self, named, router):
        assert router == self.found(vip_router=named).vip_router

    def test_does_not_name_a_router_of_members_alone(self):
        lb = balancer(vips=(VIP_EXT,), pools=web(member(1)).pools)

        assert self.found(lb) == Attachments(
            frozenset({N1, N2}), frozenset({"R1", "R2"}), {N1: 1}, None
        )


class TestPlaceMember:
    LB = balancer(
        vips=(vip(cidr="10.0.0.0/24"), vip("fd00::5", subnet_id="sub6", cidr="fd00::/64"))
    )

    @pytest.mark.parametrize(("address", "subnet"), [("10.0.0.7", "sub1"), ("fd00::7", "sub6")])
    def test_first_in_the_subnets_of_vips(self, address, subnet):
        def around(_):
            raise AssertionError

        assert subnet == place_member(address, self.LB, around)

    @pytest.mark.parametrize(
        ("address", "subnet"), [("10.2.0.7", "sub2"), ("10.3.0.7", "sub3"), ("10.9.0.7", None)]
    )
    def test_then_in_those_of_the_routers(self, address, subnet):
        def around(lb):
            assert lb is self.LB
            return SUBNETS.values()

        assert subnet == place_member(address, self.LB, around)

    def test_a_vip_of_unknown_subnet_places_no_member(self):
        assert place_member("10.0.0.7", balancer(), lambda _: ()) is None


def test_an_interface_knows_its_subnets():
    port = RouterPort("lrp", "R1", N1, ("10.0.0.1/24", "fd00::1/64"))

    assert port.covers("10.0.0.9")
    assert port.covers("fd00::9")
    assert not port.covers("10.0.1.9")
    assert port.has_family(frozenset({6}))
    assert not RouterPort("lrp", "R1", N1, IF1).has_family(frozenset({6}))


def test_the_subnets_around_are_those_of_all_routers_there():
    first, second = SUBNETS["sub1"], SUBNETS["sub2"]
    cloud = Cloud()
    cloud._ports = [
        RouterPort("lrp1", "R1", N1, IF1, subnets=(first,)),
        RouterPort("lrp2", "R1", N2, IF2, subnets=(second,)),
        RouterPort("gw", "R1", EXT, GATEWAY[1], gateway=True, subnets=(SUBNETS["ext"],)),
        RouterPort("lrp3", "R2", N3, IF3, subnets=(SUBNETS["sub3"],)),
    ]

    assert list(subnets_around(balancer(), cloud)) == [first, second]
    assert list(subnets_around(balancer(vips=(vip(network_id=None),)), cloud)) == []


def test_clients_enter_wherever_the_routers_are_connected():
    cloud = Cloud(
        {"R1": {N1: IF1, N2: IF2}, "R2": {N3: IF3}}, provider=[EXT], gateways={"R1": GATEWAY}
    )
    places = attachments(balancer(), cloud, SUBNETS)

    assert ingress_ports(balancer(), places, cloud) == {
        *(f"R1-{N1}", f"R1-{N2}", "gw-R1"),
        "vip-port",
    }


def test_clients_enter_on_the_vips_network_also_without_a_router():
    cloud = Cloud(switches=[N1])
    unknown = dataclasses.replace(vip(), port_id=None)
    lb = balancer(vips=(vip(), unknown))

    assert ingress_ports(lb, attachments(lb, cloud, SUBNETS), cloud) == {"vip-port"}
