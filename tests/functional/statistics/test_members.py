# SPDX-License-Identifier: Apache-2.0
"""Numbers of members in the metrics of collectors: what servers have answered, exactly."""

from __future__ import annotations

import collections
import itertools
import time

import pytest

from tests.functional.statistics.field import VIP, VIP6, Field
from tests.sandbox.waiting import until


@pytest.fixture(autouse=True)
def _counting(field: Field) -> None:
    """Wait for the second reading of collectors: what came before is not counted for members."""
    time.sleep(1)


def test_connections_of_members_are_those_that_they_have_answered(field: Field) -> None:
    answered: collections.Counter[str] = collections.Counter()
    for client, vip in itertools.product(("near", "far", "stranger"), (VIP, VIP6)):
        answered += field.ask(client, 9, vip)

    until(lambda: field.by_member() == answered)
    assert answered.total() == 54


def test_members_of_listeners_with_the_same_members(field: Field) -> None:
    """They share a group, which does not tell whose connections it has counted."""
    answered = field.ask("near", 10)
    until(lambda: field.by_member() == answered)
    with field.twin("10.0.1.11:80,10.0.1.12:80") as twin:
        field.ask("near", 20)
        field.ask("near", 20, twin)
        time.sleep(3)
        assert field.by_member() == answered
        assert not field.by_member("twin")

    def counts_again() -> bool:
        field.ask("near", 1)
        time.sleep(1)
        return field.by_member() != answered

    until(counts_again)
    time.sleep(1)
    known = field.by_member()
    answered = field.ask("near", 10)
    until(lambda: field.by_member() == known + answered)


def test_the_only_member_of_a_listener(field: Field) -> None:
    with field.twin("10.0.1.11:80") as twin:
        field.ask("near", 7, twin)
        field.ask("far", 6, twin)

        until(lambda: field.by_member("twin") == {"web1": 13})


def test_members_with_weights_that_come_and_go(field: Field) -> None:
    with field.twin("10.0.1.11:80,10.0.1.12:80,10.0.1.12:80") as twin:
        answered = field.ask("near", 30, twin)
        until(lambda: field.by_member("twin") == answered)

        field.cloud.nbctl("set", "load_balancer", "twin", f'vips:"{twin}:80"="10.0.1.12:80"')
        field.cloud.sync()
        time.sleep(1)
        answered += field.ask("near", 5, twin)
        until(lambda: field.by_member("twin") == answered)
