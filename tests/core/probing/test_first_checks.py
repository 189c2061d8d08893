# SPDX-License-Identifier: Apache-2.0
"""The time that first checks of members that serve already have."""

from __future__ import annotations

import pytest

from octavia_ovn.core.probing.first_checks import FirstChecks, time_limit
from tests.core.probing.examples import probe


@pytest.mark.parametrize(("rise", "fall"), [(2, 3), (3, 2)])
def test_a_first_result_must_come_in_time(rise: int, fall: int) -> None:
    assert time_limit(probe(delay=5, timeout=3, rise=rise, fall=fall)) == 5 * 3 + 3 + 30


def test_the_time_begins_with_the_first_examination() -> None:
    checks = FirstChecks()
    checks.begin("m1", probe())
    limit = time_limit(probe())
    assert checks.over(100.0) == []
    assert checks.over(100.0 + limit - 0.1) == []
    assert checks.over(100.0 + limit) == ["m1"]
    assert "m1" not in checks
    assert checks.over(1000.0) == []


def test_what_begins_again_has_the_whole_time() -> None:
    checks = FirstChecks()
    checks.begin("m1", probe())
    checks.over(100.0)
    checks.begin("m1", probe())
    assert checks.over(1000.0) == []


def test_what_has_ended_is_not_over() -> None:
    checks = FirstChecks()
    checks.begin("m1", probe())
    assert "m1" in checks
    checks.over(100.0)
    checks.end("m1")
    checks.end("m1")
    assert checks.over(1000.0) == []
