# SPDX-License-Identifier: Apache-2.0
"""Packets: two hypervisors, each with a program that checks the members there."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import octavia
from sandbox.chassis import probing, running
from tests.functional.scrape import Scraper
from tests.sandbox.plane import MONITOR, SERVERS
from tests.sandbox.second_chassis import Migration, SecondChassis, first_host, second_chassis
from tests.sandbox.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sandbox.api import Json
    from sandbox.chassis import Program
    from tests.sandbox.plane import Plane

_TIMEOUT = 5
"""Seconds, `[ovn_health] chassis_timeout`."""
_BOUND = MONITOR["delay"] * MONITOR["max_retries_down"] + 0.5


class Both:
    """Two hypervisors with their programs. Machine `two` is on the second one."""

    def __init__(self, plane: Plane, program: Program, second: SecondChassis) -> None:
        self.plane = plane
        self.first = program
        self.second = second
        self._first_host = first_host(plane.scenery.stack.settings)

    def there(self, name: str) -> Migration:
        """Prepare nothing; return a migration to the second hypervisor."""
        return Migration(self.plane, name, self._first_host, self.second.host)

    def back(self, name: str) -> Migration:
        return Migration(self.plane, name, self.second.host, self._first_host)


@pytest.fixture(scope="module")
def both(plane: Plane) -> Iterator[Both]:
    stack = plane.scenery.stack
    port = _metrics_port(plane)
    options = (f"chassis_timeout = {_TIMEOUT}", "[ovn]", f"metrics_port = {port}")
    with (
        probing(stack, *options),
        second_chassis(stack) as second,
        running(stack) as program,
    ):
        made = Both(plane, program, second)
        made.there("two").run()
        second.program.start()
        try:
            yield made
        finally:
            made.back("two").run()


def _metrics_port(plane: Plane) -> int:
    """Return a port that nothing else of the sandbox uses."""
    return max(plane.scenery.stack.settings.ports.values()) + 3


@pytest.fixture
def lb(plane: Plane, both: Both) -> Json:
    """One with a member on each hypervisor; both are ONLINE."""
    return monitored(plane, "one", "two")


def monitored(plane: Plane, *names: str, **monitor: Any) -> Json:
    members = [plane.member(name) for name in names]
    made = plane.load_balancer(plane.listener(*members, healthmonitor={**MONITOR, **monitor}))
    plane.await_members(made, "ONLINE", *names)
    return made


@contextlib.contextmanager
def served(plane: Plane, lb: Json, *clients: str) -> Iterator[dict[str, Any]]:
    """While clients send requests all the time; afterwards there is what came of them."""
    found: dict[str, Any] = {}
    processes = {name: plane.running(name, "repeat", lb["vip_address"], 4000) for name in clients}
    try:
        yield found
    finally:
        for name, process in processes.items():
            output, _ = process.communicate()
            found[name] = json.loads(output)


class Backends:
    """All that the VIPs have led to, as the Northbound database had it."""

    def __init__(self, plane: Plane, folder: Path) -> None:
        self._file = folder / "vips"
        nb = plane.scenery.stack.settings.nb
        argv = ["ovsdb-client", "--format=json", "monitor", nb, "OVN_Northbound"]
        with self._file.open("w") as output:
            self._process = subprocess.Popen([*argv, "Load_Balancer", "vips"], stdout=output)

    def seen(self) -> list[set[str]]:
        self._process.terminate()
        self._process.wait()
        found = []
        for line in self._file.read_text().splitlines():
            for _, action, vips in json.loads(line)["data"]:
                if action in ("initial", "insert", "new"):
                    found.append({each for _, value in vips[1] for each in value.split(",")})
        return found


@pytest.fixture
def backends(plane: Plane, lb: Json, tmp_path: Path) -> Iterator[Backends]:
    made = Backends(plane, tmp_path)
    yield made
    made.seen()


def address(plane: Plane, name: str) -> str:
    return f"{plane.scenery.stack.guests.get(name).address(4)}:80"


def serving(plane: Plane, lb: Json) -> set[str]:
    return {each for value in plane.row(lb)["vips"].values() for each in value.split(",") if each}


def test_each_chassis_checks_the_members_that_are_there(plane: Plane, both: Both, lb: Json) -> None:
    guests = plane.scenery.stack.guests
    one, two = (f" at {guests.get(name).address(4)} is up" for name in SERVERS[:2])
    assert one in both.first.log()
    assert two not in both.first.log()
    assert two in both.second.program.log()
    assert one not in both.second.program.log()
    for client in ("beside", "behind"):
        assert set(plane.ask(client, lb["vip_address"], 40)) == {"one", "two"}
    for name, other in (("one", "two"), ("two", "one")):
        with plane.dead(lb, name):
            assert plane.ask("behind", lb["vip_address"], 20) == {other: 20}


@pytest.mark.parametrize("direction", ["there", "back"])
def test_a_machine_migrates_and_clients_see_no_failure(
    plane: Plane, both: Both, direction: str, tmp_path: Path
) -> None:
    """Neutron learns seconds after the machine that it runs elsewhere; checks follow before."""
    name = "three" if direction == "there" else "two"
    migration = getattr(both, direction)(name)
    lb = monitored(plane, name)
    backends = Backends(plane, tmp_path)
    try:
        with (
            plane.connection("behind", lb["vip_address"]) as held,
            served(plane, lb, "beside", "behind") as answers,
        ):
            assert held.ask() == name
            migration.prepare()
            time.sleep(4)  # the new chassis finds that it is not there
            migration.switch_over()
            time.sleep(6)  # the old one finds that it is not there any more
            assert held.ask() == name
            migration.finish()
            time.sleep(3)
            assert held.ask() == name
        assert {client: set(each["answers"]) for client, each in answers.items()} == {
            "beside": {name},
            "behind": {name},
        }
        assert plane.member_status(lb, name) == "ONLINE"
        assert all(address(plane, name) in each for each in backends.seen())
        began = time.monotonic()
        plane.scenery.stack.guests.stop_server(name)
        stopped = time.monotonic() - began
        until(lambda: address(plane, name) not in serving(plane, lb), seconds=10)
        assert time.monotonic() - began < _BOUND + stopped + 0.3
        plane.await_members(lb, "ERROR", name)
    finally:
        plane.scenery.stack.guests.start_server(name)
        (both.back if direction == "there" else both.there)(name).run()


def test_a_machine_dies_while_it_migrates(plane: Plane, both: Both, lb: Json) -> None:
    migration = both.there("three")
    listed = plane.cloud.octavia("GET", f"/pools?loadbalancer_id={lb['id']}")["pools"]
    body = {"member": plane.member("three")}
    plane.cloud.octavia("POST", f"/pools/{listed[0]['id']}/members", body)
    plane.await_members(lb, "ONLINE", "three")
    migration.prepare()
    try:
        time.sleep(3)
        plane.scenery.stack.guests.stop_server("three")
        plane.await_members(lb, "ERROR", "three")
        assert set(plane.ask("behind", lb["vip_address"], 30)) == {"one", "two"}
        migration.switch_over()
        migration.finish()
        plane.scenery.stack.guests.start_server("three")
        plane.await_members(lb, "ONLINE", "three")
    finally:
        plane.scenery.stack.guests.start_server("three")
        both.back("three").run()


def test_members_of_a_dead_hypervisor_leave_and_the_others_stay(
    plane: Plane, both: Both, lb: Json
) -> None:
    began = time.monotonic()
    both.second.hypervisor.kill_controller()
    both.second.program.kill()
    plane.scenery.stack.guests.stop_server("two")
    try:
        until(lambda: serving(plane, lb) == {address(plane, "one")}, seconds=40)
        assert time.monotonic() - began < _TIMEOUT + 10
        until(lambda: plane.member_status(lb, "two") == "ERROR")
        assert plane.ask("behind", lb["vip_address"], 20) == {"one": 20}
        assert plane.member_status(lb, "one") == "ONLINE"
    finally:
        both.second.hypervisor.start_controller()
        plane.scenery.stack.guests.start_server("two")
        both.second.program.start()
    plane.await_members(lb, "ONLINE", "two")
    assert set(plane.ask("behind", lb["vip_address"], 40)) == {"one", "two"}


def test_a_dead_program_evicts_no_one(
    plane: Plane, both: Both, lb: Json, backends: Backends
) -> None:
    with served(plane, lb, "behind") as answers:
        both.second.program.kill()
        try:
            chassis = Scraper(_metrics_port(plane))
            until(lambda: chassis.of("chassis") == {"connected": 1.0, "silent": 1.0})
            time.sleep(_TIMEOUT + 15)
        finally:
            both.second.program.start()
    until(lambda: chassis.of("chassis") == {"connected": 2.0})
    assert set(answers["behind"]["answers"]) == {"one", "two"}
    assert {len(each) for each in backends.seen()} == {2}


@contextlib.contextmanager
def away(plane: Plane, database: str, how: str) -> Iterator[None]:
    """While a database's server does not run, or does not answer."""
    stack = plane.scenery.stack
    if how == "stopped":
        stack.stop(database)
        try:
            yield
        finally:
            stack.start(database)
    else:
        (pid, *_) = stack.supervisor.pids(database)
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("database", ["nb", "sb"])
@pytest.mark.parametrize("how", ["stopped", "frozen"])
def test_a_database_is_away_for_a_while(
    plane: Plane, both: Both, lb: Json, database: str, how: str
) -> None:
    with served(plane, lb, "behind") as answers:
        with away(plane, database, how):
            time.sleep(6)
        time.sleep(4)
    assert set(answers["behind"]["answers"]) == {"one", "two"}

    guests = plane.scenery.stack.guests
    try:
        with away(plane, database, how):
            guests.stop_server("two")
            time.sleep(4)
        await_only_one(plane, lb)
        with away(plane, database, how):
            guests.start_server("two")
            time.sleep(4)
    finally:
        guests.start_server("two")
    plane.await_members(lb, "ONLINE", "two")
    assert set(plane.ask("behind", lb["vip_address"], 40)) == {"one", "two"}


def await_only_one(plane: Plane, lb: Json) -> None:
    until(lambda: serving(plane, lb) == {address(plane, "one")}, seconds=30)
    plane.await_members(lb, "ERROR", "two")
    assert plane.ask("behind", lb["vip_address"], 20) == {"one": 20}


@contextlib.contextmanager
def bad_way(both: Both, **quality: float) -> Iterator[None]:
    """While frames between the second hypervisor and the controller suffer, in both directions."""
    both.second.set_wire(**quality)
    try:
        yield
    finally:
        both.second.set_wire()


@pytest.mark.parametrize(
    "quality",
    [
        {"delay": 0.3, "jitter": 0.1},
        {"loss": 0.2},
        {"twice": 0.5, "delay": 0.02, "jitter": 0.02},
        {"loss": 1.0},
    ],
    ids=["slow", "lossy", "doubled and out of order", "interrupted"],
)
def test_the_way_to_the_agent_is_bad(
    plane: Plane, both: Both, lb: Json, quality: dict[str, float]
) -> None:
    everyone = {address(plane, name) for name in ("one", "two")}
    with served(plane, lb, "behind") as answers, bad_way(both, **quality):
        time.sleep(12)  # longer than a chassis may be silent
        assert serving(plane, lb) == everyone
    assert set(answers["behind"]["answers"]) == {"one", "two"}

    guests = plane.scenery.stack.guests
    with bad_way(both, **quality):
        guests.stop_server("two")
        time.sleep(8)
        if quality.get("loss") != 1:
            await_only_one(plane, lb)
    await_only_one(plane, lb)
    guests.start_server("two")
    plane.await_members(lb, "ONLINE", "two")


def test_the_agent_is_killed_while_a_member_dies(plane: Plane, both: Both, lb: Json) -> None:
    stack = plane.scenery.stack
    for moment in (0.0, 1.0, 2.0):
        stack.guests.stop_server("two")
        time.sleep(moment)
        os.kill(octavia.provider_agent_pid(stack.supervisor), signal.SIGKILL)
        stack.stop(octavia.DRIVER_AGENT)
        stack.start(octavia.DRIVER_AGENT)
        until(lambda: serving(plane, lb) == {address(plane, "one")}, seconds=20)
        plane.await_members(lb, "ERROR", "two")
        stack.guests.start_server("two")
        plane.await_members(lb, "ONLINE", "two")
        assert plane.member_status(lb, "one") == "ONLINE"
