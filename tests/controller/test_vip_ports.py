# SPDX-License-Identifier: Apache-2.0
"""Stories of VIP ports that are deleted or changed in Neutron while their load balancer serves."""

import dataclasses

import pytest

from octavia_ovn.core import codec
from octavia_ovn.core.desired import access_control
from octavia_ovn.core.request import changes
from octavia_ovn.core.statistics.limited import Counts
from octavia_ovn.errors import Conflict, Refused
from tests.controller.openstack import FixedIp, Port
from tests.controller.stories import DOWN, SITE, VIPS, agent_with, site
from tests.core.builders import VIP, balancer, listener, member, pool, vip

OTHER = "10.0.0.77"


def with_user_port(lb):
    vips = tuple(vip(cidr="10.0.0.0/24", user_port=True) for _ in lb.vips)
    return dataclasses.replace(lb, vips=vips)


def lose(agent, *others):
    """Delete the VIP's port; other ports exist afterwards."""
    agent.neutron.ports = {each.id: each for each in others}
    agent.nb.held["vip-port"] = False
    agent.changed(("port", "vip-port"))
    agent.settle()


def move(agent, *others):
    """Give the VIP's port another address."""
    port = Port("vip-port", "ovn-lb-vip-lb1", fixed_ips=(FixedIp(OTHER, "sub1"),))
    lose(agent, port, *others)


def returns(agent):
    agent.nb.held.clear()
    agent.changed(("port", "vip-port"))
    agent.settle()


TAKEN = Port("stranger", "mine", fixed_ips=(FixedIp(VIP, "sub1"),))


def assert_closed(agent, caplog, why):
    assert agent.db.vips() == {}
    assert agent.octavia.operating["lb1"] == "ERROR"
    assert why in codec.read_lost_vips([agent.row])[VIP]
    assert caplog.text.count(f"VIP {VIP} of load balancer lb1 is not served") == 1


def test_a_deleted_port_is_created_again_while_the_address_is_free(caplog):
    agent = agent_with()
    lose(agent)

    assert agent.neutron.ports["new-port"].name == "ovn-lb-vip-lb1"
    assert agent.row.external_ids["neutron:vip_port_id"] == "new-port"
    assert agent.db.vips() == VIPS
    assert agent.octavia.operating["lb1"] == "ONLINE"
    assert "Port vip-port of VIP 10.0.0.100" in caplog.text
    assert agent.index.of(("port", "new-port")) == {"lb1"}


def test_what_octavia_says_of_the_former_port_is_not_put_back():
    agent = agent_with()
    lose(agent)
    agent.asked(changes.Restore(SITE))
    agent.settle()

    assert agent.row.external_ids["neutron:vip_port_id"] == "new-port"

    agent.nb.held["new-port"] = False
    agent.neutron.ports.clear()
    agent.changed(("port", "new-port"))
    agent.settle()

    assert codec.decode([agent.row]).lb.vips[0].replaces == "vip-port"


def test_an_additional_vip_has_its_own_name():
    second = vip("10.0.0.101", cidr="10.0.0.0/24", user_port=False)
    lb = balancer(
        [listener()], [pool(members=[member(1)])], vips=(*SITE.vips, replaced(second, "vip2"))
    )
    agent = agent_with(lb)
    agent.nb.held["vip2"] = False
    agent.changed(("port", "vip2"))
    agent.settle()

    assert agent.neutron.ports["new-port"].name == "ovn-lb-vip-additional-1-lb1"
    assert agent.row.external_ids["neutron:additional_vip_port_ids"] == "new-port"
    assert agent.row.external_ids["neutron:vip_port_id"] == "vip-port"


def replaced(vip_, port_id):
    return type(vip_)(vip_.address, port_id, vip_.subnet_id, vip_.network_id, vip_.cidr, False)


def test_an_address_that_another_port_has_is_not_served(caplog):
    agent = agent_with()
    lose(agent, TAKEN)

    assert_closed(agent, caplog, "was deleted in Neutron, and it cannot be had again")
    assert agent.neutron.ports == {"stranger": TAKEN}

    agent.neutron.ports.clear()  # the stranger goes; the next comparison finds out
    agent.controller.resync()
    agent.enqueue()
    agent.settle()

    assert agent.db.vips() == VIPS
    assert agent.octavia.operating["lb1"] == "ONLINE"
    assert "octavia:lost_vips" not in agent.row.external_ids


@pytest.mark.parametrize("happens", [lose, move])
def test_a_user_provided_port_is_left_alone(happens, caplog):
    agent = agent_with(with_user_port(SITE))
    happens(agent)

    assert_closed(agent, caplog, "vip-port")
    assert "new-port" not in agent.neutron.ports
    assert all(each.fixed_ips[0].address == OTHER for each in agent.neutron.ports.values())

    returns(agent)

    assert agent.db.vips() == VIPS
    assert agent.octavia.operating["lb1"] == "ONLINE"


def test_a_port_of_the_driver_gets_its_address_back_while_that_is_free():
    agent = agent_with()
    move(agent)

    assert agent.neutron.ports["vip-port"].fixed_ips == (FixedIp(VIP, "sub1"),)
    assert agent.row.external_ids["neutron:vip_port_id"] == "vip-port"
    assert agent.db.vips() == VIPS


def test_a_foreign_port_that_the_rows_name_is_left_alone(caplog):
    agent = agent_with()
    victim = Port("vip-port", "database", fixed_ips=(FixedIp(OTHER, "sub1"),))
    lose(agent, victim)

    assert_closed(agent, caplog, "has another address")
    assert victim.fixed_ips == (FixedIp(OTHER, "sub1"),)


def test_a_port_of_the_driver_does_not_get_back_an_address_that_another_port_has(caplog):
    agent = agent_with()
    move(agent, TAKEN)

    assert_closed(agent, caplog, "has another address")


def test_a_successor_reports_what_octavia_has_not_received():
    agent = agent_with()
    agent.octavia.error = DOWN
    lose(agent, TAKEN)
    agent.octavia.error = None
    successor = agent.successor()
    successor.enqueue()
    successor.settle()
    assert agent.octavia.operating["lb1"] == "ERROR"

    returns_to = successor.successor()
    agent.nb.held.clear()
    returns_to.enqueue()
    returns_to.settle()

    assert agent.octavia.operating["lb1"] == "ONLINE"
    assert "octavia:lost_vips" not in agent.row.external_ids


RULES = {
    "allowed_cidrs": {"allowed_cidrs": ("10.0.0.0/8",)},
    "security groups": {},
    "connection limit": {"connection_limit": 10},
}


@pytest.mark.parametrize("rule", RULES)
def test_the_port_that_has_the_address_now_is_not_kept_from_its_clients(rule):
    groups = frozenset({"sg1"}) if rule == "security groups" else frozenset()
    pools = [pool(members=[member(1)])]
    lb = balancer([listener(**RULES[rule])], pools, vips=SITE.vips, security_groups=groups)
    agent = agent_with(with_user_port(lb))
    agent.limits.counted(Counts(dict.fromkeys(agent.limits.keys, 10), complete=True))
    agent.settle()
    before = agent.db.access()
    assert before.groups

    move(agent, TAKEN)
    assert agent.db.vips() == {}
    assert agent.db.access() == access_control.Access()

    returns(agent)
    assert agent.db.vips()
    agent.waits(1.0)
    assert [each.name for each in agent.db.access().groups] == [each.name for each in before.groups]


@pytest.mark.parametrize("error", [DOWN, Refused("403")])
def test_nothing_is_closed_on_a_guess(error):
    """OVN does not show the port, and Neutron does not say where it is."""
    agent = agent_with()
    agent.neutron.error = error
    agent.nb.held["vip-port"] = False
    agent.changed(("port", "vip-port"))
    agent.settle()

    assert agent.db.vips() == VIPS
    assert agent.octavia.operating["lb1"] == "ONLINE"


def test_ovn_may_be_behind_neutron():
    agent = agent_with()
    there = Port("vip-port", "ovn-lb-vip-lb1", fixed_ips=(FixedIp(VIP, "sub1"),))
    lose(agent, there)

    assert agent.db.vips() == VIPS
    assert agent.neutron.ports == {"vip-port": there}


def test_a_refusal_is_a_conflict_or_anything_else(caplog):
    agent = agent_with()
    agent.neutron.refusal = Conflict("quota")
    lose(agent)

    assert_closed(agent, caplog, "quota")


def test_a_disabled_load_balancer_stays_offline():
    agent = agent_with(site(member(1)))
    agent.asked(changes.UpdateLoadBalancer(enabled=False))
    agent.settle()
    lose(agent, TAKEN)

    assert agent.octavia.operating["lb1"] == "OFFLINE"
