# SPDX-License-Identifier: Apache-2.0
"""Work that fails for a time: what is logged of it, and when it is tried again."""

import pytest

from octavia_ovn.attempts import Attempts
from octavia_ovn.errors import BadConfiguration, Unavailable


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


class Work:
    error = None
    times = 0

    def __call__(self):
        self.times += 1
        if self.error is not None:
            raise self.error


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def work():
    return Work()


def attempts(clock, **options):
    return Attempts("It fails: %s", "It works", clock=clock, **options)


def lines(caplog):
    return [each.getMessage() for each in caplog.records]


def test_what_works_is_not_worth_a_word(clock, work, caplog):
    caplog.set_level("INFO")

    assert attempts(clock).run(work)

    assert lines(caplog) == []


def test_beginning_change_and_end_are_logged_once(clock, work, caplog):
    caplog.set_level("INFO")
    found = attempts(clock)
    for error in ("one", "two", "one", "one", "two"):
        work.error = Unavailable(error)
        assert not found.run(work)
        assert found.failing
    work.error = None
    assert found.run(work)
    assert found.run(work)
    assert not found.failing

    work.error = Unavailable("one")
    found.run(work)
    assert lines(caplog) == ["It fails: one", "It fails: two", "It works", "It fails: one"]


def test_reasons_that_never_repeat_do_not_fill_the_log(clock, work, caplog):
    found = attempts(clock)
    for number in range(1000):
        work.error = Unavailable(f"{number}")
        found.run(work)

    assert len(lines(caplog)) < 50


def test_an_unexpected_error_is_caught_counted_and_followed_by_a_pause(clock, work, caplog):
    found = attempts(clock)
    work.error = KeyError("match")
    assert not found.run(work)
    assert not found.run(work)
    assert (work.times, found.defects) == (1, 1)
    assert "Traceback" in caplog.text

    clock.now = found.due
    work.error = None
    assert found.run(work)
    assert found.due <= clock.now


def test_pauses_grow_to_a_limit(clock, work):
    found = attempts(clock, first_pause=1.0)
    work.error = BadConfiguration("[ovn] ovn_sb_certificate is no certificate")
    pauses = []
    for _ in range(2000):
        found.run(work)
        pauses.append(found.due - clock.now)
        clock.now = found.due

    assert pauses[:3] == [1.0, 2.0, 4.0]
    assert max(pauses) == pauses[-1] == 30.0
