# SPDX-License-Identifier: Apache-2.0
"""Stories of rows that ovn-octavia-provider has written."""

import dataclasses

from octavia_ovn.core import codec
from octavia_ovn.core.rows import HealthCheck
from tests.controller.agent import Agent
from tests.controller.openstack import FixedIp, Port
from tests.controller.stories import CHECKED, DOWN, KNOWN, SITE, VIPS
from tests.core.builders import VIP, monitor, row


def legacy(**fields):
    """A row as the existing driver writes it, with two members of which one is checked away."""
    given = {
        "external_ids": {
            "enabled": "True",
            "neutron:vip": VIP,
            "neutron:vip_port_id": "vip-port",
            "listener_l1": "80:pool_p1",
            "pool_p1": "member_m1_10.0.0.1:80_sub1,member_m2_10.0.0.2:80_sub1",
            "ls_refs": '{"neutron-net1": 3}',
            "lr_ref": "R1",
            "neutron:member_status": '{"m1": "NO_MONITOR", "m2": "NO_MONITOR"}',
        },
        "vips": {f"{VIP}:80": "10.0.0.1:80,10.0.0.2:80"},
        "selection_fields": frozenset({"ip_src", "ip_dst", "tp_src", "tp_dst"}),
        "switches": frozenset({"neutron-net1"}),
        "routers": frozenset({"R1"}),
    }
    return row(**{**given, **fields})


class TestTakingOver:
    def taken(self, *rows, port=None):
        agent = Agent(rows)
        ports = agent.nb.ports["neutron-net1"]
        ports.names = {"10.0.0.1": "port1", "10.0.0.2": "port2"}
        ports.sources = {"sub1": "10.0.0.9"}
        agent.neutron.ports["vip-port"] = port or Port(
            "vip-port", "ovn-lb-vip-lb1", "ovn-lb:vip", fixed_ips=(FixedIp(VIP, "sub1"),)
        )
        agent.enqueue()
        return agent.settle()

    def test_changes_no_vip_and_says_nothing(self):
        agent = self.taken(legacy())

        assert agent.history == [VIPS]
        assert codec.keys.LOAD_BALANCER in agent.row.external_ids
        assert agent.row.uuid == "u1"
        assert (agent.row.switches, agent.row.routers) == ({"neutron-net1"}, {"R1"})
        assert agent.octavia.messages == []
        agent.assert_ended(SITE)

    def test_adopts_the_port(self):
        agent = self.taken(legacy())

        assert agent.neutron.ports["vip-port"].device_owner == ""
        assert agent.neutron.ports["vip-port"].device_id == "lb-lb1"
        (found,) = codec.decode(agent.rows).lb.vips
        assert found == dataclasses.replace(KNOWN, user_port=False)

    def test_leaves_a_user_provided_port_alone(self):
        agent = self.taken(legacy(), port=Port("vip-port", "mine", "compute:nova"))

        assert agent.neutron.ports["vip-port"].device_owner == "compute:nova"
        assert codec.decode(agent.rows).lb.vips[0].user_port

    def test_waits_for_neutron_and_serves(self):
        agent = Agent([legacy()])
        agent.neutron.error = DOWN
        agent.enqueue()
        agent.settle()

        assert agent.db.all() == (legacy(),)

    def test_a_port_that_is_gone_changes_nothing_either(self):
        agent = Agent([legacy()])
        agent.enqueue()
        agent.settle()

        assert agent.db.vips() == VIPS
        agent.assert_ended(SITE)

    def test_keeps_checks_and_mappings(self):
        options = {"interval": "5", "timeout": "3", "success_count": "4", "failure_count": "2"}
        ids = {"octavia:healthmonitor": "hm1", "octavia:pool_id": "p1", "octavia:vip": VIP}
        check = HealthCheck(f"{VIP}:80", options, ids, uuid="c1")
        before = legacy(
            health_checks=(check,),
            ip_port_mappings={"10.0.0.1": "port1:10.0.0.9", "10.0.0.2": "port2:10.0.0.9"},
        )
        agent = self.taken(before)

        assert agent.row.health_checks == (check,)
        assert agent.row.health_checks[0].uuid == "c1"
        assert agent.row.ip_port_mappings == before.ip_port_mappings
        assert codec.decode(agent.rows).lb.pools[0].monitor == monitor()
        agent.assert_ended(CHECKED)

    def test_of_two_rows_that_share_a_name(self):
        udp = legacy(
            uuid="u2",
            protocol="udp",
            vips={f"{VIP}:53": "10.0.0.1:53"},
            external_ids={
                **legacy().external_ids,
                "neutron:member_status": '{"m3": "NO_MONITOR"}',
                "listener_l2": "53:pool_p2",
                "pool_p2": "member_m3_10.0.0.1:53_sub1",
            },
        )
        ids = {
            key: udp.external_ids[key] for key in udp.external_ids if key[-3:] not in ("_l1", "_p1")
        }
        agent = self.taken(legacy(), dataclasses.replace(udp, external_ids=ids))

        assert agent.history == [{**VIPS, ("udp", f"{VIP}:53"): "10.0.0.1:53"}]
        assert {each.uuid for each in agent.rows} == {"u1", "u2"}
        agent.assert_ended(SITE)
