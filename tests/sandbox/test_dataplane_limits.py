# SPDX-License-Identifier: Apache-2.0
"""Packets: listeners that may have so many connections, and not more."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sandbox import namespaces, octavia, shell
from sandbox.api import ApiError
from sandbox.chassis import Program
from tests.sandbox.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.api import Json
    from tests.sandbox.plane import Plane

_HOLDING = str(Path(__file__).with_name("holding.py"))
_MOST = 3000
"""Local ports for one client."""


class Holder:
    """A client that holds connections; see holding.py."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(self, *words: object) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(" ".join(map(str, words)) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@contextlib.contextmanager
def holding(plane: Plane, client: str, address: str) -> Iterator[Holder]:
    local = plane._local_port(_MOST)
    inside = namespaces.command(
        plane.scenery.stack.guests.get(client).namespace,
        (sys.executable, _HOLDING, address, "80", local),
    )
    with subprocess.Popen(
        inside, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Holder(process)
        finally:
            process.kill()


@pytest.fixture
def program(plane: Plane) -> Iterator[Program]:
    """A program on the chassis that counts, and API workers that know it."""
    made = Program(plane.scenery.stack)
    made.start()
    until(lambda: "octavia-ovn-statistics" in plane.scenery.nb("list", "NB_Global"))
    yield made
    made.stop()


@pytest.fixture
def lb(plane: Plane, program: Program) -> Json:
    return limited(plane, 20)


def limited(plane: Plane, limit: int, **values: object) -> Json:
    listener = {**plane.listener(plane.member("one")), "connection_limit": limit}
    return plane.load_balancer(listener, **values)


def set_limit(plane: Plane, lb: Json, limit: int | None) -> None:
    (listener,) = plane.cloud.octavia("GET", f"/listeners?loadbalancer_id={lb['id']}")["listeners"]
    body = {"listener": {"connection_limit": limit}}
    plane.cloud.octavia("PUT", f"/listeners/{listener['id']}", body)
    plane.cloud.wait_for(lb["id"])


def is_closed(plane: Plane) -> bool:
    """Whether the rows let no new connections in."""
    return "tcp.flags" in plane.scenery.nb("--bare", "--columns=match", "list", "ACL")


def await_state(plane: Plane, *, closed: bool, seconds: float = 20.0) -> float:
    """Wait until new connections are let in, or none; flows are in place."""
    took = until(lambda: is_closed(plane) is closed, seconds=seconds)
    plane.sync()
    return took


def shown(plane: Plane, lb: Json) -> str:
    """Return what `octavia-ovn show` prints."""
    settings = plane.scenery.stack.settings
    words = ("show", lb["id"], "--config-file", str(settings.etc / "octavia.conf"))
    return shell.run([str(settings.bin / "octavia-ovn"), *words], env=settings.base_environment)


def gets_in(plane: Plane, client: str, address: str) -> bool:
    (answer,) = plane.ask(client, address, 1)
    assert answer in ("one", "timeout")
    return answer == "one"


def test_from_every_place_to_every_address(plane: Plane, lb: Json) -> None:
    """The VIP's own switch, another one, and outside by a floating IP."""
    vip, floating = lb["vip_address"], plane.floating_ip(lb["vip_port_id"])
    plane.await_vip(floating)
    places = (("beside", vip), ("behind", vip), ("crowd", floating))
    with contextlib.ExitStack() as opened:
        holders = [opened.enter_context(holding(plane, *each)) for each in places]
        for holder, count in zip(holders, (7, 7, 6), strict=True):
            holder("open", count, 100)
        await_state(plane, closed=True)

        assert [gets_in(plane, *each) for each in places] == [False] * 3
        assert sum(holder("ask") for holder in holders) == 20
        (listener,) = plane.cloud.octavia("GET", f"/listeners?loadbalancer_id={lb['id']}")[
            "listeners"
        ]
        assert listener["operating_status"] == "ONLINE"
        assert "at its connection limit" in shown(plane, lb)

        # 19 of 20 are 95 %.
        assert holders[0]("close", 1) == 6
        time.sleep(3)
        assert is_closed(plane)
        assert holders[2]("close", 1) == 5
        await_state(plane, closed=False)

        assert [gets_in(plane, *each) for each in places] == [True] * 3


def test_what_waited_gets_in_when_there_is_room(plane: Plane, lb: Json) -> None:
    with holding(plane, "beside", lb["vip_address"]) as holder:
        holder("open", 20, 100)
        await_state(plane, closed=True)
        with holding(plane, "behind", lb["vip_address"]) as waiting:
            waiting("open", 5, 100)
            assert waiting("held") == 0
            holder("close", 10)
            until(lambda: waiting("held") == 5)
            assert waiting("ask") == 5


def test_ipv6_and_an_additional_vip(plane: Plane, program: Program) -> None:
    members = (plane.member("one"), plane.member("one", 6))
    listener = {**plane.listener(*members), "connection_limit": 5}
    lb = plane.load_balancer(listener, additional_vips=[{"subnet_id": plane.servers6}])
    vip6 = lb["additional_vips"][0]["ip_address"]
    with (
        holding(plane, "behind", vip6) as six,
        holding(plane, "behind", lb["vip_address"]) as four,
    ):
        six("open", 3, 100)
        four("open", 2, 100)
        await_state(plane, closed=True)

        for address in (vip6, lb["vip_address"]):
            assert not gets_in(plane, "beside", address)
        assert (six("ask"), four("ask")) == (3, 2)


def test_another_limit_and_none(plane: Plane, lb: Json) -> None:
    with holding(plane, "beside", lb["vip_address"]) as holder:
        holder("open", 20, 100)
        await_state(plane, closed=True)

        set_limit(plane, lb, 40)
        await_state(plane, closed=False, seconds=5)
        set_limit(plane, lb, 10)
        await_state(plane, closed=True)
        set_limit(plane, lb, None)
        await_state(plane, closed=False, seconds=5)
        assert gets_in(plane, "behind", lb["vip_address"])


def test_another_agent_keeps_it_closed_and_opens_it(plane: Plane, lb: Json) -> None:
    stack = plane.scenery.stack
    with holding(plane, "beside", lb["vip_address"]) as holder:
        holder("open", 20, 100)
        await_state(plane, closed=True)
        before = plane.scenery.nb("--columns=_uuid,match", "list", "ACL")
        stack.stop(octavia.DRIVER_AGENT)
        holder("close", 10)
        stack.start(octavia.DRIVER_AGENT)
        time.sleep(10)
        assert plane.scenery.nb("--columns=_uuid,match", "list", "ACL") == before

        # Until all chassis have had the time to report.
        await_state(plane, closed=False, seconds=90)


def test_what_cannot_be_limited_is_refused(plane: Plane, program: Program) -> None:
    for protocol, limit, words in (
        ("UDP", 5, "not those of UDP"),
        ("TCP", 0, "0 would let no client in"),
    ):
        listener = plane.listener(plane.member("one"), protocol=protocol)
        with pytest.raises(ApiError, match=words):
            plane.load_balancer({**listener, "connection_limit": limit})


@pytest.mark.parametrize("rate", [200])
def test_how_far_it_is_exceeded(plane: Plane, program: Program, rate: int) -> None:
    """A measurement: what is held at the peak with clients that never stop trying."""
    limit, seconds = 50, 8
    lb = limited(plane, limit)
    with holding(plane, "beside", lb["vip_address"]) as holder:
        holder("open", rate * seconds, rate)
        peak = holder("held")
        assert is_closed(plane)
    print(json.dumps({"limit": limit, "rate": rate, "peak": peak}))
    assert limit <= peak < limit + 4 * rate
