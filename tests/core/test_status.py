# SPDX-License-Identifier: Apache-2.0
"""Operating statuses of the whole tree."""

import dataclasses

import pytest

from octavia_ovn.core import model, status
from octavia_ovn.core.health import Health, HealthState
from octavia_ovn.core.pending import Kind
from tests.core.builders import balancer, health, listener, member, monitor, pool, web
from tests.core.statuses import BOTH, CHECKED, MONITORED, TWO, off, words


def _draining(lb):
    return dataclasses.replace(lb, flavor=model.Flavor(drain_timeout=60))


TREES = {
    "bare": (balancer(), {}, "ONLINE"),
    "no pool": (balancer([listener(pool_id=None)]), {}, "ONLINE ONLINE"),
    "no member": (web(), {}, "ONLINE ONLINE ONLINE"),
    "members": (web(*TWO), {}, "NO_MONITOR NO_MONITOR ONLINE ONLINE ONLINE"),
    "checked": (CHECKED, {"up": BOTH}, "ONLINE ONLINE ONLINE ONLINE ONLINE ONLINE"),
    "none checked yet": (CHECKED, {}, "OFFLINE OFFLINE ONLINE OFFLINE OFFLINE OFFLINE"),
    "one not checked yet": (
        CHECKED,
        {"up": ["10.0.0.2"]},
        "OFFLINE ONLINE ONLINE ONLINE ONLINE ONLINE",
    ),
    "one dead": (
        CHECKED,
        {"up": ["10.0.0.2"], "down": ["10.0.0.1"]},
        "ERROR ONLINE ONLINE DEGRADED DEGRADED DEGRADED",
    ),
    "one dead, the other not checked yet": (
        CHECKED,
        {"down": ["10.0.0.1"]},
        "ERROR OFFLINE ONLINE DEGRADED DEGRADED DEGRADED",
    ),
    "one that cannot be checked": (
        CHECKED,
        {"up": ["10.0.0.1"], "unchecked": [2]},
        "ONLINE NO_MONITOR ONLINE ONLINE ONLINE ONLINE",
    ),
    "one that cannot be reached": (
        CHECKED,
        {"up": BOTH, "unreachable": [2]},
        "ONLINE ERROR ONLINE DEGRADED DEGRADED DEGRADED",
    ),
    "one without monitor that cannot be reached": (
        web(*TWO),
        {"unreachable": [2]},
        "NO_MONITOR ERROR DEGRADED DEGRADED DEGRADED",
    ),
    "all dead": (
        CHECKED,
        {"down": ["10.0.0.1"], "unreachable": [2]},
        "ERROR ERROR ONLINE ERROR ERROR ERROR",
    ),
    "one listener not checked yet, one disabled": (
        balancer(
            [listener(), listener("l2", 81, None, enabled=False)],
            [pool(members=[member(1)], **MONITORED)],
        ),
        {},
        "OFFLINE ONLINE OFFLINE OFFLINE OFFLINE OFFLINE",
    ),
    "one listener not checked yet, one served": (
        balancer(
            [listener(), listener("l2", 81, "p2")],
            [pool(members=[member(1)], **MONITORED), pool("p2", [member(2)])],
        ),
        {},
        "OFFLINE NO_MONITOR ONLINE OFFLINE ONLINE OFFLINE ONLINE ONLINE",
    ),
    "weight 0": (
        web(member(1, weight=0), member(2)),
        {},
        "NO_MONITOR NO_MONITOR ONLINE ONLINE ONLINE",
    ),
    "drains": (
        _draining(web(member(1, weight=0), member(2))),
        {},
        "DRAINING NO_MONITOR ONLINE ONLINE ONLINE",
    ),
    "all drain": (_draining(web(member(1, weight=0))), {}, "DRAINING ONLINE ONLINE ONLINE"),
    "drains, dead and disabled": (
        _draining(
            web(
                member(1, weight=0),
                member(2, weight=0),
                member(3, weight=0, enabled=False),
                **MONITORED,
            )
        ),
        {"down": ["10.0.0.2"]},
        "DRAINING ERROR OFFLINE ONLINE DEGRADED DEGRADED DEGRADED",
    ),
    "dead where nobody checks": (
        web(*TWO),
        {"down": ["10.0.0.1"]},
        "NO_MONITOR NO_MONITOR ONLINE ONLINE ONLINE",
    ),
    "disabled monitor": (
        web(member(1), monitor=monitor(enabled=False)),
        {"down": ["10.0.0.1"]},
        "NO_MONITOR OFFLINE ONLINE ONLINE ONLINE",
    ),
    "disabled member": (
        web(member(1, enabled=False), member(2), **MONITORED),
        {"down": ["10.0.0.1"], "up": ["10.0.0.2"]},
        "OFFLINE ONLINE ONLINE ONLINE ONLINE ONLINE",
    ),
    "one disabled, the other dead": (
        web(member(1, enabled=False), member(2), **MONITORED),
        {"down": ["10.0.0.2"]},
        "OFFLINE ERROR ONLINE ERROR ERROR ERROR",
    ),
    "pool without listener": (
        balancer(pools=web(*TWO).pools),
        {},
        "NO_MONITOR NO_MONITOR OFFLINE ONLINE",
    ),
    "disabled pool": (off(web(member(1)), "pools"), {}, "NO_MONITOR OFFLINE ONLINE ONLINE"),
    "disabled listener": (
        off(web(member(1)), "listeners"),
        {},
        "NO_MONITOR ONLINE OFFLINE ONLINE",
    ),
    "disabled load balancer": (
        dataclasses.replace(web(member(1)), enabled=False),
        {},
        "NO_MONITOR ONLINE OFFLINE OFFLINE",
    ),
    "one listener fine, one in error": (
        balancer(
            [listener(), listener("l2", 81, "p2")],
            [pool(members=[member(1)], **MONITORED), pool("p2", [member(2)])],
        ),
        {"down": ["10.0.0.1"]},
        "ERROR NO_MONITOR ONLINE ERROR ONLINE ERROR ONLINE DEGRADED",
    ),
    "one listener off, one in error": (
        balancer(
            [listener(), listener("l2", 81, None, enabled=False)],
            [pool(members=[member(1)], **MONITORED)],
        ),
        {"down": ["10.0.0.1"]},
        "ERROR ONLINE ERROR ERROR OFFLINE ERROR",
    ),
}


@pytest.mark.parametrize(("lb", "given", "wanted"), TREES.values(), ids=TREES)
def test_the_status_of_every_object(lb, given, wanted):
    assert wanted == words(lb, **given)


class TestHealth:
    POOL = pool(members=[member(1), member(1, port=8080)], **MONITORED)

    def test_health_is_per_port(self):
        found = Health({("10.0.0.1", 8080, "tcp"): HealthState.DOWN})

        assert [found.of(self.POOL, each) for each in self.POOL.members] == [
            HealthState.UNKNOWN,
            HealthState.DOWN,
        ]

    def test_health_is_per_protocol(self):
        found = Health({("10.0.0.1", 80, "udp"): HealthState.DOWN})

        assert found.may_serve(self.POOL, self.POOL.members[0])

    def test_what_is_not_checked_may_serve(self):
        assert health(down=["10.0.0.1"]).may_serve(pool(), member(1))
        assert not health(down=["10.0.0.1"]).may_serve(self.POOL, member(1))

    def test_what_cannot_be_checked_may_serve_and_what_cannot_be_reached_may_not(self):
        assert health(down=["10.0.0.1"], unchecked=[1]).may_serve(self.POOL, member(1))
        for checked in (pool(), self.POOL):
            assert not health(up=["10.0.0.1"], unreachable=[1]).may_serve(checked, member(1))


def test_keeps_the_members_statuses():
    statuses = status.tree(CHECKED, health(up=["10.0.0.1"], down=["10.0.0.2"]))

    assert status.member_statuses(statuses) == {"m1": "ONLINE", "m2": "ERROR", "hm1": "ONLINE"}


def test_a_monitor_in_error_turns_active_without_a_request():
    """Octavia holds no request on it, so nothing has to be told twice."""
    statuses = status.tree(CHECKED, health())
    known = {**status.member_statuses(statuses), "hm1": "ERROR"}

    report = status.report(CHECKED, statuses, None, known)

    assert report.message == {
        "healthmonitors": [
            {"id": "hm1", "provisioning_status": "ACTIVE", "operating_status": "ONLINE"}
        ]
    }
    assert report.first == {}
    failed = frozenset({(Kind.HEALTH_MONITOR, "hm1")})
    unchanged = status.tree(CHECKED, health(), failed)
    assert status.report(CHECKED, unchanged, None, known, failed).message == {}
