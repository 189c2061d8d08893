# SPDX-License-Identifier: Apache-2.0
"""Rows and deadlines of drains that others have written, and clocks."""

import dataclasses
import json

import pytest

from tests.core.builders import VIP, member, render, row
from tests.core.desired.drains import KEY, NOW, Story, flow, lb
from tests.core.desired.lbs import FIP, ONE, TWO


def written(story, value, **keys):
    first, *rest = story.rows
    text = value if isinstance(value, str) else json.dumps(value)
    ids = {**first.external_ids, "octavia:draining": text, **keys}
    story.rows = (dataclasses.replace(first, external_ids=ids), *rest)
    return story.passes(0)


def deadline(value, vip=KEY, backend=ONE, protocol="tcp"):
    return {protocol: {vip: {backend: value}}}


@pytest.mark.parametrize("value", [NOW + 61, NOW + 10**12], ids=["more", "far"])
def test_no_deadline_is_later_than_one_that_begins_now(value):
    story = written(Story(member(2)), deadline(int(value)))

    assert story.deadlines == {flow(): NOW + 60}


@pytest.mark.parametrize("value", [0, -1, NOW - 1, NOW + 3], ids=["0", "-1", "past", "near"])
def test_one_that_has_passed_is_kept_after_all_hypervisors_can_follow(value):
    story = written(Story(member(2)), deadline(int(value)))

    assert story.deadlines == {flow(): NOW + 5}
    assert story.of("flush") == {KEY: ONE}
    assert story.passes(5).of("flush") == {}


def test_a_clock_that_is_set_back_delays_no_end_that_has_begun():
    story = Story(member(1), member(2)).has(member(2)).passes(56).passes(-3600)

    assert story.deadlines == {flow(): NOW + 56 - 3600 + 5}
    assert story.of("flush") == {KEY: ONE}
    assert story.passes(5).deadlines == {}


GARBAGE = {
    "no JSON": "{",
    "a list": [],
    "nested too little": {"tcp": {KEY: 5}},
    "no number": deadline("soon"),
    "no protocol": deadline(int(NOW), protocol="icmp"),
    "several backends": deadline(int(NOW), backend=f"{ONE},{TWO}"),
    "a name": deadline(int(NOW), backend="web:80"),
    "no port": deadline(int(NOW), vip=VIP),
    "brackets": deadline(int(NOW), backend="[10.0.0.1]:80"),
    "two families": deadline(int(NOW), backend="[fd00::1]:80"),
    "an address of others": deadline(int(NOW), vip="10.0.0.77:80"),
    "what serves": deadline(int(NOW), backend=TWO),
}


@pytest.mark.parametrize("value", GARBAGE.values(), ids=GARBAGE)
def test_what_makes_no_sense_is_dropped(value):
    story = written(Story(member(2)), value)

    assert story.rows == Story(member(2)).rows


def test_a_backend_that_makes_no_sense_does_not_drain():
    story = Story(member(2))
    story.rows = (dataclasses.replace(story.rows[0], vips={KEY: f"web,{TWO}"}),)

    assert story.passes(0).rows == Story(member(2)).rows


def test_a_floating_ip_that_is_gone_does_not_drain():
    story = Story(member(1)).becomes(lb(member(1)), floating_ips={VIP: FIP}).has()
    assert len(story.deadlines) == 2

    assert story.has(floating_ips={}).deadlines == {flow(): NOW + 60}


def test_a_flush_row_that_is_lost_is_made_again_in_time():
    story = Story(member(1), member(2)).has(member(2)).passes(58)
    story.rows = story.rows[:-1]
    story.passes(1)

    assert story.of("flush") == {KEY: ONE}
    assert story.deadlines == {flow(): NOW + 64}


def test_a_flush_row_that_no_deadline_belongs_to_goes():
    story = Story(member(1), member(2)).has(member(2)).passes(58)
    first, *rest = story.rows
    ids = {key: each for key, each in first.external_ids.items() if key != "octavia:draining"}
    story.rows = (dataclasses.replace(first, external_ids=ids), *rest)

    assert len(story.passes(0).rows) == 1


def test_a_drain_row_that_an_older_version_has_made_that_of_a_pool_serves():
    keys = {"octavia:drain_row": "flush", "listener_l1": "80:pool_p1", "neutron:vip": VIP}
    old = row(external_ids=keys, vips={KEY: ONE})
    found, _ = render(lb(member(2)), [old], now=NOW)

    assert found.uuid == old.uuid
    assert "octavia:drain_row" not in found.external_ids
    assert found.vips == {KEY: TWO}
