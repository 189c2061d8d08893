# SPDX-License-Identifier: Apache-2.0
"""Creating, changing and deleting load balancers."""

import inspect

import pytest
from octavia_lib.api.drivers import data_models, exceptions

from tests.lab.errors import ApiError
from tests.lab.networks import new_id
from tests.lab.ovsdb import omap, update


def ports_of(project, lb_id):
    return [port for port in project.neutron.ports.values() if lb_id in port["name"]]


@pytest.mark.parametrize("path", ["/subnets", "/networks", "/ports"])
def test_b1_neutron_failing_after_the_vip_port_leaves_nothing_behind(project, path):
    """The request is refused as a whole, or ends well, however often Neutron fails meanwhile."""
    network = project.network()
    lb_id = new_id()
    project.neutron.http.inject(path=path, method="GET", status=500, count=2)
    try:
        lb = project.load_balancer(network, id=lb_id)
    except ApiError:
        assert ports_of(project, lb_id) == []
    else:
        assert lb.provisioning == "ACTIVE"
        assert len(ports_of(project, lb_id)) == 1
    finally:
        project.neutron.http.heal()


def test_b2_vip_port_whose_answer_was_lost_does_not_leak(project):
    """A port made by a request that timed out is used, or removed again."""
    network = project.network()
    lb_id = new_id()
    project.neutron.http.inject(path="/ports", method="POST", served=True, count=1)
    try:
        project.load_balancer(network, id=lb_id)
    except ApiError:
        assert ports_of(project, lb_id) == []
    else:
        assert len(ports_of(project, lb_id)) == 1


def test_b3_vip_port_that_exists_already_is_used(project):
    """A port of our name, left by an earlier attempt, becomes the VIP port."""
    network = project.network()
    lb_id = new_id()
    port = project.neutron.create_port(
        network.id,
        name=f"ovn-lb-vip-{lb_id}",
        device_id=f"lb-{lb_id}",
        fixed_ips=[{"subnet_id": network.subnet}],
    )
    address = port["fixed_ips"][0]["ip_address"]
    lb = project.load_balancer(network, id=lb_id, vip_address=address)
    assert lb.vip_port == port["id"]


def test_b3_vip_port_that_is_gone_already_does_not_stop_a_delete(project):
    """A load balancer is deleted although its VIP port was removed."""
    lb = project.load_balancer(project.network())
    project.neutron.delete_port(lb.vip_port)
    lb.delete()
    assert lb.provisioning == "DELETED"


def test_b4_taken_vip_address_is_a_conflict(project):
    """The API answers 409 where octavia-lib can say so; nothing is sent or written."""
    network = project.network()
    taken = network.vm()
    kind = "Conflict" if hasattr(exceptions, "Conflict") else "DriverError"
    project.refused("create_load_balancer", network.subnet, vip_address=taken, kinds=(kind,))


def test_b5_delete_ends_when_neutron_can_delete_ports_again(project):
    """Neutron answering 503 to the deletion of the VIP port delays, and leaves nothing."""
    lb = project.serving(project.network())
    project.neutron.http.inject(path="/ports/", method="DELETE", status=503, count=3)
    lb.delete(cascade=True)
    assert lb.provisioning == "DELETED"
    assert ports_of(project, lb.id) == []


def test_b6_network_that_vanished_does_not_stop_deletions(project):
    """Member and load balancer can be deleted when the member's network is gone."""
    network, other = project.network(), project.network()
    project.router(network, other)
    lb = project.serving(network)
    member = lb.pools()[0].member(other.vm(), subnet_id=other.subnet)
    project.neutron.vanish_network(other.id)
    project.quiesce()
    member.delete()
    assert not member.exists
    lb.delete(cascade=True)
    assert lb.provisioning == "DELETED"


def test_b7_switch_that_goes_just_before_the_commit_does_not_stop_a_delete(project):
    """The load balancer is DELETED and its row gone, although a switch went in between."""
    network, other = project.network(), project.network()
    project.router(network, other)
    lb = project.serving(network)
    lb.pools()[0].member(other.vm(), subnet_id=other.subnet)
    project.lab.agent_tap.before_write(lambda: project.neutron.vanish_network(other.id))
    lb.delete(cascade=True)
    assert lb.rows() == []
    assert lb.is_off(network)


def test_b8_disabled_load_balancer_serves_nothing_and_enabled_again_all(project):
    """Disabling empties vips and the floating IP's; enabling brings the same back."""
    network = project.network()
    project.router(network, external=project.external)
    lb = project.serving(network, members=2)
    project.floating_ip(lb.vip_port)
    project.settled()
    before = lb.vips()
    assert len(before) == 2

    lb.update(admin_state_up=False)
    assert lb.vips() == {}
    assert lb.operating == "OFFLINE"

    lb.update(admin_state_up=True)
    assert lb.vips() == before
    assert lb.operating == "ONLINE"


def test_b9_b10_user_provided_port_stays_as_it_is(project):
    """It is neither made, renamed, re-owned nor deleted."""

    def seen():
        # A revision without a change is fine: it makes Neutron write the switch port again.
        attributes = dict(project.neutron.port(port["id"]))
        del attributes["revision_number"]
        return attributes

    network = project.network()
    port = project.neutron.create_port(network.id, name="mine")
    before = seen()
    address = port["fixed_ips"][0]["ip_address"]
    lb = project.serving(network, vip_port_id=port["id"], vip_address=address)
    assert lb.external_ids()["neutron:vip_port_id"] == port["id"]
    assert ports_of(project, lb.id) == []
    project.quiesce()
    assert seen() == before

    lb.delete(cascade=True)
    project.quiesce()
    assert seen() == before


def test_user_provided_port_on_a_monitored_network_loses_its_addresses(project):
    """The agent has its switch port already when it asks for it."""
    network = project.network()
    project.serving(network, monitor=True)
    port = project.neutron.create_port(network.id, name="mine")
    project.quiesce()
    address = port["fixed_ips"][0]["ip_address"]
    project.serving(network, vip_port_id=port["id"], vip_address=address)
    project.quiesce()
    (row,) = project.lab.nb.select("Logical_Switch_Port", [["name", "==", port["id"]]])
    assert row["addresses"] == []


def test_two_load_balancers_on_one_user_port_cannot_serve_the_same(project):
    """A populated load balancer is refused whole; the port stays the user's."""
    network = project.network()
    port = project.neutron.create_port(network.id, name="mine")
    user_port = {"vip_port_id": port["id"], "vip_address": port["fixed_ips"][0]["ip_address"]}
    kind = "Conflict" if hasattr(exceptions, "Conflict") else "DriverError"
    lb = project.serving(network, **user_port)
    before = lb.state()

    refusal = project.refused(
        "create_load_balancer",
        network.subnet,
        listeners=[{"protocol": "TCP", "protocol_port": each} for each in (81, 80)],
        kinds=(kind,),
        **user_port,
    )

    assert "TCP port 80" in str(refusal)
    assert lb.state() == before
    assert project.neutron.port(port["id"])["name"] == "mine"


def test_d7_user_port_with_two_addresses_serves_the_one_asked_for(project):
    """The VIP is the address that Octavia names, not the port's first."""
    network = project.network()
    second = network.another_subnet("10.251.0.0/24")
    port = project.neutron.create_port(
        network.id, name="mine", fixed_ips=[{"subnet_id": network.subnet}, {"subnet_id": second}]
    )
    address = port["fixed_ips"][1]["ip_address"]
    lb = project.load_balancer(network, subnet=second, vip_port_id=port["id"], vip_address=address)
    assert lb.vip == address
    assert lb.external_ids()["neutron:vip"] == address


def test_b11_vip_ports_cannot_be_attached_to_a_server_and_have_no_addresses(project):
    """VIP ports carry a device id and no owner, so that Neutron clears the switch port."""
    network = project.network()
    second = network.another_subnet("10.252.0.0/24")
    lb = project.load_balancer(network, additional_vip_subnets=[second])
    ports = ports_of(project, lb.id)
    assert len(ports) == 2
    for port in ports:
        assert port["device_id"] == f"lb-{lb.id}"
        switch_port = project.lab.nb.select("Logical_Switch_Port", [["name", "==", port["id"]]])[0]
        assert switch_port["addresses"] == []


def test_b12_failover_repairs_the_rows(project):
    """A failover repairs damaged rows."""
    lb = project.serving(project.network(), members=2)
    before = lb.vips()
    row = lb.rows()[0]
    project.lab.nb.transact(
        update("Load_Balancer", [["_uuid", "==", ["uuid", row["_uuid"]]]], {"vips": omap({})})
    )
    project.quiesce()
    lb.failover()
    assert lb.vips() == before


def test_d5_second_protocol_under_faults_does_not_cost_the_vip_port(project):
    """A UDP listener added while Neutron fails: the VIP port of the live load balancer stays."""
    lb = project.serving(project.network())
    project.neutron.http.inject(path="/v2.0", status=503, count=2)
    listener = lb.listener(53, "UDP")
    project.neutron.http.heal()
    assert listener.provisioning == "ACTIVE"
    assert lb.vip_port in project.neutron.ports


def test_what_octavia_keeps_itself_changes_no_row(project):
    """Names and descriptions of all objects are accepted; the rows stay as they are."""
    lb = project.serving(project.network())
    (listener,), (pool,) = lb.listeners(), lb.pools()
    monitor = pool.monitor()

    def content():
        project.settled(lb)
        return [{**row, "_version": None} for row in lb.rows()]

    before = content()
    for each in (lb, listener, pool):
        each.update(name="new name", description="new")
    for each in (*pool.members(), monitor):
        each.update(name="new name")
    assert content() == before


def test_d37_qos_policies_that_would_have_no_effect_are_refused(project):
    """No packet passes the port of a VIP."""
    network = project.network()
    project.refused("create_load_balancer", network.subnet, vip_qos_policy_id=new_id())
    lb = project.load_balancer(network)
    project.refused("update_load_balancer", lb.id, vip_qos_policy_id=new_id())
    assert project.neutron.port(lb.vip_port).get("qos_policy_id") is None
    lb.update(vip_qos_policy_id=None)


if "vip_sg_ids" in inspect.signature(data_models.LoadBalancer).parameters:
    # With an older octavia-lib, Octavia's API has no such field.

    def test_d37_security_groups_that_cannot_be_enforced_are_refused(project):
        """They are not accepted and ignored."""
        network = project.network()
        project.refused("create_load_balancer", network.subnet, vip_sg_ids=[new_id()])

    def test_d37_security_groups_of_an_update_are_not_handed_over(project):
        """Octavia keeps them to itself: the driver cannot refuse, and changes nothing."""
        lb = project.serving(project.network())
        vips = lb.vips()
        lb.update(vip_sg_ids=[new_id()])
        assert lb.vips() == vips


def test_b36_disabled_load_balancer_is_created_without_vips(project):
    """Created with admin_state_up False it is OFFLINE and serves nothing, until it is enabled."""
    lb = project.serving(project.network(), admin_state_up=False)
    assert lb.vips() == {}
    assert lb.operating == "OFFLINE"
    lb.update(admin_state_up=True)
    assert len(lb.vips()) == 1


def test_port_quota_exceeded_is_refused_and_leaves_nothing(project):
    """Neutron's refusal of the VIP port is the API's, with nothing left behind."""
    network = project.network()
    project.neutron.http.inject(path="/ports", method="POST", status=409, kind="OverQuota", count=1)
    project.refused("create_load_balancer", network.subnet, kinds=("Conflict", "DriverError"))
