# SPDX-License-Identifier: Apache-2.0
"""Stories of members that say their weights in answers to their checks."""

import dataclasses

import pytest

from octavia_ovn.core.model import Flavor, MonitorType
from tests.controller.stories import VIPS
from tests.controller.two_chassis import DOWN, WEB, only, passes, successor_of, with_both_up
from tests.core.builders import VIP

WEIGHTED = dataclasses.replace(WEB, flavor=Flavor(endpoint_weights=True))


@pytest.fixture
def web():
    return with_both_up(WEIGHTED)


def shares(ones, twos):
    entries = ["10.0.0.1:80"] * ones + ["10.0.0.2:80"] * twos
    return {("tcp", f"{VIP}:80"): ",".join(entries)}


def test_weights_become_entries(web):
    web.a.says(m1=3)
    assert web.db.vips() == shares(3, 1)
    assert web.octavia.operating["m1"] == "ONLINE"
    web.b.says(m2=6)
    assert web.db.vips() == shares(1, 2)


def test_weight_0_takes_no_new_connections_and_is_healthy(web):
    web.a.says(m1=0)
    assert (web.db.vips(), web.octavia.operating["m1"]) == (only(2), "ONLINE")
    web.a.says(m1=1)
    assert web.db.vips() == VIPS


def test_a_member_that_says_nothing_has_its_own_weight(web):
    web.a.says(m1=3)
    web.a.says(m1=None)
    assert web.db.vips() == VIPS


def test_a_member_that_fails_has_said_nothing(web):
    web.a.says(m1=3)
    web.a.finds(DOWN)
    assert web.db.vips() == only(2)
    web.a.weights = {}
    web.a.finds()
    assert web.db.vips() == VIPS


def test_weights_that_change_all_the_time_are_written_now_and_then(web):
    before = web.db.transactions
    for number in range(60):
        web.a.says(m1=2 + number % 2)
        passes(web, 1, web.a, web.b)
    assert web.db.transactions - before <= 2 + 60 / 5
    passes(web, 6, web.a, web.b)
    assert web.db.vips() == shares(3, 1)


def test_a_failure_is_not_kept_back_by_weights(web):
    for number in range(5):
        web.a.says(m1=2 + number)
    web.a.finds(DOWN)
    assert web.db.vips() == only(2)


@pytest.mark.parametrize("programs", ["know the weights", "have been started again"])
def test_another_agent_continues(web, programs):
    web.a.says(m1=3)
    before = web.db.transactions
    found = successor_of(web)
    for each in (web.a, web.b):
        if programs != "know the weights":
            each.states, each.probes, each.weighted = {}, {}, set()
        each.connect(found)
    assert (found.db.vips(), found.db.transactions) == (shares(3, 1), before)
    web.a.finds()
    assert found.db.vips() == shares(3, 1)


def test_a_program_that_was_told_by_an_older_agent_is_asked(web):
    web.a.weighted = set()
    found = successor_of(web, web.a)
    web.a.says(m1=3)
    assert found.db.vips() == shares(3, 1)


def test_without_the_wish_nobody_is_asked():
    web = with_both_up()
    web.a.says(m1=3)
    assert (web.a.weighted, web.db.vips()) == (set(), VIPS)


def test_checks_without_http_say_no_weight():
    pool = WEIGHTED.pools[0]
    tcp = dataclasses.replace(pool.monitor, type=MonitorType.TCP, url_path=None)
    lb = dataclasses.replace(WEIGHTED, pools=(dataclasses.replace(pool, monitor=tcp),))
    web = with_both_up(lb)
    assert web.a.weighted == set()
