# SPDX-License-Identifier: Apache-2.0
"""Address sets by name, in a real Southbound database."""

import pytest

from octavia_ovn.adapters.ovsdb.endpoint import Endpoint
from octavia_ovn.adapters.southbound.service_monitors import Southbound
from tests.functional.ovsdb.server import SCHEMA, Server, wait_for

DATABASE = "OVN_Southbound"


class World:
    """A Southbound database with two sets, and the agent's view of it."""

    def __init__(self, server):
        self._server = server
        self.reported = []
        self.sb = Southbound(
            Endpoint((server.unix,)),
            changed=self.reported.append,
            timeout=5.0,
            probe_interval=0,
        )
        self.write(*(self._set(name, ["10.0.0.1", "10.0.0.2"]) for name in ("one", "two")))

    @staticmethod
    def _set(name, addresses):
        row = {"name": name, "addresses": ["set", addresses]}
        return {"op": "insert", "table": "Address_Set", "row": row}

    def write(self, *operations):
        results = self._server.transact(*operations, database=DATABASE)
        assert not any("error" in each for each in results), results

    def until(self, condition):
        def turn():
            self.sb.run()
            return condition()

        wait_for(turn)


@pytest.fixture
def world(directory):
    with Server(directory, schema=SCHEMA.with_name("ovn-sb.ovsschema")) as server:
        found = World(server)
        yield found
        found.sb.close()


def test_what_is_requested_before_the_database_is_reached(world):
    assert world.sb.address_set("one") is None
    world.sb.run()
    assert world.sb.address_set("one") is None

    world.sb.open(world.sb.fetch_schema())
    world.until(lambda: world.reported)

    assert set(world.reported) == {("address-set", "one")}
    assert world.sb.address_set("one") == {"10.0.0.1", "10.0.0.2"}


def test_changes_are_reported(world):
    world.sb.open(world.sb.fetch_schema())
    world.until(lambda: world.sb.address_set("one"))
    world.reported.clear()

    where = [["name", "==", "one"]]
    world.write(
        {"op": "update", "table": "Address_Set", "where": where, "row": {"addresses": "10.0.0.3"}}
    )
    world.until(lambda: world.reported)
    assert set(world.reported) == {("address-set", "one")}
    assert world.sb.address_set("one") == {"10.0.0.3"}

    world.reported.clear()
    world.write({"op": "delete", "table": "Address_Set", "where": where})
    world.until(lambda: world.reported)
    assert world.sb.address_set("one") == frozenset()


def test_a_set_that_does_not_exist_is_empty(world):
    world.sb.open(world.sb.fetch_schema())
    world.until(lambda: world.sb.address_set("none") is not None)

    assert world.sb.address_set("none") == frozenset()


def test_a_set_that_is_forgotten_is_fetched_again(world):
    world.sb.open(world.sb.fetch_schema())
    world.until(lambda: world.sb.address_set("one"))
    world.sb.forget_address_set("one")
    world.until(lambda: world.sb.address_set("two"))

    assert world.sb.address_set("one") is None
    world.until(lambda: world.sb.address_set("one"))
