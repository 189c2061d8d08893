# SPDX-License-Identifier: Apache-2.0
"""What cannot be done: refused in words, and nothing has changed anywhere."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import pytest

from sandbox.api import ApiError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.api import Json
    from tests.sandbox.scenery import Scenery


_BOUND = 30.0  # seconds: the configured time for NB, that for Neutron, and some for the rest


def test_what_takes_reading_requests(scenery: Scenery) -> None:
    lb = scenery.load_balancer()
    rows = scenery.nb("list", "Load_Balancer")

    with pytest.raises(ApiError) as refusal:
        scenery.listener(lb, protocol="HTTP", insert_headers={"X-Forwarded-For": "true"})

    assert "insert_headers" in refusal.value.text
    _assert_settled(scenery, lb)
    assert scenery.nb("list", "Load_Balancer") == rows
    assert scenery.cloud.octavia("GET", "/listeners")["listeners"] == []


def test_an_ipv6_member_behind_an_ipv4_vip(scenery: Scenery) -> None:
    lb = scenery.load_balancer()
    pool = scenery.pool(lb, scenery.listener(lb))
    rows = scenery.nb("list", "Load_Balancer")

    with pytest.raises(ApiError) as refusal:
        scenery.member(lb, pool, "fd00::5")

    assert "IP version" in refusal.value.text
    _assert_settled(scenery, lb)
    assert scenery.nb("list", "Load_Balancer") == rows
    assert scenery.cloud.octavia("GET", f"/pools/{pool['id']}/members")["members"] == []


def test_a_listener_while_nb_is_down(scenery: Scenery) -> None:
    lb = scenery.load_balancer()

    with _nb_down(scenery):
        began = time.monotonic()
        with pytest.raises(ApiError) as refusal:
            scenery.listener(lb)
        elapsed = time.monotonic() - began
        _assert_settled(scenery, lb)

    assert "does not answer now" in refusal.value.text
    assert elapsed < _BOUND
    assert scenery.cloud.octavia("GET", "/listeners")["listeners"] == []
    scenery.listener(lb)  # and now it works


def test_a_load_balancer_while_nb_is_down(scenery: Scenery) -> None:
    with _nb_down(scenery):
        began = time.monotonic()
        with pytest.raises(ApiError) as refusal:
            scenery.load_balancer()
        elapsed = time.monotonic() - began

    assert "does not answer now" in refusal.value.text
    assert elapsed < _BOUND
    assert scenery.cloud.octavia("GET", "/loadbalancers")["loadbalancers"] == []
    # What Neutron was asked for meanwhile would come now, with NB.
    scenery.load_balancer()
    scenery.delete_load_balancers()
    assert scenery.left_in_nb() == {}
    assert scenery.left_in_neutron() == []


@contextlib.contextmanager
def _nb_down(scenery: Scenery) -> Iterator[None]:
    scenery.stack.stop("nb")
    try:
        yield
    finally:
        scenery.stack.start("nb")


def _assert_settled(scenery: Scenery, lb: Json) -> None:
    """The load balancer and all below it are as before the request, none of them pending."""
    tree = str(scenery.statuses(lb))
    assert "PENDING" not in tree
    assert "ERROR" not in tree
