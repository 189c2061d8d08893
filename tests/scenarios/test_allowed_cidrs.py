# SPDX-License-Identifier: Apache-2.0
"""Listeners that only some clients may use.

Who is kept out, and where, is checked by the invariants after every step.
"""

import pytest

from tests.lab.invariants.access import Access
from tests.lab.ovsdb import as_list, delete, mutate, omap, oset, ref, update


def access(lb):
    return Access(lb.project.lab, lb.id)


def restricted(project, network, *cidrs, **fields):
    pool = {"name": "pool", "protocol": "TCP", "lb_algorithm": "SOURCE_IP_PORT"}
    members = [{"address": network.vm(), "protocol_port": 80, "subnet_id": network.subnet}]
    listener = {"protocol": "TCP", "protocol_port": 80, "allowed_cidrs": list(cidrs)}
    return project.load_balancer(
        network,
        listeners=[{**listener, "default_pool": "pool"}],
        pools=[{**pool, "members": members}],
        **fields,
    )


@pytest.mark.parametrize("protocol", ["TCP", "UDP", "SCTP"])
def test_set_changed_and_removed(project, protocol):
    network = project.network()
    project.router(network)
    lb = project.load_balancer(network)
    listener = lb.listener(80, protocol, allowed_cidrs=["10.0.0.0/8", "192.0.2.7/32"])
    lb.pool(listener, protocol).member(network.vm())
    assert len(access(lb).acls) == 1
    listener.update(allowed_cidrs=["10.0.0.5/32"])
    listener.update(name="another")
    assert len(access(lb).acls) == 1
    listener.update(allowed_cidrs=["0.0.0.0/0"])
    assert not access(lb).groups
    listener.update(allowed_cidrs=["192.0.2.0/24"])
    listener.update(admin_state_up=False)
    assert not access(lb).groups
    listener.update(admin_state_up=True)
    assert len(access(lb).acls) == 1
    listener.update(allowed_cidrs=[])
    assert not access(lb).groups


def test_goes_with_its_listener(project):
    network = project.network()
    project.router(network)
    lb = project.load_balancer(network)
    first, second = (lb.listener(port, allowed_cidrs=["10.0.0.0/8"]) for port in (80, 81))
    first.delete()
    assert len(access(lb).acls) == 1
    second.update(allowed_cidrs=None)
    assert not access(lb).groups


def test_both_families_and_every_address(project):
    network = project.network(4, 6)
    project.router(network, external=project.external)
    additional = [network.subnets[6]]
    lb = restricted(
        project, network, "10.0.0.0/8", "2001:db8::/32", additional_vip_subnets=additional
    )
    assert len(access(lb).acls) == 2
    project.floating_ip(lb.vip_port)
    project.settled(lb)
    lb.listeners()[0].update(allowed_cidrs=["10.0.0.0/8"])
    assert len(access(lb).acls) == 2
    lb.update(admin_state_up=False)
    assert not access(lb).groups


def test_follows_routers_and_floating_ips(project):
    network, other = project.network(), project.network()
    lb = restricted(project, network, "10.0.0.0/8")
    assert access(lb).ports == {lb.vip_port}
    router = project.router(network, external=project.external)
    project.settled(lb)
    assert len(access(lb).ports) == 2 + 1
    router.connect(other)
    project.settled(lb)
    assert len(access(lb).ports) == 3 + 1
    fip = project.floating_ip(lb.vip_port)
    project.settled(lb)
    project.neutron.disassociate_fip(fip["id"])
    router.disconnect(other)
    project.settled(lb)
    assert len(access(lb).ports) == 2 + 1


def damage_acls(lb):
    for acl in access(lb).acls:
        yield update("ACL", _is(acl), {"match": "ip4.src == 192.0.2.1", "priority": 1})


def take_acls(lb):
    for group in access(lb).groups:
        acls = oset(map(ref, as_list(group["acls"])))
        yield mutate("Port_Group", _is(group), ["acls", "delete", acls])


def take_ports(lb):
    for group in access(lb).groups:
        yield update("Port_Group", _is(group), {"ports": oset([])})


def take_groups(lb):
    for group in access(lb).groups:
        yield delete("Port_Group", _is(group))


def take_sets(lb):
    for each in access(lb).sets:
        yield delete("Address_Set", _is(each))


def allow_more(lb):
    for each in access(lb).sets:
        yield update("Address_Set", _is(each), {"addresses": oset(["192.0.2.1"])})


def take_marks(lb):
    found = access(lb)
    for table, rows in (("Port_Group", found.groups), ("Address_Set", found.sets)):
        for row in rows:
            yield update(table, _is(row), {"external_ids": omap({})})


def say_less(lb):
    for row in lb.rows():
        keys = dict(row["external_ids"])
        (broken,) = (key for key in keys if key.startswith("octavia:listener:"))
        yield update("Load_Balancer", _is(row), {"external_ids": omap({**keys, broken: "?"})})


def _is(row):
    return [["_uuid", "==", ref(row["_uuid"])]]


@pytest.mark.parametrize(
    "damage",
    [
        damage_acls,
        take_acls,
        take_ports,
        take_groups,
        take_sets,
        take_marks,
        allow_more,
        say_less,
    ],
)
def test_what_another_client_changed_is_repaired(project, damage):
    network = project.network()
    project.router(network)
    lb = restricted(project, network, "10.0.0.0/8")
    project.lab.nb.transact(*damage(lb))
    project.settled(lb)
    assert access(lb).acls


def test_the_next_agent_finds_nothing_to_do(project, lab):
    network = project.network()
    project.router(network)
    lb = restricted(project, network, "10.0.0.0/8")
    project.quiesce()
    writes = len(lab.agent_tap.writes)
    lab.stop_agent()
    lab.start_agent()
    lb.update(name="another")
    assert len(lab.agent_tap.writes) - writes == 1
