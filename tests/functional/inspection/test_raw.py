# SPDX-License-Identifier: Apache-2.0
"""Rows for support, as the databases have them."""

import json

import pytest

from octavia_ovn.adapters.inspection.raw import RawRows
from octavia_ovn.adapters.ovsdb.session import OvsdbSession
from octavia_ovn.core.desired import responder
from octavia_ovn.errors import Unavailable
from tests.functional.inspection.test_snapshot import (
    EXT,
    HELD,
    LB,
    NET1,
    NET2,
    R1,
    SB,
    VIP,
    cloud,
    hypervisor,
    insert,
    refs,
)
from tests.functional.ovsdb.server import DATABASE, endpoint

ACCESS = {"octavia:allowed_cidrs": "True", "octavia:loadbalancer_id": LB.id}
OTHERS = ACCESS | {"octavia:loadbalancer_id": "another"}


@pytest.fixture
def sessions(server, sb):
    nb = OvsdbSession(endpoint(server.unix), DATABASE, 5)
    nb.transact(cloud())
    southbound = OvsdbSession(endpoint(sb.unix), SB, 5)
    southbound.transact(hypervisor())
    return nb, southbound


@pytest.fixture
def raw(sessions):
    return RawRows(*sessions)


def names(rows, key="name"):
    return {each[key] for each in rows}


def test_rows_of_the_load_balancer_and_those_around_it(raw):
    rows = raw.northbound(LB.id)

    (row,) = rows["Load_Balancer"]
    assert row["ip_port_mappings"] == {"10.0.0.1": "one:10.0.0.250"}
    assert {"_uuid", "selection_fields", "options", "protocol"} <= row.keys()
    assert names(rows["Load_Balancer_Health_Check"], "vip") == set(HELD)
    assert names(rows["Logical_Switch"]) == {NET1, NET2}
    assert names(rows["Logical_Router"]) == {R1}
    assert names(rows["Logical_Switch_Port"]) == {"vip-port"}
    assert names(rows["NAT"], "logical_ip") == {VIP}
    assert rows.keys().isdisjoint({"ACL", "Port_Group", "Address_Set", "Logical_Router_Port"})
    assert EXT not in json.dumps(rows, default=str)


def test_of_switches_and_routers_only_what_identifies_them(raw):
    rows = raw.northbound(LB.id)

    for table in ("Logical_Switch", "Logical_Router"):
        for row in rows[table]:
            assert row.keys() <= {"_uuid", "name", "external_ids", "options"}


def test_access_control_of_this_load_balancer_only(raw, sessions):
    acl = {"direction": "to-lport", "priority": 3000, "match": "tcp", "action": "drop"}
    sessions[0].transact(
        [
            insert("ACL", {**acl, "external_ids": ACCESS}, "mine"),
            insert("ACL", {**acl, "external_ids": OTHERS}, "theirs"),
            insert("Port_Group", {"name": "g1", "acls": refs("mine"), "external_ids": ACCESS}),
            insert("Port_Group", {"name": "g2", "acls": refs("theirs"), "external_ids": OTHERS}),
            insert("Address_Set", {"name": "a1", "external_ids": ACCESS}),
        ]
    )
    rows = raw.northbound(LB.id)

    assert [each["external_ids"] for each in rows["ACL"]] == [ACCESS]
    assert names(rows["Port_Group"]) == {"g1"}
    assert names(rows["Address_Set"]) == {"a1"}


def test_a_responder(raw, sessions):
    made = responder.names(NET1)
    row = {"mac": responder.mac(NET1), "networks": f"{VIP}/24", "name": made.router_port}
    sessions[0].transact(
        [
            insert("Logical_Router_Port", row, "answering"),
            insert("Logical_Router", {"name": made.router, "ports": refs("answering")}),
        ]
    )

    assert names(raw.northbound(LB.id)["Logical_Router_Port"]) == {made.router_port}


def test_rows_of_the_southbound_database(raw):
    rows = raw.southbound(LB.id, raw.northbound(LB.id))

    assert {(each["port"], tuple(each["status"])) for each in rows["Service_Monitor"]} == {
        (80, ("offline",)),
        (443, ("online",)),
    }
    assert rows["Load_Balancer"] == []


def test_nothing_is_known_of_another_load_balancer(raw):
    assert raw.northbound("another") == {}
    assert raw.southbound("another", {}) == {"Load_Balancer": [], "Service_Monitor": []}


def test_versions(raw, sessions):
    assert raw.northbound_version() == {"schema": version(sessions[0]), "northd": ""}
    sessions[0].transact(
        [insert("NB_Global", {"options": {"northd_internal_version": "25.03", "ipsec_key": "x"}})]
    )
    assert raw.northbound_version() == {"schema": version(sessions[0]), "northd": "25.03"}
    assert raw.southbound_version() == {"schema": version(sessions[1])}


def version(session):
    found = session.schema().json["version"]
    assert found.count(".") == 2
    return found


def test_no_server(tmp_path):
    missing = OvsdbSession(endpoint(f"unix:{tmp_path / 'nothing'}"), DATABASE, 0.1)
    raw = RawRows(missing, missing)
    for read in (raw.northbound_version, raw.southbound_version, lambda: raw.northbound(LB.id)):
        with pytest.raises(Unavailable):
            read()
