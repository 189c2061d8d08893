# SPDX-License-Identifier: Apache-2.0
"""Reading what is around a load balancer from real database servers."""

from __future__ import annotations

import dataclasses

import pytest

from octavia_ovn.adapters.inspection.snapshot import SnapshotReader
from octavia_ovn.adapters.ovsdb.session import OvsdbSession
from octavia_ovn.adapters.ovsdb.wire import ovs_map, ovs_set
from octavia_ovn.core.codec import keys as k
from octavia_ovn.core.desired import responder
from octavia_ovn.core.diagnosis.findings import Severity as Found
from octavia_ovn.core.diagnosis.overview import overview
from octavia_ovn.core.diagnosis.path import Client, paths
from octavia_ovn.core.diagnosis.snapshot import Switch
from octavia_ovn.core.diagnosis.trace import explain
from octavia_ovn.core.health import HealthState
from octavia_ovn.core.request.record import rows_of
from octavia_ovn.core.topology import FloatingIp, Subnet
from octavia_ovn.errors import NotFound, Refused, Unavailable
from tests.core.builders import balancer, listener, member, monitor, pool, vip
from tests.core.diagnosis.snapshots import faults
from tests.functional.ovsdb.server import DATABASE, endpoint

SB = "OVN_Southbound"
VIP, FIP = "10.0.0.100", "172.24.4.9"
NET1, NET2, EXT, R1 = "neutron-net1", "neutron-net2", "neutron-ext", "neutron-r1"
LB = balancer(
    [listener()],
    [pool(members=[member(1), member(2, subnet_id="sub2", address="10.0.1.2")], monitor=monitor())],
    vips=(vip(cidr="10.0.0.0/24"),),
)
HELD = f"{VIP}:80", f"{FIP}:80"


def insert(table, row, name=""):
    """Return an operation; maps are written as dicts."""
    values = {key: ovs_map(each) if isinstance(each, dict) else each for key, each in row.items()}
    operation = {"op": "insert", "table": table, "row": values}
    return operation | ({"uuid-name": name.replace("-", "_")} if name else {})


def refs(*names):
    return ovs_set([["named-uuid", each.replace("-", "_")] for each in names])


def switch(name, *ports, **ids):
    ids = {"neutron:network_name": name.replace("neutron-", "name-"), **ids}
    held = refs("lb") if name in (NET1, NET2) else refs()
    row = {"name": name, "ports": refs(*ports), "load_balancer": held, "external_ids": ids}
    return insert("Logical_Switch", row)


def port(name, network, cidrs="", label="", **row):
    ids = {
        "neutron:network_name": network,
        "neutron:port_name": label or f"{name}-name",
        "neutron:cidrs": cidrs,
    }
    return insert("Logical_Switch_Port", {"name": name, "external_ids": ids, **row}, name)


def router_port(network, cidr, subnet, *, gateway=False):
    ids = {
        "neutron:network_name": network,
        "neutron:router_name": "r1",
        "neutron:subnet_ids": subnet,
        "neutron:is_ext_gw": str(gateway),
    }
    name = f"lrp-r1-{network}"
    row = {"name": name, "mac": "fa:16:3e:00:00:01", "networks": cidr, "external_ids": ids}
    return insert("Logical_Router_Port", row, f"lrp_{subnet}")


def nat(kind, external_ip):
    ids = {"neutron:fip_port_id": "vip-port", "neutron:router_name": R1}
    row = {"type": kind, "logical_ip": VIP, "external_ip": external_ip, "external_ids": ids}
    return insert("NAT", row, kind)


def rule(name, priority, match, action, **ids):
    row = {"direction": "to-lport", "priority": priority, "match": match, "action": action}
    return insert("ACL", {**row, "external_ids": ids}, name)


def group(name, rule_name, **ids):
    row = {"name": name, "ports": refs("one", "two"), "acls": refs(rule_name), "external_ids": ids}
    return insert("Port_Group", row)


def cloud():
    """Return the operations that make two networks, a router and the load balancer."""
    (row,) = rows_of(LB, ())
    load_balancer = {
        "name": LB.id,
        "protocol": "tcp",
        "external_ids": row.external_ids,
        "vips": dict.fromkeys(HELD, "10.0.0.1:80,10.0.1.2:80"),
        "ip_port_mappings": {"10.0.0.1": "one:10.0.0.250"},
        "health_check": refs("check0", "check1"),
    }
    router = {
        "name": R1,
        "ports": refs("lrp_sub1", "lrp_sub2", "lrp_subx"),
        "nat": refs("dnat_and_snat", "snat"),
        "load_balancer": refs("lb"),
        "external_ids": {"neutron:router_name": "gateway"},
    }
    return [
        insert("Load_Balancer_Health_Check", {"vip": HELD[0]}, "check0"),
        insert("Load_Balancer_Health_Check", {"vip": HELD[1]}, "check1"),
        insert("Load_Balancer", load_balancer, "lb"),
        port("vip-port", NET1, f"{VIP}/24"),
        port("one", NET1, "10.0.0.1/24 fd00::1/64", addresses="fa:16:3e:00:00:02 10.0.0.1"),
        port("hm", NET1, "10.0.0.250/24", label="ovn-lb-hm-sub1", type="localport"),
        port("client", NET1, "10.0.0.7/24", label="twin", enabled=False),
        port("two", NET2, "10.0.1.2/24"),
        port("other", NET2, "10.0.1.9/24", label="twin"),
        port("r1-neutron-net1", NET1, type="router"),
        switch(NET1, "vip-port", "one", "hm", "client", "r1-neutron-net1"),
        switch(NET2, "two", "other"),
        switch(EXT, **{"neutron:provnet-physical-network": "physnet1"}),
        router_port(NET1, "10.0.0.254/24", "sub1"),
        router_port(NET2, "10.0.1.254/24", "sub2"),
        router_port(EXT, "172.24.4.1/24", "subx", gateway=True),
        nat("dnat_and_snat", FIP),
        nat("snat", "172.24.4.1"),
        insert("Logical_Router", router),
        rule("acl", 1002, "outport == @pg_web && ip4.src == $friends", "allow-related"),
        rule("drop", 1001, "outport == @neutron_pg_drop && ip", "drop"),
        group("pg_web", "acl", **{"neutron:security_group_id": "sg1"}),
        rule("denied", 3000, "tcp", "drop", **{k.ACCESS_MARK: k.MARKED, k.ACCESS_LISTENER: "l1"}),
        group("pg_fence", "denied"),
        group("neutron_pg_drop", "drop"),
    ]


def binding(key, name, *chassis):
    row = {"logical_port": name, "datapath": ["named-uuid", "dp"], "tunnel_key": key}
    return insert("Port_Binding", {**row, "chassis": refs(*chassis)})


def service(port_number, status):
    row = {"ip": "10.0.0.1", "port": port_number, "protocol": "tcp", "logical_port": "one"}
    source = {"src_ip": "10.0.0.250", "src_mac": "fa:16:3e:00:00:03"}
    return insert("Service_Monitor", {**row, **source, "status": status})


def hypervisor():
    """Return the operations that bind ports, in the Southbound database."""
    return [
        insert("Encap", {"type": "geneve", "ip": "192.0.2.1", "chassis_name": "c1"}, "encap"),
        insert("Chassis", {"name": "c1", "hostname": "host1", "encaps": refs("encap")}, "chassis"),
        insert("Datapath_Binding", {"tunnel_key": 1}, "dp"),
        service(80, "offline"),
        service(443, "online"),
        insert("Address_Set", {"name": "friends", "addresses": "10.0.0.7"}),
        binding(1, "one", "chassis"),
        binding(2, "two"),
        binding(3, "client", "chassis"),
        binding(4, f"cr-lrp-r1-{EXT}", "chassis"),
    ]


def neutron(subnet_id):
    if subnet_id == "broken":
        raise Unavailable("Neutron is away")
    raise NotFound(subnet_id)


class Counting(OvsdbSession):
    """Counts requests and the rows that come back."""

    requests = rows = 0

    def transact(self, operations, deadline=None):
        results = super().transact(operations, deadline)
        self.requests += 1
        self.rows += sum(len(each.get("rows", ())) for each in results)
        return results


@pytest.fixture
def sessions(server, sb):
    nb_session = Counting(endpoint(server.unix), DATABASE, 5)
    sb_session = Counting(endpoint(sb.unix), SB, 5)
    nb_session.transact(cloud())
    sb_session.transact(hypervisor())
    nb_session.requests = nb_session.rows = 0
    return nb_session, sb_session


@pytest.fixture
def reader(sessions):
    return SnapshotReader(*sessions, neutron)


def test_everything_is_read(reader):
    snapshot, _ = reader.snapshot(LB.id, None)

    assert snapshot.intent == LB
    assert snapshot.notes == snapshot.problems == ()
    (row,) = snapshot.rows
    assert (row.switches, row.routers) == ({NET1, NET2}, {R1})
    assert {check.vip for check in row.health_checks} == set(HELD)
    assert snapshot.vips.keys() == set(HELD)
    assert snapshot.subnets["sub2"] == Subnet("sub2", "net2", "10.0.1.0/24")
    assert snapshot.switches[EXT] == Switch(EXT, "name-ext", "physnet1")
    assert snapshot.routers == {R1: "gateway"}
    assert {each.name for each in snapshot.router_ports if each.gateway} == {f"lrp-r1-{EXT}"}
    assert snapshot.gateway_chassis == {f"lrp-r1-{EXT}": "host1"}
    assert snapshot.floating_ips == {VIP: FloatingIp(FIP, VIP, "vip-port", R1, id="")}
    assert set(snapshot.ports) == {"vip-port", "one", "two", "hm"}
    one = snapshot.ports["one"]
    assert (one.label, one.switch, one.chassis) == ("one-name", NET1, "host1")
    assert one.ips == ("10.0.0.1", "fd00::1")
    assert (snapshot.ports["two"].chassis, snapshot.ports["hm"].type) == ("", "localport")
    assert snapshot.health.backends == {
        ("10.0.0.1", 80, "tcp"): HealthState.DOWN,
        ("10.0.0.1", 443, "tcp"): HealthState.UP,
    }
    assert snapshot.health.members == {"m2": HealthState.UNREACHABLE}
    assert snapshot.acls == ()
    assert snapshot.answers_for_down


def test_neutron_has_ovn_answer_for_ports_that_are_up(reader, sessions):
    options = {"options": {"ignore_lsp_down": "false"}}
    sessions[0].transact([insert("NB_Global", options)])
    assert not reader.snapshot(LB.id, None)[0].answers_for_down


def test_a_responder_that_answers_for_the_vip(reader, sessions):
    assert reader.snapshot(LB.id, None)[0].answered == frozenset()

    names = responder.names(NET1)
    ids = responder.external_ids({LB.id: {f"{VIP}/24"}, "other": {"10.0.0.9/24"}})
    row = {"mac": responder.mac(NET1), "networks": f"{VIP}/24", "external_ids": ids}
    router = {"name": names.router, "ports": refs("answering")}
    sessions[0].transact(
        [
            insert("Logical_Router_Port", {"name": names.router_port, **row}, "answering"),
            insert("Logical_Router", router),
        ]
    )
    assert reader.snapshot(LB.id, None)[0].answered == {VIP}


@pytest.mark.parametrize(
    ("table", "name"), [("Logical_Router", R1), ("Logical_Router_Port", f"lrp-r1-{NET1}")]
)
def test_what_is_administratively_down(reader, sessions, table, name):
    assert reader.snapshot(LB.id, None)[0].down == frozenset()
    where = [["name", "==", name]]
    for enabled in (True, False):
        row = {"enabled": enabled}
        sessions[0].transact([{"op": "update", "table": table, "where": where, "row": row}])
        assert reader.snapshot(LB.id, None)[0].down == (frozenset() if enabled else {name})


def test_a_client_and_the_rules_on_its_way(reader):
    client = reader.client("client")
    snapshot, client = reader.snapshot(LB.id, None, client)

    assert (client.port.name, client.port.chassis, client.port.enabled) == (
        "client",
        "host1",
        False,
    )
    assert snapshot.ports["one"].groups == {"pg_web", "pg_fence", "neutron_pg_drop"}
    assert snapshot.address_sets == {"friends": ("10.0.0.7",)}
    assert {each.listener for each in snapshot.acls if each.group == "pg_fence"} == {"l1"}
    assert {each.owner for each in snapshot.acls} == {
        "",
        "security group sg1",
        "no rule of a security group allows it",
    }
    (path,) = paths(snapshot, client)
    explanation = explain(path)
    assert explanation.severity is Found.FAULT
    assert "administratively down" in faults(explanation)[0].sentence
    assert overview(snapshot).root.children[0].ovn == f"{VIP}:80, {FIP}:80"


@pytest.mark.parametrize(
    ("text", "addresses", "name"),
    [
        ("one", ("10.0.0.1", "fd00::1"), "one"),
        ("two-name", ("10.0.1.2",), "two"),
        ("10.0.1.9", ("10.0.1.9",), "other"),
        ("172.24.4.200", ("172.24.4.200",), None),
        ("FD00:0::9", ("fd00::9",), None),
    ],
)
def test_finds_the_port_of_a_client(reader, text, addresses, name):
    _, client = reader.snapshot(LB.id, None, reader.client(text))
    assert client.addresses == addresses
    assert (client.port and client.port.name) == name


def test_an_unknown_client(reader):
    with pytest.raises(NotFound, match="'absent', and it is no address"):
        reader.client("absent")
    with pytest.raises(Refused, match="2 ports are named 'twin'; name an id: client, other"):
        reader.client("twin")
    with pytest.raises(NotFound, match=r"no port on network name-net2 has the address 10.0.1.99"):
        reader.snapshot(LB.id, None, reader.client("10.0.1.99"))


def test_a_load_balancer_without_rows(reader):
    other = dataclasses.replace(LB, id="lb2")
    snapshot, _ = reader.snapshot("lb2", other)
    assert snapshot.rows == ()
    assert snapshot.lb is other
    assert NET1 in snapshot.switches
    snapshot, client = reader.snapshot("lb3", None, Client(("192.0.2.1",)))
    assert (snapshot.lb, client.port) == (None, None)


def test_rows_without_content(reader, server):
    server.insert(name="lb4", external_ids=["map", [["enabled", "True"]]])
    snapshot, _ = reader.snapshot("lb4", None)
    assert snapshot.problems == ("no row names a VIP",)


def test_subnets_that_are_not_known(reader):
    lost = [member(1, subnet_id="broken"), member(2, subnet_id="gone")]
    snapshot, _ = reader.snapshot("lb2", balancer([], [pool(members=lost)]))
    assert snapshot.notes == (
        "Subnet broken is not known: Neutron is away",
        "Subnet gone does not exist in Neutron.",
    )


def test_without_the_southbound_database(reader, sb, sessions):
    client = reader.client("client")
    sessions[1]._timeout = 0.3
    sb.kill()
    snapshot, _ = reader.snapshot(LB.id, None, client)
    assert snapshot.ports["one"].chassis is None
    assert len(snapshot.notes) == 2
    assert "Southbound database did not answer" in snapshot.notes[0]


def test_what_is_read_does_not_grow_with_the_cloud(reader, server, sessions):
    nb_session, _ = sessions
    reader.snapshot(LB.id, None, reader.client("client"))
    before = (nb_session.requests, nb_session.rows)

    more = [
        insert(table, {"name": f"{table}{number}"})
        for number in range(300)
        for table in ("Load_Balancer", "Logical_Switch", "Logical_Router", "Port_Group")
    ]
    ports = [port(f"more-{number}", "neutron-net9", f"10.9.{number}.1/24") for number in range(200)]
    names = [f"more-{number}" for number in range(200)]
    more += [*ports, switch("neutron-net9", *names)]
    server_session = OvsdbSession(endpoint(server.unix), DATABASE, 20)
    server_session.transact(more)
    nb_session.requests = nb_session.rows = 0
    reader.snapshot(LB.id, None, reader.client("client"))

    assert (nb_session.requests, nb_session.rows) == before
