# SPDX-License-Identifier: Apache-2.0
"""Pauses between attempts double up to a limit."""

import pytest

from octavia_ovn.core.backoff import backoff


@pytest.mark.parametrize(
    ("failures", "pause"), [(0, 0.5), (1, 1.0), (2, 2.0), (4, 8.0), (5, 10.0), (10_000, 10.0)]
)
def test_pauses(failures, pause):
    assert backoff(failures, 0.5, 10.0) == pause
