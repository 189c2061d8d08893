# SPDX-License-Identifier: Apache-2.0
"""Notifications for billing of a real octavia-driver-agent, in its log (driver `log`)."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from sandbox.octavia import DRIVER_AGENT
from tests.sandbox.waiting import until

if TYPE_CHECKING:
    from sandbox.api import Json
    from sandbox.stack import Stack
    from tests.sandbox.scenery import Scenery

_LINE = re.compile(r"oslo\.messaging\.notification\.octavia\.loadbalancer\S* .*?(\{.*\})")


def _sent(stack: Stack, lb: Json) -> list[Json]:
    """Return the notifications about a load balancer."""
    text = stack.supervisor.log_file(DRIVER_AGENT).read_text(encoding="utf-8", errors="replace")
    found = (json.loads(each) for each in _LINE.findall(text))
    return [each for each in found if each["payload"]["loadbalancer_id"] == lb["id"]]


def test_a_load_balancer_is_billed_from_its_creation_to_its_end(scenery: Scenery) -> None:
    lb = scenery.load_balancer(description="billed")
    until(lambda: len(_sent(scenery.stack, lb)) == 1)
    scenery.listener(lb)
    body = {"loadbalancer": {"name": "renamed"}}
    scenery.cloud.octavia("PUT", f"/loadbalancers/{lb['id']}", body)
    scenery.cloud.wait_for(lb["id"])
    until(lambda: len(_sent(scenery.stack, lb)) == 2)
    scenery.delete_load_balancers()
    until(lambda: len(_sent(scenery.stack, lb)) == 3)

    sent = _sent(scenery.stack, lb)
    assert [each["event_type"].split(".")[2] for each in sent] == ["create", "update", "delete"]
    assert {each["priority"] for each in sent} == {"INFO"}
    created, updated, deleted = (each["payload"] for each in sent)
    for name in ("project_id", "vip_address", "vip_port_id", "vip_subnet_id", "description"):
        assert created[name] == deleted[name] == lb[name]
    assert (created["name"], updated["name"], deleted["name"]) == ("test", "renamed", "renamed")
