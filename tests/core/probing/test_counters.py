# SPDX-License-Identifier: Apache-2.0
"""What is counted of probes."""

from octavia_ovn.core.probing.counters import BUCKETS, Counters, Ending


def test_durations_are_those_of_probes_that_were_made():
    counters = Counters()
    counters.count("TCP", Ending.SUCCESS, 0.0005)
    counters.count("TCP", Ending.FAILURE, 2.0)
    counters.count("TCP", Ending.FAILURE, 600.0)
    counters.count("TCP", Ending.NOT_DONE, 0.0)

    assert counters.endings == {
        ("TCP", "success"): 1,
        ("TCP", "failure"): 2,
        ("TCP", "not_done"): 1,
    }
    assert counters.seconds == {"TCP": 602.0005}
    assert sum(counters.durations["TCP"]) == 3
    assert counters.durations["TCP"][0] == 1
    assert counters.durations["TCP"][BUCKETS.index(3.0)] == 1
    assert counters.durations["TCP"][-1] == 1
