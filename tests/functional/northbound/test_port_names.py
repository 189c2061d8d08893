# SPDX-License-Identifier: Apache-2.0
"""Switch ports by name, against a real server."""

import ovs.poller
import pytest

from octavia_ovn.adapters.northbound import port_names
from octavia_ovn.adapters.northbound.port_names import NamedPorts
from octavia_ovn.adapters.ovsdb.session import OvsdbSession
from tests.functional.northbound.by_name import ByName, condition_changes
from tests.functional.ovsdb.server import DATABASE, endpoint


class Followed(ByName):
    def __init__(self, server):
        super().__init__(server, port_names, NamedPorts)
        self.ports = self.followed

    def asked_of_the_server(self):
        (replica,) = self.replicas
        return replica._idl.tables[port_names.TABLE].condition_state.latest


@pytest.fixture
def followed(server):
    found = Followed(server)
    yield found
    found.ports.close()


@pytest.fixture
def write(server):
    """Make a switch with ports of some names; return a function for more operations."""
    session = OvsdbSession(endpoint(server.unix), DATABASE, 5)
    names = ["one", "two", "three"]
    uuids = ["set", [["named-uuid", each] for each in names]]
    port = {"op": "insert", "table": port_names.TABLE}
    session.transact(
        [
            *({**port, "uuid-name": name, "row": {"name": name}} for name in names),
            {"op": "insert", "table": "Logical_Switch", "row": {"name": "s", "ports": uuids}},
        ]
    )
    yield session.transact
    session.close()


def test_only_what_was_asked_for_is_there(followed, write):
    ports = followed.ports
    assert ports.existing(frozenset()) == frozenset()
    assert followed.replicas == []

    assert ports.existing({"one", "none"}) is None
    followed.until(lambda: ports.existing({"one", "none"}) is not None)

    assert ports.existing({"one", "none"}) == {"one"}
    assert {("port", "one"), ("port", "none")} <= set(followed.reported)
    (uuid,) = ports.find("one")
    assert ports.name(uuid) == "one"
    assert len(followed.replicas[0].rows(port_names.TABLE)) == 1


def test_deletions_are_reported(followed, write):
    ports = followed.ports
    ports.existing({"one"})
    followed.until(lambda: ports.existing({"one"}))
    followed.reported.clear()

    none = {"op": "update", "table": "Logical_Switch", "where": [], "row": {"ports": ["set", []]}}
    write([none])

    followed.until(lambda: followed.reported)
    assert followed.reported == [("port", "one")]
    assert ports.existing({"one"}) == frozenset()


def test_what_is_forgotten_goes_with_the_next_question(followed, write):
    ports = followed.ports
    ports.existing({"one", "two"})
    followed.until(lambda: ports.existing({"one", "two"}))

    ports.forget("one")
    ports.forget("never asked for")
    assert followed.asked_of_the_server() == [["name", "==", "one"], ["name", "==", "two"]]
    assert ports.existing({"two"}) == {"two"}

    assert ports.existing({"three"}) is None
    followed.until(lambda: ports.existing({"three"}))
    assert sorted(row.name for row in followed.replicas[0].rows(port_names.TABLE)) == [
        "three",
        "two",
    ]

    assert ports.existing({"one"}) is None
    followed.until(lambda: ports.existing({"one"}) == {"one"})


def test_what_is_needed_again_before_that_is_known(followed, write):
    ports = followed.ports
    ports.existing({"one"})
    followed.until(lambda: ports.existing({"one"}))

    ports.forget("one")

    assert ports.existing({"one"}) == {"one"}


def test_the_server_is_asked_in_a_way_that_it_answers_by_a_hash(followed, write):
    followed.ports.existing({"one", "two"})
    followed.ports.run()

    assert followed.asked_of_the_server() == [["name", "==", "one"], ["name", "==", "two"]]


def test_what_is_requested_before_an_answer_is_in_one_change(followed, write, monkeypatch):
    changes = condition_changes(monkeypatch)
    names = [f"port-{number}" for number in range(50)]
    followed.ports.existing({"one"})
    followed.ports.run()
    for name in names:
        assert followed.ports.existing({name}) is None
        assert followed.ports.existing({name, "one"}) is None
    followed.until(lambda: followed.ports.existing({"one", *names}) == {"one"})

    assert len(changes) == 2
    assert {dependency.name for dependency in followed.reported} == {"one", *names}


def test_a_request_that_waits_for_nothing_wakes_the_loop(followed, write):
    def is_woken():
        poller = ovs.poller.Poller()
        followed.ports.wait(poller)
        return poller.timeout == 0

    followed.ports.existing({"one"})
    followed.until(lambda: followed.ports.existing({"one"}) is not None and not is_woken())

    followed.ports.existing({"two"})
    assert is_woken()
    followed.until(lambda: followed.ports.existing({"two"}) == {"two"})


def test_what_is_forgotten_before_it_was_asked_for_changes_nothing(followed, write):
    followed.ports.existing({"one"})
    followed.until(lambda: followed.ports.existing({"one"}))
    before = followed.asked_of_the_server()

    followed.ports.existing({"two"})
    followed.ports.forget("two")
    followed.ports.run()

    assert followed.asked_of_the_server() is before


def test_no_ports_are_known_at_once(followed):
    poller = ovs.poller.Poller()
    followed.ports.run()
    followed.ports.wait(poller)

    assert followed.replicas == []
