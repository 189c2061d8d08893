# SPDX-License-Identifier: Apache-2.0
"""`octavia-ovn trace --live`: packets of a temporary client beside what the trace says."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import namespaces, ovn, shell
from tests.sandbox.broken import FAULTS, Fault, Shop
from tests.sandbox.relay import reachable
from tests.sandbox.scenery import BACKENDS
from tests.sandbox.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.stack import Stack
    from tests.sandbox.plane import Plane
    from tests.sandbox.scenery import Scenery

CONCERNING_ALL = (
    "load balancer down",
    "listener down",
    "no members",
    "all drained",
    "all dead",
    "member without a route",
    "members unplugged",
    "members' security groups",
    "client not allowed",
    "no entry in vips",
    "network without a router",
)
"""Faults that hit any client on the network of the VIP."""


@pytest.fixture(autouse=True)
def _no_load_balancers() -> None:
    """Let the shop live as long as the tests of this file."""


@pytest.fixture(scope="module", autouse=True)
def _reachable(stack: Stack) -> Iterator[None]:
    with reachable(stack.settings):
        yield


@pytest.fixture(scope="module")
def shop(scenery: Scenery) -> Iterator[Shop]:
    """Open the shop for all tests."""
    shop = Shop.build(scenery)
    yield shop
    scenery.delete_load_balancers()
    scenery.stack.guests.remove("castaway", scenery.cloud)
    scenery.cloud.delete("network", f"/v2.0/networks/{shop.island['network_id']}")


def start(stack: Stack, lb_id: str, *options: str) -> subprocess.Popen[str]:
    """Run the command where Open vSwitch makes its devices."""
    settings = stack.settings
    # Who runs the tests may ignore signals, and a process inherits that.
    words = ["env", "--default-signal"]
    words += ["nsenter", f"--net=/run/netns/{ovn.hypervisor(settings)}"]
    words += [str(settings.bin / "octavia-ovn"), "trace", lb_id, "--live", "--json"]
    words += ["--ovs-rundir", str(settings.run)]
    words += ["--config-file", str(settings.etc / "octavia.conf"), *options]
    return subprocess.Popen(
        words,
        env=settings.base_environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def live(stack: Stack, lb_id: str, *options: str) -> tuple[int, list[dict[str, Any]]]:
    """Run a live trace; return exit status and answers. Nothing of it is left."""
    process = start(stack, lb_id, *options)
    out, err = process.communicate(timeout=120)
    assert out, err
    assert left(stack) == []
    return process.returncode, json.loads(out)


def left(stack: Stack) -> list[str]:
    """Return what is there of clients of live traces."""
    ports = stack.cloud().neutron("ports", device_owner="ovn-lb-live:client")
    find = ["ovs-vsctl", "--bare", "--columns=name", "find", "interface"]
    find.append("external_ids:octavia-ovn-live=true")
    devices = shell.run(find, env=stack.settings.base_environment)
    names = [each for port in ports for each in namespaces.names(f"ovn-lb-live-{port['id']}")]
    return [*(each["id"] for each in ports), *devices.split(), *names]


def test_packets_get_through_and_trace_says_so(stack: Stack, shop: Shop) -> None:
    status, (answer,) = live(stack, shop.lb["id"])

    assert (status, answer["verdict"]) == (0, "ok")
    found = answer["live"]
    assert (found["severity"], found["agrees"]) == ("ok", True)
    assert [each["outcome"] for each in found["attempts"]] == ["answered"] * 10
    assert all(0 < each["milliseconds"] < 3000 for each in found["attempts"])
    servers = {f"{stack.guests.get(name).address()}:80" for name in BACKENDS}
    assert {each["member"] for each in found["attempts"]} <= servers
    assert "10 of 10 connections accepted" in found["sentence"]


@pytest.mark.parametrize("fault", [FAULTS[name] for name in CONCERNING_ALL], ids=CONCERNING_ALL)
def test_packets_do_not_get_through_and_trace_says_so(
    stack: Stack, shop: Shop, fault: Fault
) -> None:
    with fault.broken(shop):
        status, (answer,) = live(stack, shop.lb["id"], "--count", "2")

    assert (status, answer["verdict"]) == (1, "fault")
    assert answer["live"]["agrees"] is True
    assert {each["outcome"] for each in answer["live"]["attempts"]} == {"failed"}
    until(lambda: shop.gets_through("near"), seconds=60)


def test_a_server_that_nobody_checks_is_down(stack: Stack, shop: Shop) -> None:
    """The trace cannot know it."""
    stack.guests.stop_server("web1")
    try:
        status, (answer,) = live(stack, shop.lb["id"], "--count", "40")
    finally:
        stack.guests.start_server("web1")

    assert (status, answer["verdict"]) == (1, "ok")
    found = answer["live"]
    assert (found["severity"], found["agrees"]) == ("fault", False)
    refused = f"connection refused ({stack.guests.get('web1').address()}:80)"
    assert refused in found["sentence"]
    assert f"by {stack.guests.get('web2').address()}:80" in found["sentence"]


@pytest.mark.parametrize("version", [4, 6])
def test_udp_and_both_ip_versions(stack: Stack, plane: Plane, version: int) -> None:
    listeners = [
        plane.listener(plane.member("one", version), protocol=each) for each in ("TCP", "UDP")
    ]
    where = {"vip_subnet_id": plane.servers4 if version == 4 else plane.servers6}
    lb = plane.load_balancer(*listeners, **where)
    status, answers = live(stack, lb["id"], "--count", "3")

    assert status == 0, answers
    assert [each["protocol"] for each in answers] == ["tcp", "udp"]
    for each in answers:
        assert each["live"]["agrees"] is True
        assert [one["outcome"] for one in each["live"]["attempts"]] == ["answered"] * 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_trace_leaves_nothing(
    stack: Stack, shop: Shop, number: signal.Signals
) -> None:
    process = start(stack, shop.lb["id"])
    until(lambda: left(stack))
    process.send_signal(number)
    _, err = process.communicate(timeout=60)

    assert process.returncode == 2
    assert "interrupted" in err
    assert left(stack) == []


def test_the_next_trace_removes_what_a_killed_one_has_left(stack: Stack, shop: Shop) -> None:
    process = start(stack, shop.lb["id"])
    until(lambda: len(left(stack)) == 3)
    process.kill()
    process.communicate(timeout=60)
    assert len(left(stack)) == 3

    assert live(stack, shop.lb["id"])[0] == 0


def test_ports_of_others_stay(stack: Stack, shop: Shop) -> None:
    """A tenant can give a port the same device and owner, but not the service's project."""
    values = {"device_id": f"ovn-lb-live-{ovn.CHASSIS}", "device_owner": "ovn-lb-live:client"}
    network = shop.island["network_id"]
    port = shop.scenery.cloud.create("port", network_id=network, name="mine", **values)
    try:
        process = start(stack, shop.lb["id"])
        process.communicate(timeout=60)
        assert process.returncode == 0
        assert left(stack) == [port["id"]]
    finally:
        shop.scenery.cloud.delete("network", f"/v2.0/ports/{port['id']}")


def test_one_at_a_time(stack: Stack, shop: Shop) -> None:
    place = os.open(stack.settings.run, os.O_RDONLY)
    try:
        fcntl.flock(place, fcntl.LOCK_EX)
        process = start(stack, shop.lb["id"])
        _, err = process.communicate(timeout=60)
    finally:
        os.close(place)

    assert process.returncode == 2
    assert "Another live trace is running" in err


def test_it_takes_seconds(stack: Stack, shop: Shop) -> None:
    began = time.monotonic()
    live(stack, shop.lb["id"])
    assert time.monotonic() - began < 30
