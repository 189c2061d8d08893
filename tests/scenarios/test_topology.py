# SPDX-License-Identifier: Apache-2.0
"""Routers, switches, and which of them a load balancer is attached to."""

import itertools

import pytest

from tests.lab.ovsdb import as_list

STEPS = ["interface", "load balancer", "member"]


@pytest.mark.parametrize("order", list(itertools.permutations(STEPS)), ids="-".join)
def test_b62_order_of_interface_and_load_balancer_does_not_matter(project, order):
    """In the end it is on the router and on every switch of the router."""
    network, other = project.network(), project.network()
    router = project.router(other)
    lb = None
    for step in order:
        if step == "interface":
            router.connect(network)
        elif step == "load balancer":
            lb = project.serving(network)
        elif lb:
            lb.pools()[0].member(other.vm(), subnet_id=other.subnet)
        project.quiesce()
    project.settled(lb)
    assert lb.is_on(network, other, router)


def test_walk_through_n1_n2_n3(project):
    """After N2 leaves the router, N2 keeps its own LB2 only, and N1, N3, R1 keep LB1 only."""
    n1, n2, n3 = networks = [project.network() for _ in range(3)]
    r1 = project.router(*networks)
    lb1, lb2 = project.serving(n1), project.serving(n2)
    project.settled()
    assert lb1.is_on(n1, n2, n3, r1)
    assert lb2.is_on(n1, n2, n3, r1)

    r1.disconnect(n2)
    project.settled()
    assert lb2.is_on(n2)
    assert lb2.is_off(n1, n3, r1)
    assert lb1.is_on(n1, n3, r1)
    assert lb1.is_off(n2)

    r1.connect(n2)
    project.settled()
    assert lb1.is_on(n1, n2, n3, r1)
    assert lb2.is_on(n1, n2, n3, r1)


def test_b67_network_taken_off_the_router_loses_the_load_balancer(project):
    """A network that the load balancer reached through the router only is left."""
    network, other = project.network(), project.network()
    router = project.router(network, other)
    lb = project.serving(network)
    assert lb.is_on(other)
    router.disconnect(other)
    project.settled(lb)
    assert lb.is_off(other)
    assert lb.is_on(network, router)


def test_d15_member_network_taken_off_the_router_leaves_the_vips_router(project):
    """The load balancer stays on the router of its VIP."""
    network, members = project.network(), project.network()
    router = project.router(network, members)
    lb = project.serving(network)
    lb.pools()[0].member(members.vm(), subnet_id=members.subnet)
    router.disconnect(members)
    project.settled(lb)
    assert lb.is_on(network, members, router)
    assert lb.external_ids()["lr_ref"] == router.name


def test_d32_last_member_behind_another_router(project):
    """With it the load balancer leaves that router and its switches."""
    network, far, farther = (project.network() for _ in range(3))
    project.router(network)
    second = project.router(far, farther)
    lb = project.serving(network)
    member = lb.pools()[0].member(far.vm(), subnet_id=far.subnet)
    assert lb.is_on(far, farther, second)
    member.delete()
    project.settled(lb)
    assert lb.is_off(far, farther, second)
    assert lb.is_on(network)


@pytest.mark.parametrize("first", [0, 1])
def test_b64_b74_d46_several_routers_on_the_vip_network(project, first):
    """It is on both with all their networks, lr_ref names one; taking one off leaves the other."""
    network, *others = (project.network() for _ in range(3))
    routers = [project.router(network, other) for other in others]
    lb = project.serving(network)
    assert lb.is_on(network, *others, *routers)
    assert lb.external_ids()["lr_ref"] in [router.name for router in routers]

    routers[first].disconnect(network)
    project.settled(lb)
    assert lb.is_off(routers[first], others[first])
    assert lb.is_on(network, routers[1 - first], others[1 - first])


def test_b65_interface_that_goes_during_the_creation(project):
    """A switch that vanishes just before the agent's commit is no failure."""
    network, other = project.network(), project.network()
    router = project.router(network, other)
    project.lab.agent_tap.before_write(lambda: project.neutron.vanish_network(other.id))
    operation = project.lab.octavia.create_load_balancer(network.subnet)
    project.lab.octavia.wait_active(operation.id)
    rows = project.lab.nb.select("Load_Balancer", [["name", "==", operation.id]])
    project.wait(
        lambda: {row["_uuid"] for row in rows} <= project.attached(router),
        "the load balancer is on the router",
    )
    project.quiesce()  # what the agent still does about the switch is not part of the deletion
    project.do("delete_load_balancer", operation.id)


def test_b66_gateway_of_the_vips_provider_network(project):
    """A VIP on a provider network is attached to the router whose gateway is there, if any."""
    public = project.network(physical_network="public", external=True)
    inside = project.network()
    router = project.router(inside)
    lb = project.serving(public)
    assert lb.is_off(router)
    project.neutron.set_gateway(router.id, public.id)
    project.settled(lb)
    assert lb.is_on(router)
    assert lb.is_off(public)
    project.neutron.clear_gateway(router.id)
    project.settled(lb)
    assert lb.is_off(router)


def test_b66_b69_gateway_of_a_tenant_router_changes_nothing_inside(project):
    """Setting and clearing it never puts the load balancer on the provider switch."""
    network = project.network()
    router = project.router(network)
    lb = project.serving(network)
    project.neutron.set_gateway(router.id, project.external.id)
    project.settled(lb)
    assert lb.is_on(network, router)
    assert lb.is_off(project.external)
    project.neutron.clear_gateway(router.id)
    project.settled(lb)
    assert lb.is_on(network, router)


@pytest.mark.parametrize("binding", ["gateway_chassis", "ha_chassis_group"])
def test_b72_b73_gateway_port_is_known_by_its_mark(project, binding):
    """However it is bound to a chassis, the external switch is left out."""
    network = project.network()
    router = project.router(network)
    project.neutron.set_gateway(router.id, project.external.id, **{binding: f"hv-{router.id}"})
    lb = project.serving(network)
    assert lb.is_on(network, router)
    assert lb.is_off(project.external)


@pytest.mark.parametrize("vip_there", [True, False], ids=["vip", "neighbour"])
def test_b70_d35_vlan_network_behind_a_router_is_left_out(project, vip_there):
    """The load balancer is on the router and on the other switches, never on that of the VLAN."""
    vlan, plain = project.network(physical_network="physnet", vlan=100), project.network()
    router = project.router(vlan, plain)
    lb = project.serving(vlan if vip_there else plain)
    assert lb.is_on(plain, router)
    assert lb.is_off(vlan)


def test_d36_vlan_network_gets_its_router_later(project):
    """A VIP on a VLAN tenant network is accepted, and on the router as soon as there is one."""
    vlan = project.network(physical_network="physnet", vlan=101)
    lb = project.serving(vlan)
    router = project.router(vlan)
    project.settled(lb)
    assert lb.is_on(router)


def test_b71_interface_with_several_addresses(project):
    """A router port with two addresses is one interface on two subnets."""
    network = project.network()
    second = network.another_subnet("10.254.0.0/24")
    router = project.router()
    project.neutron.router_add_interface(router.id, network.subnet, second)
    lb = project.serving(network)
    other = project.load_balancer(network, subnet=second)
    assert lb.is_on(network, router)
    assert other.is_on(network, router)


def test_interface_on_another_subnet_of_the_vips_network(project):
    """A router that has no interface in the VIP's subnet is not the VIP's router."""
    network = project.network()
    second = network.another_subnet("10.255.0.0/24")
    router = project.router()
    project.neutron.router_add_interface(router.id, second)
    lb = project.serving(network)
    assert lb.is_on(network)
    assert lb.is_off(router)


def test_router_that_is_deleted(project):
    """The load balancer stays on the switch of its VIP; lr_ref goes."""
    network, other = project.network(), project.network()
    router = project.router(network, other)
    lb = project.serving(network)
    project.neutron.delete_router(router.id)
    project.settled(lb)
    assert lb.is_on(network)
    assert lb.is_off(other)
    assert "lr_ref" not in lb.external_ids()


def test_new_network_on_the_router_gets_all_load_balancers(project):
    """Ten load balancers on one router: a new interface brings all of them to its switch."""
    network = project.network()
    router = project.router(network)
    lbs = [project.load_balancer(network) for _ in range(10)]
    other = project.network()
    router.connect(other)
    project.settled(*lbs)
    assert all(lb.is_on(other) for lb in lbs)


def test_references_of_others_are_not_touched(project):
    """Load balancers of others on the same switch and router stay there."""
    network = project.network()
    router = project.router(network)
    foreign = project.lab.nb.select("Load_Balancer", [["name", "==", "somebody-else"]])[0]
    for table, parent in (("Logical_Switch", network), ("Logical_Router", router)):
        project.lab.nb.transact(
            {
                "op": "mutate",
                "table": table,
                "where": [["name", "==", parent.name]],
                "mutations": [["load_balancer", "insert", ["set", [["uuid", foreign["_uuid"]]]]]],
            }
        )
    lb = project.serving(network)
    lb.delete(cascade=True)
    router.disconnect(network)
    project.quiesce()
    for table, parent in (("Logical_Switch", network), ("Logical_Router", router)):
        (row,) = project.lab.nb.select(table, [["name", "==", parent.name]])
        assert as_list(row["load_balancer"]) == [foreign["_uuid"]]
