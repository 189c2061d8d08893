# SPDX-License-Identifier: Apache-2.0
"""Health checks of the rows, and the addresses that members are checked from."""

import dataclasses

import pytest

from octavia_ovn.core import codec
from octavia_ovn.core.rows import HealthCheck
from tests.core.builders import (
    VIP,
    balancer,
    listener,
    member,
    monitor,
    pool,
    render,
    stored,
    vip,
    vips,
    web,
)
from tests.core.desired.lbs import FIP, ONE, V6

OPTIONS = {"interval": "5", "timeout": "3", "success_count": "4", "failure_count": "2"}


class TestChecks:
    def checks(self, lb, **given):
        return [check for each in render(lb, **given) for check in each.health_checks]

    def check(self, address, **fields):
        ids = {"octavia:healthmonitor": "hm1", "octavia:pool_id": "p1", "octavia:vip": address}
        return HealthCheck(codec.endpoint(address, 80), OPTIONS, ids, **fields)

    def test_one_for_each_vip_key(self):
        lb = balancer(
            [listener()],
            [pool(members=[member(1), member(7, address="fd00::7")], monitor=monitor())],
            vips=(vip(), vip(V6)),
        )

        found = self.checks(lb, floating_ips={VIP: FIP})

        assert found == [self.check(VIP), self.check(FIP), self.check(V6)]
        assert {each.vip for each in found} == vips(lb, floating_ips={VIP: FIP}).keys()

    @pytest.mark.parametrize(
        "lb",
        [
            web(member(1)),
            web(member(1), monitor=monitor(enabled=False)),
            web(monitor=monitor()),
            dataclasses.replace(web(member(1), monitor=monitor()), enabled=False),
        ],
        ids=["no monitor", "disabled monitor", "no member", "disabled load balancer"],
    )
    def test_none_without_something_to_check(self, lb):
        assert self.checks(lb) == []

    def test_a_check_pauses(self):
        lb = web(member(1), monitor=dataclasses.replace(monitor(), delay=0, timeout=0))

        (check,) = self.checks(lb)

        assert check.options["interval"] == check.options["timeout"] == "1"

    def test_none_without_an_address_to_check_from(self):
        lb = web(member(1), monitor=monitor())

        assert self.checks(lb, unchecked=frozenset({"hm1"})) == []
        assert vips(lb, unchecked=frozenset({"hm1"})) == {f"{VIP}:80": ONE}

    def test_continue_the_rows_that_are_there(self):
        lb = web(member(1), monitor=monitor())
        (before,) = stored(lb)

        (after,) = render(lb, [before], floating_ips={VIP: FIP})

        assert [(each.vip, each.uuid) for each in after.health_checks] == [
            (f"{VIP}:80", before.health_checks[0].uuid),
            (f"{FIP}:80", ""),
        ]


MAPPINGS = {"10.0.0.1": "port1:10.0.0.9", "fd00::7": "port7:[fd00::9]"}


class TestMappings:
    def mappings(self, lb):
        return [each.ip_port_mappings for each in render(lb, mappings=MAPPINGS)]

    def test_of_monitored_members_with_a_port(self):
        lb = web(member(1), member(2), member(7, address="fd00::7"), monitor=monitor())

        assert self.mappings(lb) == [{"10.0.0.1": "port1:10.0.0.9", "[fd00::7]": "port7:[fd00::9]"}]

    def test_not_of_others(self):
        assert self.mappings(web(member(1))) == [{}]

    def test_shared_by_pools(self):
        lb = balancer(
            pools=[pool(members=[member(1)]), pool("p2", [member(1, port=81)], monitor=monitor())]
        )

        assert self.mappings(lb) == [{"10.0.0.1": "port1:10.0.0.9"}]
