# SPDX-License-Identifier: Apache-2.0
"""Records of connections, beside what clients say of theirs."""

from __future__ import annotations

import datetime
import itertools
import os
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.functional.statistics.field import SERVERS, VIP, VIP6, Field
from tests.sandbox.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

COUNTERS = ("packets_in", "bytes_in", "packets_out", "bytes_out")
CLIENTS = {
    "near": ("10.0.1.13", "fd00:1::13"),
    "far": ("10.0.2.14", "fd00:2::14"),
    "stranger": ("10.0.3.15", "fd00:3::15"),
}


@pytest.fixture
def recorded(field: Field) -> Iterator[Field]:
    """Load balancer `lb` is marked; both collectors know it."""
    options = ("octavia_flow_records=true", "octavia_project=p1")
    words = [f"options:{each}" for each in options]
    field.cloud.nbctl("set", "load_balancer", "lb", *words)
    field.cloud.sync()
    time.sleep(2)
    yield field
    for option in options:
        field.cloud.nbctl("remove", "load_balancer", "lb", "options", option.partition("=")[0])


def ends(lines: list[dict[str, Any]]) -> set[tuple[object, ...]]:
    return {
        (each["client"], each["client_port"], each["vip"], SERVERS[each["member"]])
        for each in lines
    }


def seconds(moment: str) -> float:
    return datetime.datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp()


def test_each_connection_has_one_line(recorded: Field) -> None:
    began = time.time()
    expected = {
        (CLIENTS[client][number], port, vip, server)
        for client, (number, vip) in itertools.product(CLIENTS, enumerate((VIP, VIP6)))
        for server, port in recorded.connect(client, 6, vip)
    }

    until(lambda: len(recorded.lines()) == 36)
    time.sleep(2.5)
    lines = recorded.lines()
    assert len(lines) == len(expected) == 36
    assert ends(lines) == expected
    assert {(each["project"], each["load_balancer"], each["port"]) for each in lines} == {
        ("p1", "lb", 80)
    }
    assert {each["how"] for each in lines} == {"closed"}
    assert all(began - 0.1 < seconds(each["start"]) <= seconds(each["end"]) for each in lines)
    # This is the userspace datapath, which counts no bytes.
    assert {each[name] for each in lines for name in COUNTERS} == {None}
    assert {each["chassis"] for each in lines if each["client"] == "10.0.1.13"} == {"one"}
    assert os.stat(recorded.records).st_mode & 0o777 == 0o600


def test_a_connection_is_recorded_when_it_ends(recorded: Field) -> None:
    with recorded.holding("near", 3):
        time.sleep(5)
        assert recorded.lines() == []
    until(lambda: len(recorded.lines()) == 3)
    assert all(seconds(each["end"]) - seconds(each["start"]) > 2 for each in recorded.lines())


def test_a_connection_that_is_older_than_the_collector(recorded: Field) -> None:
    recorded.ask("near", 2)
    until(lambda: len(recorded.lines()) == 2)
    with recorded.holding("near", 3):
        recorded.end("one", signal.SIGKILL)
        recorded.collect("one")
        time.sleep(2.5)
    until(lambda: len(recorded.lines()) == 5)
    time.sleep(2.5)
    assert [each["start"] is None for each in recorded.lines()] == [False] * 2 + [True] * 3


def test_others_are_not_recorded(recorded: Field) -> None:
    with recorded.twin("10.0.1.11:80") as twin:
        recorded.ask("near", 3, twin)
        recorded.ask("near", 2)
        until(lambda: len(recorded.lines()) == 2)
        time.sleep(2)
        assert {each["vip"] for each in recorded.lines()} == {VIP}


def test_the_file_is_moved_away(recorded: Field) -> None:
    recorded.ask("near", 2)
    until(lambda: len(recorded.lines()) == 2)
    recorded.records.rename(recorded.folder / "records.1")
    recorded.ask("near", 1)
    until(lambda: len(recorded.lines()) == 1)


def test_members_that_change_end_no_connection(recorded: Field) -> None:
    vips = 'vips:"10.0.1.100:80"='
    with recorded.holding("near", 4):
        time.sleep(2)
        for backends in ("10.0.1.11:80", "10.0.1.11:80,10.0.1.12:80"):
            recorded.cloud.nbctl("set", "load_balancer", "lb", f'{vips}"{backends}"')
            recorded.cloud.sync()
            time.sleep(1.5)
        assert recorded.lines() == []
    until(lambda: len(recorded.lines()) == 4)
