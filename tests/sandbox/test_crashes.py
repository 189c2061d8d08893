# SPDX-License-Identifier: Apache-2.0
"""Processes are killed in the middle: what was accepted still ends."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from sandbox import octavia

if TYPE_CHECKING:
    from tests.sandbox.scenery import Scenery


def test_the_provider_agent_is_killed_before_it_realises(scenery: Scenery) -> None:
    lb = scenery.load_balancer()
    agent = octavia.provider_agent_pid(scenery.stack.supervisor)
    os.kill(agent, signal.SIGSTOP)  # The request is accepted, and nobody acts on it.
    scenery.listener(lb, wait=False)
    assert scenery.statuses(lb)["provisioning_status"] == "PENDING_UPDATE"

    os.kill(agent, signal.SIGKILL)
    scenery.stack.stop(octavia.DRIVER_AGENT)
    scenery.stack.start(octavia.DRIVER_AGENT)

    assert scenery.cloud.wait_for(lb["id"])["provisioning_status"] == "ACTIVE"


def test_the_api_workers_are_killed_after_the_answer(scenery: Scenery) -> None:
    lb = scenery.load_balancer()
    workers = scenery.stack.supervisor.pids(octavia.API)[1:]
    scenery.listener(lb, wait=False)

    for worker in workers:
        os.kill(worker, signal.SIGKILL)

    assert scenery.cloud.wait_for(lb["id"])["provisioning_status"] == "ACTIVE"
