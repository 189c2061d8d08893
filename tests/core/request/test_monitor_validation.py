# SPDX-License-Identifier: Apache-2.0
"""What a change may ask of health checks, given the load balancer that it is about."""

import dataclasses
import re

import pytest

from octavia_ovn.core import model
from octavia_ovn.core.request import changes, limits, validation
from tests.core.builders import VIP, balancer, member, monitor, pool
from tests.core.request.validating import HOMELESS, LB, complete, put, whole

UDP_MONITOR = monitor("UDP-CONNECT")
# What Octavia allows and can be made by OVN, or by a program on each chassis.
ALLOWED = {
    "TCP": {"TCP", "HTTP", "HTTPS", "TLS-HELLO", "PING"},
    "UDP": {"UDP-CONNECT", "TCP", "HTTP", "PING"},
    "SCTP": set(),
}
TYPES = [(kind.value, protocol) for kind in model.MonitorType for protocol in ALLOWED]


class TestMonitors:
    @pytest.mark.parametrize(("kind", "protocol"), TYPES)
    def test_fit_or_not(self, kind, protocol):
        lb = balancer(pools=[pool(protocol=model.Protocol[protocol])])
        change = changes.PutMonitor("p1", monitor(kind))

        if kind in ALLOWED[protocol]:
            assert complete(change, lb) == change
        else:
            with pytest.raises(limits.Unsupported, match=f"{protocol} pool by {kind}\\.$"):
                complete(change, lb)

    def test_do_not_fit_in_a_whole_load_balancer(self):
        with pytest.raises(limits.Unsupported, match="TCP pool by UDP-CONNECT"):
            complete(whole(monitor=UDP_MONITOR))

    def test_of_an_http_pool_are_refused_by_the_name_that_users_know(self):
        lb = balancer(pools=[pool(application=model.Application.HTTP)])

        with pytest.raises(limits.Unsupported, match="HTTP pool by UDP-CONNECT"):
            complete(changes.PutMonitor("p1", UDP_MONITOR), lb)

    def test_of_an_unknown_pool_are_not_validated(self):
        change = changes.PutMonitor("p9", UDP_MONITOR)

        assert complete(change) == change


CHECKED = {"monitor_port": 8080}, {"monitor_address": "10.0.0.9"}


class TestProbes:
    """Checks that OVN does not make itself, if they are new."""

    @pytest.mark.parametrize(
        ("kind", "protocol"), [each for each in TYPES if each[0] in ALLOWED[each[1]]]
    )
    def test_are_needed_for_most_types(self, kind, protocol):
        bare = pool(protocol=model.Protocol[protocol])
        watched = dataclasses.replace(bare, monitor=monitor(kind))
        by_ovn = (kind, protocol) in {("TCP", "TCP"), ("UDP-CONNECT", "UDP")}
        for change, lb in (
            (changes.PutMonitor("p1", monitor(kind)), balancer(pools=[bare])),
            (changes.CreateLoadBalancer(balancer(pools=[watched])), None),
        ):
            why = validation.needs_probes(change, lb)
            assert (why is None) is by_ovn
            assert by_ovn or re.search(rf"by {kind}; .*\[ovn_health\] enabled\.$", str(why))

    @pytest.mark.parametrize("protocol", ["TCP", "UDP", "SCTP"])
    def test_help_not_with_a_type_that_is_refused_anyway(self, protocol):
        for kind in {each.value for each in model.MonitorType} - ALLOWED[protocol]:
            lb = balancer(pools=[pool(protocol=model.Protocol[protocol])])

            assert validation.needs_probes(changes.PutMonitor("p1", monitor(kind)), lb) is None

    @pytest.mark.parametrize("fields", CHECKED)
    @pytest.mark.parametrize("known", [True, False])
    def test_are_needed_where_members_are_checked_elsewhere(self, fields, known):
        lb = balancer(pools=[pool(members=[member(1)] if known else [])])
        given = member(1, **fields)
        for change in (put(given), changes.ReplaceMembers("p1", (given,)), whole(given)):
            why = validation.needs_probes(change, lb)
            assert str(why).startswith(f"{next(iter(fields))}: OVN checks members at the ")
            assert str(why).endswith("if the operator sets [ovn_health] enabled.")

    @pytest.mark.parametrize("fields", CHECKED)
    def test_are_not_needed_to_change_anything_else(self, fields):
        before = member(1, **fields)
        lb = balancer(pools=[pool(members=[before], monitor=monitor("HTTP"))])
        for change in (
            put(dataclasses.replace(before, weight=7)),
            changes.ReplaceMembers("p1", (dataclasses.replace(before, weight=7), member(2))),
            put(member(1)),
            changes.PutMonitor("p1", monitor("HTTP", url_path="/new", enabled=False)),
            changes.PutMonitor("p1", monitor()),
            changes.DeleteMember("p1", "m1"),
            changes.DeleteMonitor("p1", "hm1"),
            changes.Restore(lb),
        ):
            assert validation.needs_probes(change, lb) is None

    def test_are_needed_for_another_monitor_in_place_of_one(self):
        lb = balancer(pools=[pool(monitor=monitor("HTTP"))])
        other = dataclasses.replace(monitor("HTTP"), id="hm2")

        assert validation.needs_probes(changes.PutMonitor("p1", other), lb)

    def test_are_not_known_of_what_the_rows_have_lost(self):
        with pytest.raises(changes.UnknownObject):
            validation.needs_probes(changes.PutMonitor("p9", monitor("HTTP")), LB)


class TestMonitorAddress:
    """The address that is checked instead of the member's own."""

    @pytest.mark.parametrize(
        ("address", "sentence"),
        [
            ("10.2.0.9", r"^monitor_address: 10\.2\.0\.9 is not in 10\.0\.0\.0/24, .*subnet sub1"),
            ("10.0.0.255", r"^monitor_address: 10\.0\.0\.255 is the broadcast address"),
            ("127.0.0.1", r"^127\.0\.0\.1 is a loopback address"),
            ("169.254.169.254", r"^169\.254\.169\.254 is a link-local address"),
            ("fd00::9", r"^a VIP of another IP version"),
            (VIP, "is a VIP of this load balancer"),
        ],
    )
    def test_is_refused_where_no_check_would_reach_it(self, address, sentence):
        given = member(7, monitor_address=address)
        for change in (put(given), changes.ReplaceMembers("p1", (member(1), given)), whole(given)):
            with pytest.raises(limits.Unsupported, match=sentence):
                complete(change)

    def test_of_a_known_member_is_refused_if_it_is_new(self):
        with pytest.raises(limits.Unsupported, match=r"10\.2\.0\.9 is not in 10\.0\.0\.0/24"):
            complete(put(member(1, monitor_address="10.2.0.9")))

    def test_that_is_there_does_not_block_other_changes(self):
        lb = dataclasses.replace(LB, pools=(pool(members=[member(1, monitor_address="10.2.0.9")]),))
        change = put(member(1, monitor_address="10.2.0.9", weight=3))

        assert complete(change, lb) == change

    @pytest.mark.parametrize("fields", [{}, HOMELESS, {"subnet_id": "sub9"}])
    def test_is_accepted_in_the_members_subnet_or_where_it_is_not_known(self, fields):
        change = put(member(7, monitor_address="10.0.0.9", **fields))

        assert complete(change).member.monitor_address == "10.0.0.9"

    def test_of_a_member_without_a_subnet_is_accepted(self):
        lb = dataclasses.replace(
            LB, pools=(pool(members=[member(1, address="10.9.0.7", **HOMELESS)]),)
        )
        change = put(member(1, address="10.9.0.7", monitor_address="10.9.0.8", **HOMELESS))

        assert complete(change, lb) == change
