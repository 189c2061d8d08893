# SPDX-License-Identifier: Apache-2.0
"""Routers of ours that answer for VIPs: whom they answer for, and how that is written."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavia_ovn.core.desired import responder
from octavia_ovn.core.rows import Answer
from octavia_ovn.core.topology import Subnet, switch_name
from tests.core.builders import Cloud, balancer, vip

SUBNETS = {
    "sub1": Subnet("sub1", "net1", "10.0.0.0/24"),
    "sub6": Subnet("sub6", "net1", "fd00::/64"),
}
N1 = switch_name("net1")
VIP4 = vip(cidr="10.0.0.0/24")
VIP6 = vip("fd00::100", subnet_id="sub6", cidr="fd00::/64")
BOTH = balancer(vips=(VIP4, VIP6))
IF4, IF6 = "10.0.0.1/24", "fd00::1/64"

# Load balancer, what there is, and what of it has nobody else that answers.
CASES = {
    "no router": (BOTH, Cloud(switches=[N1]), {"10.0.0.100/24", "fd00::100/64"}),
    "a router for both": (BOTH, Cloud({"R1": {N1: (IF4, IF6)}}), set()),
    "a router for IPv4 only": (BOTH, Cloud({"R1": {N1: (IF4,)}}), {"fd00::100/64"}),
    "a router for another subnet": (
        balancer(vips=(VIP4,)),
        Cloud({"R1": {N1: ("10.9.0.1/24",)}}),
        {"10.0.0.100/24"},
    ),
    "a gateway of a router": (
        balancer(vips=(VIP4,)),
        Cloud(gateways={"R1": (N1, (IF4,))}),
        set(),
    ),
    "a provider network": (BOTH, Cloud(switches=[N1], provider=[N1]), set()),
    "a switch that is gone": (BOTH, Cloud(), set()),
    "a load balancer that is off": (
        dataclasses.replace(BOTH, enabled=False),
        Cloud(switches=[N1]),
        set(),
    ),
    "a subnet that is gone": (balancer(vips=(vip(),)), Cloud(switches=[N1]), set()),
}


@pytest.mark.parametrize(("lb", "cloud", "addresses"), CASES.values(), ids=CASES)
def test_answers_where_no_router_does(lb, cloud, addresses):
    found = responder.answers(lb, cloud, SUBNETS)

    assert found == ({N1: addresses} if addresses else {})


def test_operations_are_what_differs():
    one, other = frozenset({"10.0.0.5/24"}), frozenset({"10.0.0.6/24"})
    held = {"right": one, "different": one, "too much": one, "broken": frozenset()}
    wanted = {"right": one, "different": other, "missing": one, "broken": one}

    assert list(responder.operations("lb1", held, wanted)) == [
        Answer("broken", "lb1", one),
        Answer("different", "lb1", other),
        Answer("missing", "lb1", one),
        Answer("too much", "lb1", frozenset()),
    ]


@pytest.mark.parametrize(
    ("addresses", "networks"),
    [
        ([], []),
        (["10.0.0.5/24"], ["10.0.0.5/24"]),
        (["10.0.0.6/24", "10.0.0.5/24"], ["10.0.0.5/24", "10.0.0.6/32"]),
        (["10.0.0.5/24", "10.1.0.5/24"], ["10.0.0.5/24", "10.1.0.5/24"]),
        (["10.0.0.10/24", "10.0.0.9/24"], ["10.0.0.9/24", "10.0.0.10/32"]),
        (["fd00::6/64", "fd00::5/64"], ["fd00::5/64", "fd00::6/128"]),
    ],
)
def test_one_route_to_each_subnet(addresses, networks):
    assert responder.networks(addresses) == frozenset(networks)


def test_names_are_none_of_neutrons_and_lead_back_to_the_switch():
    found = responder.names(N1)

    assert found.router == "octavia-ovn-net1"
    assert len({found.router_port, found.switch_port, found.router}) == 3
    for name in dataclasses.astuple(found):
        assert not name.startswith(("neutron-", "lrp-", "provnet-"))
    assert responder.switch_of(found.router_port) == N1
    assert responder.switch_of(found.switch_port) == N1


def test_the_mac_is_always_the_same_and_local_to_its_network():
    assert responder.mac(N1) == responder.mac(N1) != responder.mac("neutron-net2")
    assert responder.mac(N1).startswith("02:")
    assert len(responder.mac(N1)) == len("02:00:00:00:00:00")


INTERFACES = st.sampled_from(["10.0.0.5/24", "10.0.0.6/24", "fd00::5/64"])
OWNERS = st.dictionaries(
    st.sampled_from(["lb1", "lb2"]), st.frozensets(INTERFACES, min_size=1), max_size=2
)


@given(OWNERS)
def test_owners_are_read_as_they_were_written(owned):
    written = responder.external_ids(owned)

    assert responder.owners(written) == owned
    assert responder.is_responder(written)
    assert not any("neutron" in key for key in written)


def test_unreadable_owners_are_left_out():
    keys = {"octavia:answers_lb1": "10.0.0.5/24 nonsense", "somebody": "else"}

    assert responder.owners(keys) == {"lb1": {"10.0.0.5/24"}}
    assert not responder.is_responder(keys)
