# SPDX-License-Identifier: Apache-2.0
"""What is shown of members that chassis check."""

import dataclasses

import pytest

from octavia_ovn.core import codec
from octavia_ovn.core.codec import keys as k
from octavia_ovn.core.desired import access_control
from octavia_ovn.core.diagnosis import reach
from octavia_ovn.core.diagnosis.acls import Acl
from octavia_ovn.core.diagnosis.findings import Severity
from octavia_ovn.core.health import Health, HealthState
from octavia_ovn.core.model import Flavor
from octavia_ovn.core.probing.plan import Target
from tests.core.builders import facts, stored
from tests.core.diagnosis.snapshots import (
    ATTACHED,
    CHECKED,
    LB,
    MAPPINGS,
    faults,
    snapshot,
    trace,
    with_ports,
    with_rows,
)
from tests.core.probing.examples import SOURCE, probe


def probed(one="ONLINE", two="ONLINE", lb=CHECKED):
    """A snapshot as it is read, of members with these operating statuses in Octavia."""
    meaning = {
        "ONLINE": HealthState.UP,
        "ERROR": HealthState.DOWN,
        "OFFLINE": HealthState.UNKNOWN,
        "NO_MONITOR": HealthState.UNCHECKED,
    }
    health = Health(members={"m1": meaning[one], "m2": meaning[two]}, probed=frozenset({"p1"}))
    statuses = {"m1": one, "m2": two}
    rows = stored(lb, attachments=ATTACHED, health=health, member_status=statuses)
    found = snapshot(lb, rows=rows)
    read = Health({}, reach.health_states(found), reach.probed_pools(found))
    assert read == health
    return dataclasses.replace(found, health=read)


def test_all_is_well():
    explanation = trace(probed())
    assert explanation.severity is Severity.OK
    assert "checked by octavia-ovn-chassis" in str(explanation.findings)


@pytest.mark.parametrize(
    ("two", "why"), [("ERROR", "fails its check"), ("OFFLINE", "is not checked yet")]
)
def test_a_member_that_does_not_serve(two, why):
    explanation = trace(probed(two=two))
    assert explanation.severity is Severity.WARNING
    assert why in str(explanation.findings)
    assert faults(explanation) == []


def test_the_rule_that_lets_probes_in_concerns_no_client():
    found = probed()
    source = dataclasses.replace(SOURCE, address="10.0.0.250/24")
    target = Target("one", probe(source=source))
    (group,) = access_control.wanted(CHECKED, facts(targets=[target])).groups
    ports = [
        dataclasses.replace(each, groups=each.groups | {group.name})
        for each in found.ports.values()
        if each.name in ("one", "two")
    ]
    rules = [
        Acl(group.name, each.direction, each.priority, each.match, each.action)
        for each in group.acls
    ]
    found = with_ports(dataclasses.replace(found, acls=(*found.acls, *rules)), *ports)
    assert trace(found).severity is Severity.OK


def test_a_member_that_cannot_be_checked_serves():
    assert trace(probed(two="NO_MONITOR")).severity is Severity.OK


def test_when_all_have_failed_none_serves():
    (fault, *_) = faults(trace(probed("ERROR", "ERROR")))
    assert "fails its check" in fault.sentence


def test_what_ovn_checks_is_not_called_probed():
    by_ovn = snapshot(CHECKED, mappings=MAPPINGS)
    assert reach.probed_pools(by_ovn) == frozenset()
    assert reach.probed_pools(with_rows(by_ovn, health_checks=())) == frozenset()
    assert reach.probed_pools(with_rows(by_ovn, ip_port_mappings={})) == frozenset()
    assert reach.probed_pools(snapshot(LB)) == frozenset()
    nothing = snapshot(CHECKED, intent=None, octavia=None)
    assert reach.probed_pools(nothing) == frozenset()
    assert reach.health_states(nothing) == {}


def test_rows_that_cannot_be_read_say_nothing_of_health():
    found = dataclasses.replace(probed("ERROR"), intent=None)
    broken = with_rows(found, external_ids={k.VIP: "nonsense"})
    with pytest.raises(codec.Undecodable):
        codec.decode(broken.rows)
    assert reach.health_states(broken)["m1"] is HealthState.UNKNOWN


def test_a_member_that_says_weight_0():
    found = probed()
    health = dataclasses.replace(found.health, weights={"m2": 0})
    explanation = trace(dataclasses.replace(found, health=health))
    assert "says that its weight is 0" in str(explanation.findings)


def test_when_all_have_failed_all_serve_if_the_flavor_says_so():
    lb = dataclasses.replace(CHECKED, flavor=Flavor(fail_open=True))
    explanation = trace(probed("ERROR", "ERROR", lb=lb))
    assert "All members may serve (2)" in str(explanation.findings)
    assert all("DOWN according to its health monitor" in str(each) for each in faults(explanation))
