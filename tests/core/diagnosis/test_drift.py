# SPDX-License-Identifier: Apache-2.0
"""What differs between Octavia and the rows."""

import dataclasses

import pytest

from octavia_ovn.core import model
from octavia_ovn.core.diagnosis import drift
from octavia_ovn.core.pending import Final, Kind, Pending
from tests.core.builders import balancer, listener, member, monitor, pool
from tests.core.diagnosis.snapshots import LB, snapshot

M1, M2 = LB.pools[0].members


def differing(ours, theirs):
    found = snapshot(ours, octavia=theirs)
    return drift.sentences(found)


def replaced(lb=LB, **values):
    """Return a load balancer whose pool has other values."""
    return dataclasses.replace(lb, pools=(dataclasses.replace(lb.pools[0], **values),))


STICKY = model.SessionPersistence(model.Mechanism.HASH)


@pytest.mark.parametrize(
    ("theirs", "sentences"),
    [
        (LB, ()),
        (
            dataclasses.replace(LB, enabled=False),
            ("loadbalancer web: admin_state_up is False in Octavia, True in the rows",),
        ),
        (
            replaced(members=(M1,)),
            ("member m2: not in Octavia",),
        ),
        (
            replaced(members=(M1, M2, member(3))),
            ("member m3: missing in the rows",),
        ),
        (
            replaced(members=(M1, dataclasses.replace(M2, weight=7))),
            ("member m2: weight is 7 in Octavia, 1 in the rows",),
        ),
        (
            replaced(algorithm=model.Algorithm.SOURCE_IP, persistence=STICKY),
            (
                "pool p1: lb_algorithm is SOURCE_IP in Octavia, SOURCE_IP_PORT in the rows",
                "pool p1: session_persistence is SOURCE_IP in Octavia, None in the rows",
            ),
        ),
        (
            replaced(application=model.Application.HTTP),
            ("pool p1: protocol is HTTP in Octavia, TCP in the rows",),
        ),
        (
            replaced(members=(dataclasses.replace(M1, monitor_port=8080), M2)),
            ("member m1: monitor_port is 8080 in Octavia, None in the rows",),
        ),
        (replaced(monitor=monitor()), ("healthmonitor hm1: missing in the rows",)),
        (
            balancer([listener(allowed_cidrs=("10.0.0.0/8", "fd00::/8"))], LB.pools),
            ("listener l1: allowed_cidrs is 10.0.0.0/8 fd00::/8 in Octavia, empty in the rows",),
        ),
        (
            dataclasses.replace(LB, listeners=(*LB.listeners, listener("l2", 443))),
            ("listener l2: missing in the rows",),
        ),
    ],
)
def test_differences(theirs, sentences):
    assert differing(LB, theirs) == sentences


def test_differences_of_an_http_check():
    ours, theirs = (
        balancer(pools=[pool(monitor=monitor("HTTP", url_path=each))]) for each in ("/old", "/new")
    )
    assert differing(ours, theirs) == (
        "healthmonitor hm1: url_path is /new in Octavia, /old in the rows",
    )


def test_nothing_differs_while_a_request_is_under_way():
    pending = Pending(("1",), {(Kind.POOL, "p1"): Final.ACTIVE})
    assert drift.differences(snapshot(octavia=balancer(), pending=pending)) == {}
    assert drift.differences(snapshot(octavia=None)) == {}
