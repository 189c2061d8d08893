# SPDX-License-Identifier: Apache-2.0
"""Packets: numbers of members and records of connections, beside who has answered."""

from __future__ import annotations

import collections
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.chassis import Program, restart
from tests.functional.scrape import Scraper
from tests.sandbox.plane import SERVERS
from tests.sandbox.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sandbox.api import Json
    from tests.sandbox.plane import Plane

_MARKS = ("octavia_flow_records", "octavia_project")


class Counting:
    """The program on the chassis, with all that it can count."""

    def __init__(self, plane: Plane, folder: Path) -> None:
        self._plane = plane
        self.records = folder / "records"
        port = max(plane.scenery.stack.settings.ports.values()) + 4
        self._scraper = Scraper(port)
        more = {
            "metrics_port": port,
            "member_series": 100,
            "flow_records": self.records,
            "records_interval": 1,
        }
        self.program = Program(plane.scenery.stack, more=more)

    def names(self) -> dict[str, str]:
        """Address and port of each server → its name."""
        guests = self._plane.scenery.stack.guests
        return {f"{guests.get(name).address(4)}:80": name for name in SERVERS}

    def connections(self, lb: Json) -> collections.Counter[str]:
        """Return the connections of members, as the metrics have them."""
        found: collections.Counter[str] = collections.Counter()
        for labels, number in self._scraper.of("member_connections_total").items():
            name, member, _, _ = labels
            if name == lb["id"]:
                found[self.names()[member]] += int(number)
        return found

    def lines(self, lb: Json) -> list[Json]:
        """Return the records of a load balancer."""
        text = self.records.read_text() if self.records.exists() else ""
        lines = [json.loads(line) for line in text.splitlines()]
        return [each for each in lines if each["load_balancer"] == lb["id"]]


@pytest.fixture
def counting(plane: Plane, tmp_path: Path) -> Iterator[Counting]:
    made = Counting(plane, tmp_path)
    made.program.start()
    yield made
    made.program.stop()


@pytest.fixture
def project(plane: Plane) -> Iterator[str]:
    """While the agent has connections of the tests' project recorded."""
    stack, project = plane.scenery.stack, plane.cloud.project_id
    file = stack.settings.etc / "octavia.conf"
    before = file.read_text()
    file.write_text(f"{before}\n[ovn_statistics]\nflow_records_projects = {project}\n")
    restart(stack)
    yield project
    file.write_text(before)
    restart(stack)


def marks(plane: Plane, lb: Json) -> dict[str, Any]:
    options = plane.row(lb)["options"]
    return {key: value for key, value in options.items() if key in _MARKS}


def test_numbers_are_what_clients_have_seen(plane: Plane, project: str, counting: Counting) -> None:
    lb = plane.load_balancer(plane.listener(plane.member("one"), plane.member("two", weight=2)))
    assert marks(plane, lb) == dict(zip(_MARKS, ("true", project), strict=True))
    floating = plane.floating_ip(lb["vip_port_id"])
    plane.await_vip(floating)
    time.sleep(2)  # until the program has read the counters of the new group
    vip = lb["vip_address"]

    answered = plane.ask("beside", vip, 12) + plane.ask("behind", vip, 9)
    answered += plane.ask("crowd", floating, 11)

    until(lambda: counting.connections(lb) == answered)
    until(lambda: len(counting.lines(lb)) >= 32)
    found = counting.lines(lb)
    names = counting.names()
    assert collections.Counter(names[each["member"]] for each in found) == answered
    assert collections.Counter(each["vip"] for each in found) == {vip: 21, floating: 11}
    assert {(each["project"], each["protocol"], each["port"]) for each in found} == {
        (project, "tcp", 80)
    }


def test_the_marks_go_with_the_option(plane: Plane, project: str) -> None:
    lb = plane.load_balancer(plane.listener(plane.member("one")))
    assert marks(plane, lb)
    file = plane.scenery.stack.settings.etc / "octavia.conf"
    file.write_text(file.read_text().replace(f"flow_records_projects = {project}", ""))
    restart(plane.scenery.stack)

    until(lambda: not marks(plane, lb))
