# SPDX-License-Identifier: Apache-2.0
"""Flavors: what the operator sets for a load balancer once."""

import pytest

from tests.lab.ovsdb import omap, update


def options(lb):
    """The options of each row, by protocol."""
    return {row["protocol"]: row["options"] for row in lb.rows()}


def test_a_flavor_is_realised_in_every_row_and_restored(project):
    """Options are those of the flavor; taken off by hand, they come back."""
    network = project.network()
    flavor = {"reject": False, "ct_flush": True, "hairpin_snat_ip": "192.0.2.7 2001:db8::7"}
    lb = project.serving(network, flavor=flavor)
    lb.pool(lb.listener(53, "UDP"), "UDP").member(network.vm(), 53)
    wanted = {"ct_flush": "true", "hairpin_snat_ip": "192.0.2.7 2001:db8::7"}
    assert options(lb) == {"tcp": wanted, "udp": wanted}
    before = lb.state()
    project.lab.nb.transact(update("Load_Balancer", [["name", "==", lb.id]], {"options": omap({})}))
    project.settled(lb)
    assert lb.state() == before
    lb.failover()
    assert lb.state() == before


def test_a_flavor_says_how_clients_are_kept(project):
    """Persistence of a pool that comes later is that of the flavor, not of the option."""
    network = project.network()
    lb = project.load_balancer(network, flavor={"session_persistence": "affinity"})
    persistence = {"type": "SOURCE_IP"}
    pool = lb.pool(lb.listener(), session_persistence=persistence)
    pool.member(network.vm())
    assert options(lb)["tcp"]["affinity_timeout"] == "360"
    before = lb.state()
    pool.update(name="other")
    lb.failover()
    assert lb.state() == before


def test_a_flavor_may_be_strict(project):
    """Its pools cannot be ROUND_ROBIN, now and later; other changes continue."""
    lb = project.serving(project.network(), flavor={"strict_algorithms": True})
    refusal = project.refused("create_pool", lb.id, protocol="TCP", lb_algorithm="ROUND_ROBIN")
    assert "flavor" in str(refusal)
    pool = lb.pools()[0]
    project.refused("update_pool", pool.id, lb_algorithm="ROUND_ROBIN")
    pool.update(name="other")


@pytest.mark.parametrize(
    "flavor", [{"use_stateless_nat": True}, {"reject": 1}, {"loadbalancer_topology": "SINGLE"}]
)
def test_a_flavor_that_cannot_be_is_refused(project, flavor):
    """The key is named, and nothing is made."""
    refusal = project.refused("create_load_balancer", project.network().subnet, flavor=flavor)
    assert next(iter(flavor)) in str(refusal)


def test_a_flavor_does_not_promise_what_this_ovn_lacks(project):
    """Hashing by the address of IPv6 clients is asked of the schema; remembering them is not it."""
    network = project.network(6)
    pool = {"protocol": "TCP", "lb_algorithm": "SOURCE_IP_PORT"}
    pool["session_persistence"] = {"type": "SOURCE_IP"}
    hashing = project.load_balancer(network, flavor={"session_persistence": "hash"})
    if "ipv6_src" in project.lab.selection_fields():
        project.do("create_pool", hashing.id, **pool)
    else:
        refusal = project.refused("create_pool", hashing.id, **pool)
        assert "IPv6" in str(refusal)
    remembering = project.load_balancer(network, flavor={"session_persistence": "affinity"})
    project.do("create_pool", remembering.id, **pool)
    assert options(remembering)["tcp"]["affinity_timeout"] == "360"
