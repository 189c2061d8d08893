# SPDX-License-Identifier: Apache-2.0
"""Packets: members that are checked by the program on the chassis."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import namespaces, octavia, shell
from sandbox.api import ApiError
from sandbox.chassis import Program, probing, running
from sandbox.process import Service
from tests.sandbox.plane import MONITOR
from tests.sandbox.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.api import Json
    from tests.sandbox.plane import Plane

_APPLICATION = str(Path(__file__).with_name("application.py"))


@pytest.fixture(scope="module")
def _enabled(plane: Plane) -> Iterator[None]:
    with probing(plane.scenery.stack):
        yield


@pytest.fixture(scope="module")
def program(plane: Plane, _enabled: None) -> Iterator[Program]:
    """The program on the chassis, which the agent knows."""
    with running(plane.scenery.stack) as made:
        yield made


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One that nobody should trust."""
    folder = tmp_path_factory.mktemp("tls")
    files = {name: folder / name for name in ("key", "cert")}
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    subject = ["-subj", "/CN=nobody"]
    shell.run([*words, *subject, "-keyout", str(files["key"]), "-out", str(files["cert"])])
    both = folder / "both.pem"
    both.write_text(files["key"].read_text() + files["cert"].read_text())
    return str(both)


@contextlib.contextmanager
def application(plane: Plane, name: str, kind: str, port: int, *rest: str) -> Iterator[None]:
    """While a guest runs an application."""
    stack = plane.scenery.stack
    namespace = stack.guests.get(name).namespace
    service = Service(
        name=f"application-{name}-{port}",
        argv=namespaces.command(namespace, (sys.executable, _APPLICATION, kind, str(port), *rest)),
        env=stack.settings.base_environment,
        ready=lambda: listens(namespace, port, "u" if kind == "udp" else "t"),
    )
    stack.supervisor.start(service)
    try:
        stack.supervisor.wait(service)
        yield
    finally:
        stack.supervisor.stop(service.name)


def listens(namespace: str, port: int, kind: str) -> bool:
    shown = shell.run(namespaces.command(namespace, ("ss", f"-{kind}lnH", f"sport = :{port}")))
    return bool(shown.strip())


def monitored(plane: Plane, *members: Json, protocol: str = "TCP", **monitor: Any) -> Json:
    listener = plane.listener(*members, protocol=protocol, healthmonitor={**MONITOR, **monitor})
    return plane.load_balancer(listener)


def server_in_vips(plane: Plane, lb: Json) -> set[str]:
    return {each for value in plane.row(lb)["vips"].values() for each in value.split(",") if each}


APPLICATIONS = {8080: "http", 8443: "https", 8081: "silent", 8082: "slow"}
CHECKS: list[tuple[int, Json]] = [
    (8080, {"type": "HTTP"}),
    (8080, {"type": "HTTP", "url_path": "/status/204", "expected_codes": "200-204"}),
    (8080, {"type": "HTTP", "url_path": "/moved", "expected_codes": "200,302"}),
    (8443, {"type": "HTTPS"}),
    (8443, {"type": "TLS-HELLO"}),
    (8081, {"type": "TCP"}),
    (8082, {"type": "PING"}),
]
"""Port on which a member is checked, and a monitor that finds it well."""
BAD_CHECKS: list[tuple[int, Json]] = [
    (8080, {"type": "HTTP", "url_path": "/status/503"}),
    (8080, {"type": "HTTP", "url_path": "/moved"}),
    (8080, {"type": "TLS-HELLO"}),
    (8443, {"type": "HTTPS", "url_path": "/status/500"}),
    (8443, {"type": "HTTP"}),
    (8081, {"type": "HTTP"}),
    (8081, {"type": "TLS-HELLO"}),
    (8082, {"type": "HTTP"}),
    (8083, {"type": "TCP"}),
]
"""The same, but it must not find it well."""


def test_switched_on_and_off_while_clients_are_connected(plane: Plane) -> None:
    """OVN's checks go when the chassis has its results, and come back; connections stay."""
    stack = plane.scenery.stack
    lb = monitored(plane, plane.member("one"), plane.member("two"), type="TCP")
    vip = lb["vip_address"]
    plane.await_members(lb, "ONLINE", "one", "two")
    checks = plane.row(lb)["health_check"]
    assert checks != []
    with plane.connection("behind", vip) as held:
        server = held.ask()
        with probing(stack):
            assert plane.row(lb)["health_check"] == checks  # no results yet
            program = Program(stack, health=True)
            program.start()
            try:
                while plane.row(lb)["health_check"] == checks:
                    assert set(plane.ask("behind", vip, 10)) <= {"one", "two"}
                assert plane.row(lb)["health_check"] == []
                assert set(plane.ask("behind", vip, 40)) == {"one", "two"}
                with plane.dead(lb, "one" if server == "two" else "two"):
                    assert plane.ask("behind", vip, 20) == {server: 20}
            finally:
                program.stop()
                program.clean()
        until(lambda: plane.row(lb)["health_check"] != [])
        plane.await_members(lb, "ONLINE", "one", "two")
        assert set(plane.ask("behind", vip, 40)) == {"one", "two"}
        assert held.ask() == server


@pytest.mark.usefixtures("_enabled")
def test_without_a_program_there_are_no_checks_of_layer_7(plane: Plane) -> None:
    member = plane.member("one")
    for refused in (
        {**member, "monitor_port": 8080},
        {**member, "monitor_address": plane.member("two")["address"]},
    ):
        with pytest.raises(ApiError) as refusal:
            plane.load_balancer(plane.listener(refused, healthmonitor=MONITOR))
        assert refusal.value.status == 501
        assert "octavia-ovn-chassis" in refusal.value.text
    with pytest.raises(ApiError) as refusal:
        monitored(plane, member, type="HTTP")
    assert "octavia-ovn-chassis" in refusal.value.text


@pytest.mark.parametrize("version", [4, 6])
def test_each_type(plane: Plane, program: Program, certificate: str, version: int) -> None:
    """Of other ports than that of traffic; all in one load balancer, to wait once."""
    with contextlib.ExitStack() as running:
        for port, kind in APPLICATIONS.items():
            rest = (certificate,) if kind == "https" else ()
            running.enter_context(application(plane, "one", kind, port, *rest))
        listeners = [
            _checked(plane, version, number, *each)
            for number, each in enumerate(CHECKS + BAD_CHECKS)
        ]
        where = {"vip_subnet_id": plane.servers4 if version == 4 else plane.servers6}
        lb = plane.load_balancer(*listeners, **where)
        expected = ["ONLINE"] * len(CHECKS) + ["ERROR"] * len(BAD_CHECKS)
        with contextlib.suppress(AssertionError):
            until(lambda: _statuses(plane, lb) == expected, seconds=60)
        found = _statuses(plane, lb)
        wrong = [
            (check, status)
            for check, status, wanted in zip(CHECKS + BAD_CHECKS, found, expected, strict=True)
            if status != wanted
        ]
        assert wrong == []
        row = plane.row(lb)
        assert (row["health_check"], row["ip_port_mappings"]) == ([], {})
        served = sorted(vip for vip, value in row["vips"].items() if value)
        assert len(served) == len(CHECKS)
        for client in ("beside", "behind"):
            assert plane.ask(client, lb["vip_address"], 3) == {"one": 3}


def _checked(plane: Plane, version: int, number: int, port: int, monitor: Json) -> Json:
    """Describe a listener whose member is checked on another port."""
    member = plane.member("one", version, monitor_port=port)
    listener = plane.listener(member, healthmonitor={**MONITOR, **monitor})
    name = f"check-{number:02}"
    pool = {**listener["default_pool"], "name": name}
    return {**listener, "name": name, "protocol_port": 80 + number, "default_pool": pool}


def _statuses(plane: Plane, lb: Json) -> list[str]:
    """Return the statuses of the only members of a load balancer's pools, by the pools' names."""
    pools = plane.cloud.octavia("GET", f"/pools?loadbalancer_id={lb['id']}")["pools"]
    return [each["operating_status"] for each in sorted(pools, key=lambda pool: pool["name"])]


def test_what_the_server_is_asked(plane: Plane, program: Program) -> None:
    with application(plane, "one", "http", 8080):
        monitor = {
            "type": "HTTP",
            "http_method": "OPTIONS",
            "url_path": "/up?a=1",
            "http_version": 1.1,
            "domain_name": "shop.example.com",
        }
        lb = monitored(plane, plane.member("one", monitor_port=8080), **monitor)
        plane.await_members(lb, "ONLINE", "one")
        server = plane.scenery.stack.guests.get("one").address(4)
        seen = plane.scenery.stack.guests.run(
            "beside", ("curl", "-s", f"http://{server}:8080/requests")
        )
    assert seen.startswith("OPTIONS /up?a=1 HTTP/1.1\n")
    assert "host: shop.example.com" in seen.lower()


def test_udp(plane: Plane, program: Program) -> None:
    with application(plane, "one", "udp", 8080):
        member = plane.member("one", monitor_port=8080)
        lb = monitored(
            plane, member, protocol="UDP", type="UDP-CONNECT", delay=4
        )  # Octavia: above 3
        plane.await_members(lb, "ONLINE", "one")
        assert plane.ask("behind", lb["vip_address"], 3, kind="udp") == {"one": 3}
    plane.await_members(lb, "ERROR", "one")
    assert plane.ask("behind", lb["vip_address"], 3, kind="udp") == {"refused": 3}


def test_http_checks_of_a_udp_pool(plane: Plane, program: Program) -> None:
    """As Kubernetes has them for a service of type UDP with externalTrafficPolicy Local."""
    with application(plane, "one", "http", 30080):
        members = (plane.member("one", monitor_port=30080), plane.member("two", monitor_port=30080))
        lb = monitored(plane, *members, protocol="UDP", type="HTTP", url_path="/healthz")
        plane.await_members(lb, "ONLINE", "one")
        plane.await_members(lb, "ERROR", "two")
        assert plane.ask("behind", lb["vip_address"], 20, kind="udp") == {"one": 20}


def test_a_member_is_found_dead_in_time_and_comes_back(plane: Plane, program: Program) -> None:
    lb = monitored(plane, plane.member("one"), plane.member("two"), type="TCP")
    plane.await_members(lb, "ONLINE", "one", "two")
    guests = plane.scenery.stack.guests
    address = guests.get("one").address(4)

    began = time.monotonic()
    guests.stop_server("one")
    stopped = time.monotonic() - began
    until(lambda: f"{address}:80" not in server_in_vips(plane, lb), seconds=10)
    took = time.monotonic() - began
    bound = MONITOR["delay"] * MONITOR["max_retries_down"] + 0.5
    assert took < bound + stopped + 0.3  # ovsdb-client takes some 100 ms to show it

    plane.await_members(lb, "ERROR", "one")
    assert plane.ask("behind", lb["vip_address"], 20) == {"two": 20}
    guests.start_server("one")
    plane.await_members(lb, "ONLINE", "one")
    assert set(plane.ask("behind", lb["vip_address"], 40)) == {"one", "two"}


def test_members_without_any_rule_for_the_checks(plane: Plane, program: Program) -> None:
    """Security groups let probes in, and nothing else with them."""
    cloud, guests = plane.cloud, plane.scenery.stack.guests
    group = cloud.create("security_group", name="closed")["id"]
    port = f"/v2.0/ports/{guests.get('three').port_id}"
    before = cloud.get("network", port)["port"]["security_groups"]
    cloud.put("network", port, {"port": {"security_groups": [group]}})
    try:
        lb = monitored(plane, plane.member("three"), type="HTTP", expected_codes="200")
        plane.await_members(lb, "ONLINE", "three")
        assert plane.ask("beside", guests.get("three").address(4), 3) == {"timeout": 3}
    finally:
        cloud.put("network", port, {"port": {"security_groups": before}})
    plane.scenery.delete_load_balancers()
    cloud.delete("network", f"/v2.0/security-groups/{group}")


def test_the_program_and_the_agent_die_and_nothing_changes(plane: Plane, program: Program) -> None:
    stack = plane.scenery.stack
    with application(plane, "one", "http", 8080):
        members = (plane.member("one", monitor_port=8080), plane.member("two", monitor_port=8080))
        lb = monitored(plane, *members, type="HTTP")
        plane.await_members(lb, "ONLINE", "one")
        plane.await_members(lb, "ERROR", "two")
        before = plane.row(lb)["vips"]

        program.kill()
        time.sleep(12)  # longer than a chassis takes to be taken for dead
        assert plane.row(lb)["vips"] == before
        program.start()

        os.kill(octavia.provider_agent_pid(stack.supervisor), signal.SIGKILL)
        stack.stop(octavia.DRIVER_AGENT)
        assert plane.ask("behind", lb["vip_address"], 20) == {"one": 20}
        stack.start(octavia.DRIVER_AGENT)
        for _ in range(30):
            assert plane.row(lb)["vips"] == before
            time.sleep(0.1)
        with application(plane, "two", "http", 8080):
            plane.await_members(lb, "ONLINE", "two")


def test_ports_of_probes_go_with_the_last_monitor(plane: Plane, program: Program) -> None:
    lb = monitored(plane, plane.member("one"), type="PING")
    plane.await_members(lb, "ONLINE", "one")
    assert plane.cloud.neutron("ports", name=f"ovn-lb-probe-{plane.servers4}")
    plane.scenery.delete_load_balancers()
    until(lambda: not plane.cloud.neutron("ports", name=f"ovn-lb-probe-{plane.servers4}"))
