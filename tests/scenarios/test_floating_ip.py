# SPDX-License-Identifier: Apache-2.0
"""Floating IPs of VIPs and of members."""

import itertools

import pytest


@pytest.fixture
def network(project):
    """A network whose router has a gateway."""
    network = project.network()
    project.router(network, external=project.external)
    return network


@pytest.fixture
def distributed(project):
    """Floating IPs are handled where their port is (DVR)."""
    project.neutron.distributed_floating_ips = True
    yield
    project.neutron.distributed_floating_ips = False


def fip_keys(lb, fip):
    return [key for key in lb.vips() if key.startswith(f"{fip['floating_ip_address']}:")]


def nat(project, fip):
    (row,) = project.lab.nb.select("NAT", [["external_ip", "==", fip["floating_ip_address"]]])
    return row


def test_x5_b60_floating_ip_comes_and_goes(project, network):
    """vips hold the floating IP's keys exactly while it is on the VIP."""
    lb = project.serving(network, members=2)
    before = lb.vips()
    fip = project.floating_ip(lb.vip_port)
    project.settled(lb)
    assert lb.external_ids()["neutron:vip_fip"] == fip["floating_ip_address"]
    assert lb.vips()[f"{fip['floating_ip_address']}:80"] == before[f"{lb.vip}:80"]
    project.neutron.disassociate_fip(fip["id"])
    project.settled(lb)
    assert lb.vips() == before
    assert "neutron:vip_fip" not in lb.external_ids()


def test_b60_floating_ip_that_is_deleted(project, network):
    """Deleting it is as good as taking it off."""
    lb = project.serving(network)
    fip = project.floating_ip(lb.vip_port)
    project.settled(lb)
    project.neutron.delete_fip(fip["id"])
    project.settled(lb)
    assert list(lb.vips()) == [f"{lb.vip}:80"]


def test_d28_floating_ip_replaced_by_another(project, network):
    """Nothing of the first remains, checks included."""
    lb = project.serving(network, monitor=True)
    first = project.floating_ip(lb.vip_port)
    project.settled(lb)
    project.neutron.disassociate_fip(first["id"])
    second = project.floating_ip(lb.vip_port)
    project.settled(lb)
    assert fip_keys(lb, first) == []
    assert set(lb.checks()) == {f"{lb.vip}:80", f"{second['floating_ip_address']}:80"}


def test_d28_floating_ip_of_an_additional_vip_comes_and_goes(project, network):
    """It does not stay in the list, nor in vips."""
    second = network.another_subnet("10.253.0.0/24")
    router = next(
        port["device_id"]
        for port in project.neutron.ports.values()
        if port["network_id"] == network.id and port["device_owner"].endswith("interface")
    )
    project.neutron.router_add_interface(router, second)
    lb = project.serving(network, additional_vip_subnets=[second], monitor=True)
    vip = lb.row["additional_vips"][0]
    fip = project.floating_ip(vip["port_id"])
    project.settled(lb)
    assert len(fip_keys(lb, fip)) == 1
    project.neutron.disassociate_fip(fip["id"])
    project.settled(lb)
    assert set(lb.vips()) == {f"{lb.vip}:80", f"{vip['ip_address']}:80"}


def test_d6_floating_ip_on_the_users_own_port(project, network):
    """A user-provided VIP port is found by its id, not by its name."""
    port = project.neutron.create_port(network.id, name="mine")
    address = port["fixed_ips"][0]["ip_address"]
    lb = project.serving(network, vip_port_id=port["id"], vip_address=address)
    fip = project.floating_ip(port["id"])
    project.settled(lb)
    assert len(fip_keys(lb, fip)) == 1


def test_d6_floating_ip_that_is_there_before_the_load_balancer(project, network):
    """It is served from the first moment."""
    port = project.neutron.create_port(network.id, name="mine")
    fip = project.floating_ip(port["id"])
    address = port["fixed_ips"][0]["ip_address"]
    lb = project.serving(network, vip_port_id=port["id"], vip_address=address)
    assert len(fip_keys(lb, fip)) == 1


def test_d16_floating_ip_while_a_member_is_added(project, network):
    """In any order of writes, vips hold the floating IP and the member."""
    lb = project.serving(network)
    fips = []
    project.lab.worker_tap.before_write(lambda: fips.append(project.floating_ip(lb.vip_port)))
    member = lb.project.lab.octavia.create_member(
        lb.pools()[0].id, address=network.vm(), protocol_port=80
    )
    project.lab.octavia.finish(member)
    project.settled(lb)
    (key,) = fip_keys(lb, fips[0])
    assert len(lb.vips()[key]) == 2


def test_d16_floating_ip_removed_while_a_pool_is_added(project, network):
    """Its key does not come back with the pool."""
    lb = project.serving(network)
    fip = project.floating_ip(lb.vip_port)
    project.settled(lb)
    project.lab.worker_tap.before_write(lambda: project.neutron.disassociate_fip(fip["id"]))
    pool = project.lab.octavia.create_pool(lb.id, protocol="TCP", lb_algorithm="SOURCE_IP_PORT")
    project.lab.octavia.finish(pool)
    project.settled(lb)
    assert "neutron:vip_fip" not in lb.external_ids()
    assert fip_keys(lb, fip) == []


def test_floating_ip_moves_between_load_balancers(project, network):
    """It is served by the one that has it."""
    first, second = project.serving(network), project.serving(network)
    fip = project.floating_ip(first.vip_port)
    project.settled(first)
    project.neutron.update_fip(fip["id"], port_id=second.vip_port)
    project.settled(first, second)
    assert fip_keys(first, fip) == []
    assert len(fip_keys(second, fip)) == 1


ORDERS = list(itertools.permutations(["vip", "fip", "member"]))


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_b61_floating_ip_of_a_member_is_centralised_while_both_have_one(
    project, network, distributed, order
):
    """In a DVR cloud the member's NAT has no MAC while it is a member; then it has again."""
    lb = project.serving(network, members=0)
    port = network.port()
    address = port["fixed_ips"][0]["ip_address"]
    fips, members = {}, []
    for step in order:
        if step == "member":
            members.append(lb.pools()[0].member(address))
        else:
            fips[step] = project.floating_ip(lb.vip_port if step == "vip" else port["id"])
        project.settled(lb)
    project.wait(
        lambda: not nat(project, fips["fip"])["external_mac"], "the member's NAT is centralised"
    )
    members[0].delete()
    project.wait(
        lambda: nat(project, fips["fip"])["external_mac"] == port["mac_address"],
        "the member's NAT is distributed again",
    )


def test_d20_b61_member_with_floating_ip_in_a_batch(project, network, distributed):
    """Batches centralise and release as single members do."""
    lb = project.serving(network, members=0)
    port = network.port()
    project.floating_ip(lb.vip_port)
    fip = project.floating_ip(port["id"])
    project.settled(lb)
    lb.pools()[0].batch(port["fixed_ips"][0]["ip_address"])
    project.wait(lambda: not nat(project, fip)["external_mac"], "the member's NAT is centralised")
    lb.pools()[0].batch()
    project.wait(lambda: nat(project, fip)["external_mac"], "and distributed again")


def test_b17_cascade_delete_releases_the_floating_ips_of_members(project, network, distributed):
    """After the load balancer is gone, the member's floating IP is distributed again."""
    lb = project.serving(network, members=0)
    port = network.port()
    project.floating_ip(lb.vip_port)
    fip = project.floating_ip(port["id"])
    project.settled(lb)
    lb.pools()[0].member(port["fixed_ips"][0]["ip_address"])
    project.wait(lambda: not nat(project, fip)["external_mac"], "the member's NAT is centralised")
    lb.delete(cascade=True)
    project.wait(lambda: nat(project, fip)["external_mac"], "and distributed again")
