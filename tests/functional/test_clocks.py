# SPDX-License-Identifier: Apache-2.0
"""Hosts whose wall clocks are wrong: nothing depends on the time of day here."""

import pytest

from tests.functional.test_outages import CONFIG, is_well, new_tenant, serve
from tests.lab.env import wait_until
from tests.lab.mortal import CLOCKS


@pytest.mark.parametrize("hours", [-1.0, 1.0], ids=["behind", "ahead"])
def test_what_is_stuck_is_found_by_an_agent_whose_clock_is_wrong(make_lab, hours):
    with make_lab(config=CONFIG) as lab:
        for clock in CLOCKS:
            lab.step_clock(clock, hours * 3600)
        lb_id, pool_id = serve(lab, new_tenant(lab))
        # One that was killed does not tell again what is overwritten.
        killed = lab.agent.kill()
        assert wait_until(lambda: lab.agent.pid not in (None, killed), 10) is not None
        member = lab.octavia.store.find("members", pool_id=pool_id)[0]["id"]
        with lab.octavia.store.begin() as transaction:
            transaction.update("members", member, provisioning_status="PENDING_UPDATE")
            transaction.update("loadbalancers", lb_id, provisioning_status="ACTIVE")
        assert wait_until(lambda: not lab.octavia.stuck(), 30, 0.1) is not None
        is_well(lab, lb_id)
