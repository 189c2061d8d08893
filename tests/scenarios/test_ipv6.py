# SPDX-License-Identifier: Apache-2.0
"""IPv6, dual stack, additional VIPs."""

import ipaddress

import pytest


@pytest.fixture
def dual(project):
    """A network with an IPv4 and an IPv6 subnet, on a router."""
    network = project.network(4, 6)
    project.router(network)
    return network


def family(key):
    return 6 if key.startswith("[") else 4


def test_b76_ipv6_keys_and_values_are_in_brackets(project):
    """[vip]:port leads to [member]:port."""
    network = project.network(6)
    lb = project.serving(network)
    address = lb.pools()[0].members()[0].row["ip_address"]
    assert lb.vips() == {f"[{lb.vip}]:80": [f"[{address}]:80"]}


def test_b33_ipv6_members_in_batches(project):
    """A batch adds, keeps and removes members by address and port."""
    network = project.network(6)
    lb = project.serving(network)
    pool = lb.pools()[0]
    kept = pool.members()[0].row["ip_address"]
    pool.batch(kept, network.vm())
    assert len(lb.vips()[f"[{lb.vip}]:80"]) == 2
    pool.batch(kept)
    assert lb.vips()[f"[{lb.vip}]:80"] == [f"[{kept}]:80"]


def test_b57_checks_of_ipv6_members(project):
    """Mappings are bracketed on both sides, and the findings arrive."""
    network = project.network(6)
    lb = project.serving(network, monitor=True)
    member = lb.pools()[0].members()[0]
    address = member.row["ip_address"]
    (mapping,) = lb.mappings().items()
    assert mapping[0] == f"[{address}]"
    assert mapping[1].endswith("]")
    project.health(address, "offline")
    project.wait(lambda: member.operating == "ERROR", "the member is in ERROR")
    project.health(address, "online")
    project.wait(lambda: member.operating == "ONLINE", "the member is ONLINE")


def test_b41_each_vip_leads_to_members_of_its_own_family(project, dual):
    """A dual-stack load balancer takes members of both families in one pool."""
    lb = project.serving(dual, additional_vip_subnets=[dual.subnets[6]])
    pool = lb.pools()[0]
    pool.member(dual.vm(dual.subnets[6]), subnet_id=dual.subnets[6])
    vips = lb.vips()
    assert {family(key) for key in vips} == {4, 6}
    for key, backends in vips.items():
        assert {family(backend) for backend in backends} == {family(key)}


def test_b41_key_without_members_of_its_family_has_no_backend(project, dual):
    """An IPv6 VIP without IPv6 members refuses connections; one wrong member would kill its key."""
    lb = project.serving(dual, additional_vip_subnets=[dual.subnets[6]])
    assert {family(key): backends != [""] for key, backends in lb.vips().items()} == {
        4: True,
        6: False,
    }


def test_b77_additional_vips_are_served_and_cleaned_up(project):
    """Every address has its keys; their ports are numbered, and go with the load balancer."""
    network = project.network()
    router = project.router(network)
    extra = [network.another_subnet(f"10.24{number}.0.0/24") for number in range(2)]
    for subnet in extra:
        project.neutron.router_add_interface(router.id, subnet)
    lb = project.serving(network, additional_vip_subnets=extra, monitor=True)
    assert len(lb.vips()) == len(lb.checks()) == 3
    names = {port["name"] for port in project.neutron.ports.values() if lb.id in port["name"]}
    assert names == {
        f"ovn-lb-vip-{lb.id}",
        f"ovn-lb-vip-additional-1-{lb.id}",
        f"ovn-lb-vip-additional-2-{lb.id}",
    }
    lb.delete(cascade=True)
    assert not any(lb.id in port["name"] for port in project.neutron.ports.values())


def test_b77_additional_vip_at_an_address_asked_for(project, dual):
    """The address in the request is the address that is served."""
    subnet = dual.subnets[6]
    wanted = str(ipaddress.ip_network(project.neutron.subnets[subnet]["cidr"])[77])
    lb = project.serving(dual, additional_vip_subnets=[(subnet, wanted)])
    assert lb.external_ids()["neutron:additional_vips"] == wanted


def test_b75_dual_stack_provider_network(project):
    """A load balancer on it is created, for either family, and follows the gateway."""
    public = project.network(4, 6, physical_network="public", external=True)
    inside = project.network()
    router = project.router(inside, external=public)
    for subnet in public.subnets.values():
        lb = project.load_balancer(public, subnet=subnet)
        assert lb.is_on(router)
        assert lb.is_off(public)


def test_ipv4_vip_follows_the_ipv4_interfaces(project):
    """A router with an IPv6 interface only on the VIP's network is not the VIP's."""
    network = project.network(4, 6)
    ipv6_router = project.router()
    project.neutron.router_add_interface(ipv6_router.id, network.subnets[6])
    lb = project.serving(network)
    assert lb.is_off(ipv6_router)
    ipv4_router = project.router()
    project.neutron.router_add_interface(ipv4_router.id, network.subnets[4])
    project.settled(lb)
    assert lb.is_on(ipv4_router)
    assert lb.is_off(ipv6_router)


def test_d47_ipv6_address_in_another_spelling(project):
    """FD00:0:… is the same address as fd00::…, for VIPs and members."""
    network = project.network(6)
    net = ipaddress.ip_network(project.neutron.subnets[network.subnet]["cidr"])
    lb = project.serving(network, vip_address=net[0x99].exploded.upper())
    assert lb.external_ids()["neutron:vip"] == str(net[0x99])
    assert list(lb.vips()) == [f"[{net[0x99]}]:80"]


def test_d8_ipv6_clients_are_not_all_sent_to_one_member(project):
    """Hashing by client names the fields of IPv6; an OVN that lacks them refuses it."""
    enum = project.lab.selection_fields()
    network = project.network(6)
    if "ipv6_src" in enum:
        lb = project.serving(network, members=2, algorithm="SOURCE_IP")
        assert all({"ipv6_src", "ipv6_dst"} <= fields for fields in lb.hashing().values())
    else:
        lb = project.load_balancer(network)
        project.refused("create_pool", lb.id, protocol="TCP", lb_algorithm="SOURCE_IP")
