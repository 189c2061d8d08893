# SPDX-License-Identifier: Apache-2.0
"""The rows of load balancers whose members chassis probe."""

import dataclasses

import pytest

from octavia_ovn.core import model
from octavia_ovn.core.desired import access_control
from octavia_ovn.core.health import Health, HealthState
from octavia_ovn.core.model import MonitorType
from octavia_ovn.core.probing.plan import Target
from octavia_ovn.core.probing.spec import Source
from tests.core.builders import VIP, facts, member, monitor, render, vips, web
from tests.core.probing.examples import SOURCE, probe

SIX = Source("b3a4c9a2-1111-4222-8333-444444444444", "fa:16:3e:00:00:08", "fd00::7/64")


def probed(**states):
    """Health by member id: u for UP, d for DOWN, n for not yet known, c for unchecked."""
    meaning = {
        "u": HealthState.UP,
        "d": HealthState.DOWN,
        "n": HealthState.UNKNOWN,
        "c": HealthState.UNCHECKED,
        "x": HealthState.UNREACHABLE,
    }
    members = {key: meaning[each] for key, each in states.items()}
    return Health(members=members, probed=frozenset({"p1"}))


@pytest.mark.parametrize(
    ("states", "backups", "serving"),
    [
        ("uu", "", "12"),
        ("ud", "", "1"),
        ("un", "", "1"),
        ("nn", "", "12"),
        ("nd", "", "1"),
        ("dd", "", ""),
        ("uc", "", "12"),
        ("cd", "", "1"),
        ("cn", "", "12"),
        ("xu", "", "2"),
        ("xd", "", ""),
        ("uu", "2", "1"),
        ("du", "2", "2"),
        ("dd", "2", ""),
        ("nu", "2", "2"),
        ("nn", "2", "1"),
        ("dn", "2", "2"),
        ("udn", "3", "1"),
    ],
)
def test_who_serves(states, backups, serving):
    members = [
        member(number, backup=str(number) in backups) for number in range(1, len(states) + 1)
    ]
    health = probed(**{f"m{number}": each for number, each in enumerate(states, 1)})
    lb = web(*members, monitor=monitor())
    expected = ",".join(f"10.0.0.{each}:80" for each in serving)
    assert vips(lb, health=health) == {f"{VIP}:80": expected}


@pytest.mark.parametrize(
    ("states", "serving"), [("ud", "1"), ("nn", "12"), ("dd", ""), ("xd", ""), ("xx", "")]
)
@pytest.mark.parametrize("withdraw", [True, False, None])
def test_withdrawn_while_nothing_serves(states, serving, withdraw):
    health = probed(**{f"m{number}": each for number, each in enumerate(states, 1)})
    lb = web(member(1), member(2), monitor=monitor())
    lb = dataclasses.replace(lb, flavor=model.Flavor(withdraw=withdraw))
    expected = ",".join(f"10.0.0.{each}:80" for each in serving)
    kept = {f"{VIP}:80": expected} if serving or not withdraw else {}
    assert vips(lb, health=health) == kept


def test_what_ovn_checks_is_not_withdrawn():
    """Without the entry OVN would not check the members, and not find out that they are back."""
    lb = web(member(1), monitor=monitor())
    lb = dataclasses.replace(lb, flavor=model.Flavor(withdraw=True))
    backends = {("10.0.0.1", 80, "tcp"): HealthState.DOWN}
    assert vips(lb, health=Health(backends=backends)) == {f"{VIP}:80": "10.0.0.1:80"}


@pytest.mark.parametrize("changes", [{"enabled": False}, {"weight": 0}])
def test_withdrawn_without_any_check(changes):
    lb = web(member(1, **changes))
    assert vips(lb) == {f"{VIP}:80": ""}
    assert vips(dataclasses.replace(lb, flavor=model.Flavor(withdraw=True))) == {}


def test_ovn_checks_nothing():
    lb = web(member(1), member(2), monitor=monitor())
    mappings = {"10.0.0.1": "port1:10.0.0.9"}
    (row,) = render(lb, health=probed(m1="u", m2="u"), mappings=mappings)
    assert (row.health_checks, row.ip_port_mappings) == ((), {})
    (row,) = render(lb, health=dataclasses.replace(probed(m1="u"), probed=frozenset()))
    assert row.health_checks


def target(number, **changes):
    return Target(f"port{number}", probe(id=f"m{number}", **changes))


def rules(*targets):
    (group,) = access_control.wanted(web(), facts(targets=targets)).groups
    assert all(
        (acl.direction, acl.action, acl.priority) == ("to-lport", "allow-related", 3000)
        for acl in group.acls
    )
    prefix = f"outport == @{group.name} && "
    assert all(acl.match.startswith(prefix) for acl in group.acls)
    return group, [acl.match.removeprefix(prefix) for acl in group.acls]


def test_probes_are_let_in_and_nothing_else_is():
    group, matches = rules(
        target(1),
        target(2, port=8080, type=MonitorType.TCP),
        target(3, port=53, type=MonitorType.UDP_CONNECT),
        target(4, port=0, type=MonitorType.PING),
        target(5, source=SIX, address="fd00::5"),
        target(6, source=SIX, address="fd00::6", port=0, type=MonitorType.PING),
    )
    assert group.ports == {f"port{number}" for number in range(1, 7)}
    assert group.name == "octavia_lb_lb1_probes"
    four = f"eth.src == {SOURCE.mac} && ip4.src == {SOURCE.address.partition('/')[0]}"
    six = f"eth.src == {SIX.mac} && ip6.src == fd00::7"
    assert matches == [
        f"{four} && icmp4.type == 8",
        f"{four} && tcp.dst == {{80, 8080}}",
        f"{four} && udp.dst == {{53}}",
        f"{six} && icmp6.type == 128",
        f"{six} && tcp.dst == {{80}}",
    ]


def test_without_probes_nothing_is_let_in():
    assert access_control.wanted(web(), facts()) == access_control.Access()
