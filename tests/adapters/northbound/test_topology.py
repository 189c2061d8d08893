# SPDX-License-Identifier: Apache-2.0
"""What the agent keeps of networks that come and go."""

from types import SimpleNamespace

from octavia_ovn.adapters.northbound import topology as northbound_topology
from octavia_ovn.adapters.northbound.topology import NorthboundTopology


def interface(number):
    return SimpleNamespace(
        name=f"lrp-{number}",
        networks=[f"10.0.{number}.1/24"],
        external_ids={
            "neutron:network_name": f"neutron-net{number}",
            "neutron:router_name": "r",
            "neutron:subnet_ids": f"sub{number}",
        },
    )


def test_subnets_whose_interface_is_deleted_are_not_kept(monkeypatch):
    monkeypatch.setattr(northbound_topology, "_REMEMBERED", 2)
    topology = NorthboundTopology(lambda _: None)
    topology.update("Logical_Router_Port", "stays", interface(0))
    for number in range(1, 4):
        topology.update("Logical_Router_Port", str(number), interface(number))
        topology.update("Logical_Router_Port", str(number), None)
        assert topology.subnet(f"sub{number}").cidr == f"10.0.{number}.0/24"

    assert topology.subnet("sub0").network_id == "net0"
    topology.update("Logical_Router_Port", "4", interface(4))
    assert topology.subnet("sub1") is None
    assert topology.subnet("sub0") is not None


def test_routers_addresses_are_known_by_switch():
    topology = NorthboundTopology(lambda _: None)
    topology.update("Logical_Router_Port", "1", interface(1))

    assert topology.has_router_address("neutron-net1", "10.0.1.1")
    assert not topology.has_router_address("neutron-net2", "10.0.1.1")

    topology.update("Logical_Router_Port", "1", None)
    assert not topology.has_router_address("neutron-net1", "10.0.1.1")
