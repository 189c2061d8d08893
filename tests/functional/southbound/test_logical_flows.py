# SPDX-License-Identifier: Apache-2.0
"""A collector's view of a real Southbound database, that comes, goes and disappoints."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING

import pytest

from octavia_ovn.adapters.ovsdb.endpoint import Endpoint, Tls
from octavia_ovn.adapters.southbound import logical_flows
from octavia_ovn.adapters.southbound.logical_flows import Balancer, SouthboundFlows
from octavia_ovn.core.statistics.flow_records import Recorded
from octavia_ovn.errors import Unavailable
from tests.functional.ovsdb.server import SCHEMA, Server, free_ports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SOUTHBOUND = "OVN_Southbound"
TUNNEL_KEYS = itertools.count(1)


@pytest.fixture
def server(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server that runs."""
    monkeypatch.setattr(logical_flows, "_GRACE", 0.3)
    with Server(directory, schema=SCHEMA.with_name("ovn-sb.ovsschema")) as made:
        yield made


def follow(*remotes: str, tls: Tls | None = None) -> SouthboundFlows:
    return SouthboundFlows(
        Endpoint(remotes, tls), 0, with_names=True, with_limits=True, with_records=True
    )


def turn(flows: SouthboundFlows) -> str:
    """One turn of a collector; return what it would complain of."""
    try:
        flows.run()
        flows.check(time.monotonic())
    except Unavailable as error:
        return str(error)
    return ""


def until(flows: SouthboundFlows, condition: Callable[[str], object]) -> str:
    deadline = time.monotonic() + 15
    while not condition(found := turn(flows)):
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
    return found


def add_flow(server: Server, match: str, stage: str = "ls_in_lb") -> None:
    row = {
        "match": match,
        "pipeline": "ingress",
        "table_id": 1,
        "priority": 120,
        "actions": "next;",
        "logical_datapath": ["named-uuid", "dp"],
        "external_ids": ["map", [["stage-name", stage], ["stage-hint", "aaaaaaaa"]]],
    }
    insert(server, "Datapath_Binding", {"tunnel_key": next(TUNNEL_KEYS)}, ("Logical_Flow", row))


def insert(server: Server, table: str, row: object, *more: tuple[str, object]) -> None:
    """Insert rows that may refer to the first one."""
    operations = [
        {"op": "insert", "table": name, "row": content} for name, content in ((table, row), *more)
    ]
    operations[0]["uuid-name"] = "dp"
    results = server.transact(*operations, database=SOUTHBOUND)
    assert not any("error" in each for each in results), results


def test_a_database_that_goes_and_comes_is_complained_of_and_followed_again(server: Server) -> None:
    add_flow(server, "ip4.dst == 10.0.0.1 && tcp.dst == 80")
    flows = follow(server.unix)
    until(flows, lambda complaint: flows.synced and not complaint)
    assert len(flows.flows) == 1

    server.kill()
    assert server.unix in until(flows, bool)
    assert len(flows.flows) == 1  # They are on the chassis as before.

    server.start()
    until(flows, lambda complaint: not complaint)
    add_flow(server, "ip4.dst == 10.0.0.2 && tcp.dst == 80")
    until(flows, lambda _: len(flows.flows) == 2)
    flows.close()


def test_a_database_that_was_never_reached(server: Server) -> None:
    (port,) = free_ports(1)
    flows = follow(f"tcp:127.0.0.1:{port}")

    assert "Connection refused" in until(flows, bool)
    flows.close()


def test_a_server_without_the_database_is_asked_again(server: Server, directory: Path) -> None:
    with Server(directory / "north") as other:
        flows = follow(other.unix)
        assert "the server answers" in until(flows, bool)
        assert not flows.synced

        # Such as a relay that has connected in the end.
        other.control("ovsdb-server/add-db", str(server.db.rename(directory / "sb.db")))
        until(flows, lambda complaint: flows.synced and not complaint)
        flows.close()


def test_certificates_that_cannot_be_used_are_named(server: Server, directory: Path) -> None:
    pem = directory / "cert.pem"
    pem.write_text("nonsense")
    (port,) = free_ports(1)
    flows = follow(f"ssl:127.0.0.1:{port}", tls=Tls(str(pem), str(pem), str(pem)))

    assert "TLS files" in until(flows, bool)
    flows.close()


@pytest.mark.parametrize("address", ["1.2.3", "10.0.0.1.1", "::fffff", ":"])
def test_a_flow_that_cannot_be_read_does_not_hide_the_others(server: Server, address: str) -> None:
    add_flow(server, f"ip4.dst == {address} && tcp.dst == 80")
    add_flow(server, "")
    add_flow(server, "ip4.dst == 10.0.0.1 && tcp.dst == 80")
    flows = follow(server.unix)

    until(flows, lambda complaint: flows.synced and not complaint)

    assert len(flows.flows) == 1
    flows.close()


def test_load_balancers_have_names_and_protocols(server: Server) -> None:
    for hint, protocol in (("aaaaaaaa", "udp"), ("bbbbbbbb", "tcp"), ("cccccccc", None)):
        row = {"name": "lb", "external_ids": ["map", [["lb_id", f"{hint}-1234"]]]}
        row |= {"protocol": protocol} if protocol else {}
        insert(server, "Load_Balancer", row)
    flows = follow(server.unix)

    until(flows, lambda _: flows.synced)

    assert flows.balancers == {
        "aaaaaaaa": Balancer("lb", "udp"),
        "bbbbbbbb": Balancer("lb", "tcp"),
        "cccccccc": Balancer("lb", "tcp"),
    }
    flows.close()


def balancers(server: Server) -> Callable[..., None]:
    """Add two load balancers; return what sets the options of one."""

    def set_options(name: str, **options: str) -> None:
        row = {"options": ["map", list(options.items())]}
        update = {"op": "update", "table": "Load_Balancer", "where": [["name", "==", name]]}
        server.transact({**update, "row": row}, database=SOUTHBOUND)

    for name, hint in (("one", "aaaaaaaa"), ("two", "bbbbbbbb")):
        ids = ["map", [["lb_id", f"{hint}-1234"]]]
        insert(server, "Load_Balancer", {"name": name, "external_ids": ids})
    return set_options


def test_load_balancers_whose_connections_are_recorded(server: Server) -> None:
    set_options = balancers(server)
    set_options("one", octavia_flow_records="true", octavia_project="p1")
    flows = follow(server.unix)
    until(flows, lambda _: flows.recorded == {"aaaaaaaa": Recorded("one", "p1")})

    set_options("one")
    set_options("two", octavia_flow_records="true", octavia_connection_limit="true")
    until(flows, lambda _: flows.recorded == {"bbbbbbbb": Recorded("two", "")})
    until(flows, lambda _: flows.limited == {"bbbbbbbb"})
    flows.close()


def test_load_balancers_of_newer_versions_have_the_uuid_of_the_northbound_database(
    server: Server,
) -> None:
    marks = [["octavia_flow_records", "true"], ["octavia_connection_limit", "true"]]
    insert(server, "Load_Balancer", {"name": "lb", "options": ["map", marks]})
    query = {"op": "select", "table": "Load_Balancer", "where": [], "columns": ["_uuid"]}
    (found,) = server.transact(query, database=SOUTHBOUND)
    prefix = found["rows"][0]["_uuid"][1][:8]
    flows = follow(server.unix)

    until(flows, lambda _: flows.recorded and flows.limited and flows.balancers)
    assert set(flows.recorded) == flows.limited == set(flows.balancers) == {prefix}
    flows.close()


def test_load_balancers_with_limits(server: Server) -> None:
    """Followed by an option that comes and goes; others do not matter."""

    set_options = balancers(server)
    set_options("one", hairpin_orig_tuple="true", octavia_connection_limit="true")
    flows = follow(server.unix)
    until(flows, lambda _: flows.limited == {"aaaaaaaa"})
    assert len(flows.balancers) == 2

    set_options("two", octavia_connection_limit="true")
    until(flows, lambda _: flows.limited == {"aaaaaaaa", "bbbbbbbb"})
    set_options("one", hairpin_orig_tuple="true")
    until(flows, lambda _: flows.limited == {"bbbbbbbb"})
    server.transact({"op": "delete", "table": "Load_Balancer", "where": []}, database=SOUTHBOUND)
    until(flows, lambda _: flows.limited == frozenset() and not flows.balancers)

    server.kill()
    server.start()
    set_options("two")
    until(flows, lambda complaint: not complaint)
    assert flows.limited == frozenset()
    flows.close()


def test_a_message_that_is_not_understood_has_all_of_it_read_again(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_flow(server, "ip4.dst == 10.0.0.1 && tcp.dst == 80")
    flows = follow(server.unix)
    until(flows, lambda complaint: flows.synced and not complaint)

    with monkeypatch.context() as patched:
        patched.setattr(flows, "_flow", lambda *_: {}["match"])
        add_flow(server, "ip4.dst == 10.0.0.2 && tcp.dst == 80")
        with pytest.raises(KeyError):
            until(flows, lambda _: False)

    until(flows, lambda _: len(flows.flows) == 2)
    flows.close()
