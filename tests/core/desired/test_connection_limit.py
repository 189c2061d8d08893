# SPDX-License-Identifier: Apache-2.0
"""Which rows let no new connections in, and when."""

import pytest

from octavia_ovn.core import model
from octavia_ovn.core import rows as r
from octavia_ovn.core.desired import access_control, connection_limit
from tests.core.builders import balancer, facts, listener, pool, render, vip

ENTRANCES = frozenset({"port1", "port2"})
NEW = "tcp.flags[1] == 1 && tcp.flags[4] == 0"
LB = {"octavia:allowed_cidrs": "True", "octavia:loadbalancer_id": "lb1"}


def limited(limit=10, **fields):
    return listener(connection_limit=limit, **fields)


def rows_of(*listeners, closed=("l1",), known=(), **fields):
    given = {"ingress_ports": ENTRANCES, "closed": frozenset(closed), **dict(known)}
    return access_control.wanted(balancer(listeners, **fields), facts(**given))


def matches(found):
    return [acl.match for group in found.groups for acl in group.acls]


@pytest.mark.parametrize(
    ("limit", "count", "closed", "complete", "expected"),
    [
        (10, 9, False, True, False),
        (10, 10, False, True, True),
        (10, 11, False, False, True),
        (10, 10, True, True, True),
        (100, 95, True, True, True),
        (100, 94, True, True, False),
        (100, 0, True, False, True),
        (20, 19, True, True, True),
        (20, 18, True, True, False),
        (1, 0, True, True, False),
        (1, 1, False, True, True),
        (10, 0, False, False, False),
    ],
)
def test_closed_at_the_limit_and_opened_below_95_percent(limit, count, closed, complete, expected):
    assert connection_limit.is_closed(limit, count, closed=closed, complete=complete) is expected


def test_one_listener():
    owner = {**LB, "octavia:listener_id": "l1", "octavia:connection_limit": "True"}
    match = f"ip4.dst == {{10.0.0.100}} && tcp.dst == 80 && {NEW}"
    acl = r.Acl(match, owner, priority=3000, direction="from-lport", action="drop")

    found = rows_of(limited())

    group = r.PortGroup("octavia_lb_lb1_full", ENTRANCES, (acl,), LB)
    assert found == access_control.Access(groups=(group,))
    assert connection_limit.closed(found.groups) == {"l1"}


def test_all_addresses_of_a_family_and_each_family_alone():
    vips = (vip(), vip("fd00::100", subnet_id="sub6"), vip("10.1.0.5"))
    known = {"floating_ips": {"10.0.0.100": "172.24.4.5"}, "foreign": frozenset({"10.1.0.5"})}

    assert matches(rows_of(limited(), vips=vips, known=known)) == [
        f"ip4.dst == {{10.0.0.100, 172.24.4.5}} && tcp.dst == 80 && {NEW}",
        f"ip6.dst == {{fd00::100}} && tcp.dst == 80 && {NEW}",
    ]


def test_beside_a_listener_that_is_restricted():
    found = rows_of(
        limited(allowed_cidrs=("10.0.0.0/8",)), limited(listener_id="l2", port=81), closed=("l2",)
    )

    restricted, full = found.groups
    assert restricted.name == "octavia_lb_lb1"
    assert [each.match for each in full.acls] == [
        f"ip4.dst == {{10.0.0.100}} && tcp.dst == 81 && {NEW}"
    ]
    assert connection_limit.closed(found.groups) == {"l2"}


@pytest.mark.parametrize(
    ("one", "fields"),
    [
        (listener(), {}),
        (limited(enabled=False), {}),
        (limited(), {"enabled": False}),
        (limited(protocol=model.Protocol.UDP), {}),
        (limited(protocol=model.Protocol.SCTP), {}),
    ],
    ids=["no limit", "disabled", "load balancer disabled", "UDP", "SCTP"],
)
def test_no_rules_without_a_limit_that_can_be_kept(one, fields):
    lb = balancer([one], **fields)

    assert rows_of(one, **fields) == access_control.Access()
    assert not access_control.has_rules(lb)
    assert all("octavia_connection_limit" not in each.options for each in render(lb))


def test_where_clients_enter_is_known_before_the_limit_is_reached():
    assert access_control.has_rules(balancer([limited()]))
    assert rows_of(limited(), closed=()) == access_control.Access()


def test_chassis_are_told_which_rows_to_count():
    """And only of those, as each of them costs hypervisors a look."""
    udp = {"protocol": model.Protocol.UDP}
    pools = [pool(), pool("p2", **udp)]
    rows = render(balancer([limited(), listener("l2", 53, "p2", **udp)], pools))
    found = {row.protocol: row.options for row in rows}

    assert found["tcp"]["octavia_connection_limit"] == "true"
    assert "octavia_connection_limit" not in found["udp"]


def test_and_told_when_there_is_no_limit_any_more():
    before = render(balancer([limited()], [pool()]))
    (after,) = render(balancer([listener()], [pool()]), before)

    assert "octavia_connection_limit" not in after.options


def test_a_full_listener_and_one_that_is_not_are_told_apart():
    two = (limited(), limited(listener_id="l2", port=81))
    closed = rows_of(*two, closed=("l1", "l2"))
    (put,) = access_control.difference(closed, rows_of(*two, closed=("l2",)))

    assert [each.external_ids["octavia:listener_id"] for each in put.row.acls] == ["l2"]
    (gone,) = access_control.difference(closed, rows_of(*two, closed=()))
    assert isinstance(gone, r.DeleteAccessRow)
