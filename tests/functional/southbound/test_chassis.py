# SPDX-License-Identifier: Apache-2.0
"""Where members are, and which hypervisors live, in a real Southbound database."""

import time

import pytest

from octavia_ovn.adapters.ovsdb.endpoint import Endpoint
from octavia_ovn.adapters.southbound.chassis import ChassisRows
from octavia_ovn.adapters.southbound.service_monitors import Southbound
from tests.functional.ovsdb.server import SCHEMA, Server

DATABASE = "OVN_Southbound"


class World:
    """A replica, and what it has said of ports; two chassis, and three ports."""

    def __init__(self, server):
        self._server = server
        self.places = {}
        self.chassis = ChassisRows(lambda port, *chassis: self.places.update({port: chassis}))
        self.sb = Southbound(
            Endpoint((server.unix,)),
            changed=lambda _: None,
            timeout=5.0,
            probe_interval=0,
            chassis=self.chassis,
        )
        self.write(
            {
                "op": "insert",
                "table": "Datapath_Binding",
                "row": {"tunnel_key": 1},
                "uuid-name": "dp",
            },
            *(self._chassis(number) for number in (1, 2)),
            *(
                {
                    "op": "insert",
                    "table": "Encap",
                    "uuid-name": f"encap{number}",
                    "row": {
                        "type": "geneve",
                        "ip": f"192.0.2.{number}",
                        "chassis_name": f"hv{number}",
                    },
                }
                for number in (1, 2)
            ),
            *(self._private(number) for number in (1, 2)),
            *(self._port(number) for number in (1, 2, 3)),
        )

    @staticmethod
    def _chassis(number):
        row = {"name": f"hv{number}", "encaps": ["named-uuid", f"encap{number}"]}
        return {"op": "insert", "table": "Chassis", "row": row, "uuid-name": f"hv{number}"}

    @staticmethod
    def _private(number):
        return {"op": "insert", "table": "Chassis_Private", "row": {"name": f"hv{number}"}}

    @staticmethod
    def _port(number):
        row = {
            "logical_port": f"port{number}",
            "tunnel_key": number,
            "datapath": ["named-uuid", "dp"],
            "chassis": ["named-uuid", "hv1"] if number < 3 else ["set", []],
        }
        return {"op": "insert", "table": "Port_Binding", "row": row}

    def write(self, *operations):
        results = self._server.transact(*operations, database=DATABASE)
        assert not any("error" in each for each in results), results

    def update(self, table, column, value, row):
        where = [[column, "==", value]]
        self.write({"op": "update", "table": table, "where": where, "row": row})

    def uuid(self, name):
        query = {"op": "select", "table": "Chassis", "where": [["name", "==", name]]}
        return self._server.transact(query, database=DATABASE)[0]["rows"][0]["_uuid"]

    def until(self, condition):
        deadline = time.monotonic() + 15
        while not condition():
            assert time.monotonic() < deadline
            self.sb.run()
            time.sleep(0.01)

    def open(self):
        self.sb.open(self.sb.fetch_schema())
        self.until(lambda: self.chassis.located)


@pytest.fixture
def world(directory):
    with Server(directory, schema=SCHEMA.with_name("ovn-sb.ovsschema")) as server:
        found = World(server)
        yield found
        found.sb.close()


def test_ports_are_followed_by_name(world):
    assert not world.chassis.located
    world.open()
    assert world.places == {}

    world.chassis.follow(frozenset({"port1", "port3"}))
    assert not world.chassis.located
    world.until(lambda: world.chassis.located)
    assert world.places == {"port1": ("hv1",), "port3": ()}

    world.update("Port_Binding", "logical_port", "port1", {"chassis": world.uuid("hv2")})
    world.until(lambda: world.places["port1"] == ("hv2",))
    world.write({"op": "delete", "table": "Chassis", "where": [["name", "==", "hv2"]]})
    world.until(lambda: world.places["port1"] == ())
    world.update("Port_Binding", "logical_port", "port1", {"chassis": world.uuid("hv1")})
    world.until(lambda: world.places["port1"] == ("hv1",))

    world.chassis.follow(frozenset({"port1"}))
    assert world.chassis.located
    world.chassis.follow(frozenset({"port1", "port2"}))
    world.until(lambda: world.places.get("port2") == ("hv1",))
    world.write(
        {"op": "delete", "table": "Port_Binding", "where": [["logical_port", "==", "port2"]]}
    )
    world.until(lambda: world.places["port2"] == ())


def test_what_was_wanted_before_the_database_was_there(world):
    world.chassis.follow(frozenset({"port2"}))
    world.open()
    assert world.places == {"port2": ("hv1",)}


def test_how_far_hypervisors_are(world):
    world.open()
    assert world.chassis.reached() == {"hv1": 0, "hv2": 0}
    world.update("Chassis_Private", "name", "hv1", {"nb_cfg": 7})
    world.until(lambda: world.chassis.reached()["hv1"] == 7)
    world.write({"op": "delete", "table": "Chassis_Private", "where": [["name", "==", "hv2"]]})
    world.until(lambda: world.chassis.reached() == {"hv1": 7})
