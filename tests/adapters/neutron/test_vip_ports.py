# SPDX-License-Identifier: Apache-2.0
"""Addresses of VIPs that Neutron cannot give are the user's mistake: Octavia answers 409."""

import pytest

from octavia_ovn.adapters.neutron.vip_ports import VipPorts, VipRequest
from octavia_ovn.core.ip import canonical_address
from octavia_ovn.core.neutron_port import FixedIp, NeutronPort
from octavia_ovn.core.topology import Subnet
from octavia_ovn.errors import Conflict, NotFound, Refused, Unavailable

SUBNETS = {
    "v4": Subnet("v4", "net", "10.0.0.0/24"),
    "v6": Subnet("v6", "net", "fd00::/64"),
}


class Neutron:
    """Gives each address that it is asked for; `refusal` is what it answers instead."""

    def __init__(self, refusal=None):
        self.made, self.deleted = [], []
        self._refusal = refusal

    def subnet(self, subnet_id):
        return SUBNETS[subnet_id]

    def create_vip_port(self, *_, subnet_id=None, address=None, **__):
        if self._refusal:
            raise self._refusal
        address = canonical_address(address)
        self.made.append(address)
        return self._port(f"p-{address}", FixedIp(subnet_id, address))

    def port(self, port_id):
        return self._port(port_id, FixedIp("v4", "10.0.0.9"))

    @staticmethod
    def _port(port_id, fixed_ip):
        return NeutronPort(port_id, "", "net", "project", "", "", (fixed_ip,), "mac")

    def delete_vip_ports(self, lb_id):
        self.deleted.append(lb_id)


def ask(neutron, vip, additional=()):
    vip = {"vip_network_id": "net", **vip}
    return VipPorts(neutron).create(VipRequest("lb1", "project", vip, additional))


def first(address, subnet_id="v4"):
    return {"vip_address": address, "vip_subnet_id": subnet_id}


def more(address, subnet_id="v6"):
    return [{"ip_address": address, "subnet_id": subnet_id}]


WRONG = {
    "outside of the subnet": (first("10.0.1.9"), (), "10.0.1.9 is not in 10.0.0.0/24"),
    "of the other IP version": (first("fd00::9"), (), "fd00::9 is not in 10.0.0.0/24"),
    "the network address": (first("10.0.0.0"), (), "10.0.0.0 is the network address"),
    "the broadcast address": (first("10.0.0.255"), (), "10.0.0.255 is the broadcast address"),
    "additional, outside": (first("10.0.0.9"), more("fd01::9"), "fd01::9 is not in fd00::/64"),
    "additional, network": (first("10.0.0.9"), more("fd00::"), "fd00:: is the network address"),
    "additional to a port of the user's": (
        {"vip_port_id": "user-port", **first("10.0.0.9")},
        more("fd01::9"),
        "fd01::9 is not in fd00::/64",
    ),
}


@pytest.mark.parametrize(("vip", "additional", "sentence"), WRONG.values(), ids=WRONG)
def test_wrong_addresses_are_refused_before_anything_is_made(vip, additional, sentence):
    neutron = Neutron()

    with pytest.raises(Conflict, match=f"^VIP address {sentence}"):
        ask(neutron, vip, additional)

    assert not neutron.made


def test_right_addresses_are_made():
    vip, additional = ask(Neutron(), first("10.0.0.9"), more("FD00:0::9"))

    assert vip["vip_port_id"] == "p-10.0.0.9"
    assert additional[0]["port_id"] == "p-fd00::9"


@pytest.mark.parametrize("refusal", [Refused("No."), NotFound("No."), Conflict("No.")])
def test_what_neutron_refuses_is_a_conflict_in_its_words(refusal):
    neutron = Neutron(refusal)

    with pytest.raises(Conflict, match=r"^No\.$"):
        ask(neutron, first("10.0.0.9"))
    assert neutron.deleted == ["lb1"]


def test_what_neutron_cannot_do_now_is_none():
    with pytest.raises(Unavailable):
        ask(Neutron(Unavailable("Later.")), first("10.0.0.9"))


def test_an_address_that_a_port_of_the_users_lacks_is_a_conflict():
    with pytest.raises(Conflict, match="has no address that fits"):
        ask(Neutron(), {"vip_port_id": "user-port", **first("10.0.0.8")})
