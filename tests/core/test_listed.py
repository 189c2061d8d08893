# SPDX-License-Identifier: Apache-2.0
"""Load balancers in a list of Octavia's API."""

import pytest

from octavia_ovn.core.listed import Listed
from tests.core.builders import balancer, listener, pool


@pytest.mark.parametrize(
    ("children", "expected"),
    [({"l1", "p1"}, True), ({"l1"}, False), ({"l1", "p1", "p2"}, False), (set(), False)],
)
def test_a_list_that_shows_other_children(children, expected):
    lb = balancer([listener()], [pool()])

    listed = Listed("lb1", "ACTIVE", "project", 0.0, frozenset(children))

    assert listed.has_children_of(lb) is expected
