# SPDX-License-Identifier: Apache-2.0
"""The agent's replica of the Northbound database, against a real server."""

import json

import pytest

from octavia_ovn.adapters.northbound.replica import Northbound
from octavia_ovn.adapters.ovsdb.replica import fetch_schema
from octavia_ovn.adapters.ovsdb.session import OvsdbSession
from tests.functional.northbound.by_name import condition_changes
from tests.functional.ovsdb.server import DATABASE, endpoint, wait_for

FIP = ("vip-port", "10.0.0.5")
ROUNDS = 8
"""The server reports the rows of a transaction in the order of their UUIDs' hashes."""


class Followed:
    """A replica and the changes that it reported."""

    def __init__(self, server):
        self.reported = []
        self.nb = Northbound(
            endpoint(server.unix),
            fetch_schema(endpoint(server.unix), DATABASE, 5),
            changed=self.reported.append,
            row_changed=self.reported.append,
            lock="test",
            timeout=5.0,
            probe_interval=0,
            max_backoff=7000,
        )

    def until(self, condition):
        def turn():
            self.nb.run()
            return condition()

        wait_for(turn)

    def has_replicated(self, external_ip):
        nats = self.nb.replica.rows
        self.until(lambda: [row.external_ip for row in nats("NAT")] == [external_ip])


@pytest.fixture
def followed(server):
    found = Followed(server)
    yield found
    found.nb.close()


@pytest.fixture
def write(server):
    session = OvsdbSession(endpoint(server.unix), DATABASE, 5)
    yield session.transact
    session.close()


def insert(table, **columns):
    return {"op": "insert", "table": table, "row": columns}


def replace_all(table):
    return {"op": "delete", "table": table, "where": []}


def nat(external_ip):
    port_id, logical_ip = FIP
    ids = [["neutron:fip_port_id", port_id], ["neutron:fip_id", "fip"]]
    columns = {
        "type": "dnat_and_snat",
        "logical_ip": logical_ip,
        "external_ip": external_ip,
        "external_ids": ["map", ids],
    }
    return insert("NAT", **columns) | {"uuid-name": "nat"}


def router(external_ip):
    """Return the operations that recreate the router, with a floating IP."""
    holder = insert("Logical_Router", name="neutron-r", nat=["named-uuid", "nat"])
    return [replace_all("Logical_Router"), nat(external_ip), holder]


def test_a_floating_ip_whose_row_is_recreated_stays_known(followed, write):
    """Neutron deletes and inserts the row in one transaction whenever a floating IP is updated."""
    for address in (f"203.0.113.{number}" for number in range(1, ROUNDS + 1)):
        write(router(address))
        followed.has_replicated(address)
        assert followed.nb.floating_ip(*FIP) == address
        assert followed.nb.has_router("neutron-r")


def test_rows_that_were_recreated_during_an_outage_stay_known(followed, server, write):
    """As `neutron-ovn-db-sync-util` does after the database was lost."""
    switch = insert("Logical_Switch", name="neutron-n")
    write([*router("203.0.113.1"), switch])
    followed.until(lambda: followed.nb.floating_ip(*FIP))

    server.kill()
    followed.until(lambda: not followed.nb.replica.connected)
    server.start()
    write([*router("203.0.113.2"), replace_all("Logical_Switch"), switch])
    followed.has_replicated("203.0.113.2")

    assert followed.nb.floating_ip(*FIP) == "203.0.113.2"
    assert followed.nb.has_router("neutron-r")
    assert followed.nb.has_switch("neutron-n")


def switch(*names):
    """Return the operations that make switches, each with a port of a member."""
    for number, name in enumerate(names):
        ids = [["neutron:network_name", name], ["neutron:cidrs", "10.0.0.1/24"]]
        port = insert("Logical_Switch_Port", name=f"port-{name}", external_ids=["map", ids])
        yield port | {"uuid-name": f"port{number}"}
        yield insert("Logical_Switch", name=name, ports=["named-uuid", f"port{number}"])


def test_ports_of_a_switch_that_is_not_needed_are_released_with_the_next_change(followed, write):
    write(list(switch("s1", "s2", "s3")))
    nb = followed.nb
    assert nb.switch_ports("s1") is None
    followed.until(lambda: nb.switch_ports("s1"))
    assert nb.switch_ports("s1").at("10.0.0.1").name == "port-s1"

    nb.forget_switch("s1")
    assert nb.switch_ports("s1").at("10.0.0.1").name == "port-s1"

    nb.forget_switch("s1")
    assert nb.switch_ports("s2") is None
    followed.until(lambda: nb.switch_ports("s2") and replicated_ports(nb) == ["port-s2"])

    assert nb.switch_ports("s1") is None
    followed.until(lambda: nb.switch_ports("s1"))
    assert nb.switch_ports("s1").at("10.0.0.1").name == "port-s1"


def replicated_ports(nb):
    return sorted(row.name for row in nb.replica.rows("Logical_Switch_Port"))


def test_a_switch_is_needed_again_before_its_ports_have_gone(followed, write):
    write(list(switch("s1", "s2")))
    nb = followed.nb
    nb.switch_ports("s1")
    followed.until(lambda: nb.switch_ports("s1"))

    nb.forget_switch("s1")
    nb.switch_ports("s2")
    nb.switch_ports("s1")
    followed.until(lambda: nb.switch_ports("s1") and nb.switch_ports("s2"))

    assert nb.switch_ports("s1").at("10.0.0.1").name == "port-s1"
    assert nb.switch_ports("s2").at("10.0.0.1").name == "port-s2"


def test_switches_and_ports_that_are_requested_together_are_asked_for_in_one_change(
    followed, write, monkeypatch
):
    changes = condition_changes(monkeypatch)
    write(list(switch("s1", "s2")))
    nb = followed.nb
    followed.until(lambda: nb.replica.connected)
    for _ in range(3):
        assert nb.switch_ports("s1") is None
        assert nb.switch_ports("s2") is None
        assert nb.has_addresses("port-s1") is None
    followed.until(lambda: nb.switch_ports("s1") and nb.switch_ports("s2"))

    assert len(changes) == 1


def test_a_port_is_followed_by_its_name(followed, write):
    write(list(switch("s1")))
    nb = followed.nb
    assert nb.has_addresses("port-s1") is None
    followed.until(lambda: nb.has_addresses("port-s1") is False)

    addresses = {"op": "update", "table": "Logical_Switch_Port", "where": []}
    write([addresses | {"row": {"addresses": "unknown"}}])
    followed.reported.clear()
    followed.until(lambda: nb.has_addresses("port-s1"))
    assert ("port", "port-s1") in followed.reported


def test_attempts_to_connect_are_no_further_apart_than_was_asked_for(followed):
    nb = followed.nb
    nb.existing_ports({"any"})
    nb.group_rules("any")

    rows = nb._on_demand.ports._rows, nb._on_demand.groups._groups
    for replica in (nb.replica, *(each.replica for each in rows)):
        assert replica._channel._reconnect.get_max_backoff() == 7000


def vip_port(name, address, owner=""):
    """Return the operations that make a VIP's port on a switch of its own."""
    ids = {
        "neutron:network_name": f"net-{name}",
        "neutron:cidrs": f"{address}/24",
        "neutron:device_owner": owner,
    }
    row = {"name": name, "external_ids": ["map", list(ids.items())], "up": True}
    yield insert("Logical_Switch_Port", **row) | {"uuid-name": f"port{name}"}
    yield insert("Logical_Switch", name=f"net-{name}", ports=["named-uuid", f"port{name}"])


def test_vip_ports_are_known_without_being_asked_for(followed, write):
    write([*vip_port("ours", "10.0.0.5"), *vip_port("machine", "10.0.0.6", "compute:nova")])
    nb = followed.nb
    followed.until(lambda: nb.holds("ours", "10.0.0.5", user_port=False))

    assert not nb.holds("ours", "10.0.0.9", user_port=False)
    assert replicated_ports(nb) == ["ours"]

    assert nb.holds("machine", "10.0.0.6", user_port=True) is None
    followed.until(lambda: nb.holds("machine", "10.0.0.6", user_port=True))
    assert nb.holds("ours", "10.0.0.5", user_port=False)

    followed.reported.clear()
    write([{"op": "delete", "table": "Logical_Switch", "where": [["name", "==", "net-ours"]]}])
    followed.until(lambda: nb.holds("ours", "10.0.0.5", user_port=False) is False)
    assert ("port", "ours") in followed.reported


def test_a_member_port_that_goes_down_is_reported(followed, write):
    write(list(vip_port("one", "10.0.0.1", "compute:nova")))
    nb = followed.nb
    nb.switch_ports("net-one")
    followed.until(lambda: nb.switch_ports("net-one"))
    assert nb.switch_ports("net-one").at("10.0.0.1").up

    followed.reported.clear()
    where = [["name", "==", "one"]]
    write([{"op": "update", "table": "Logical_Switch_Port", "where": where, "row": {"up": False}}])
    followed.until(lambda: not nb.switch_ports("net-one").at("10.0.0.1").up)
    assert ("backend", "10.0.0.1") in followed.reported


def test_addresses_that_ovn_answers_for_itself(followed, write):
    vips = json.dumps({"vips": [{"network_id": "n1"}]})
    ids = {"neutron:vip": "10.0.0.5", "octavia:loadbalancer": vips}
    row = {"name": "lb1", "external_ids": ["map", list(ids.items())]}
    write([insert("Load_Balancer", **row)])
    nb = followed.nb
    followed.until(lambda: nb.is_occupied("neutron-n1", "10.0.0.5"))

    assert not nb.is_occupied("neutron-n2", "10.0.0.5")
    assert ("member", "10.0.0.5") in followed.reported
