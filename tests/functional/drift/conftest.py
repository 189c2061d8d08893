# SPDX-License-Identifier: Apache-2.0
"""A cloud with load balancers."""

import pytest

from tests.functional.drift.world import World


@pytest.fixture(scope="package")
def world(make_lab):
    with make_lab(config={"ovn": {"sync_interval": "0", "pending_grace": "0"}}) as lab:
        yield World(lab)


@pytest.fixture
def healthy(world):
    """Load balancers that must not be touched."""
    lb_ids = [world.create(), world.create_two_protocols(), world.create(listeners=0, pools=0)]
    before = world.settle()
    kept = {row["_uuid"] for lb_id in lb_ids for row in world.rows(lb_id)}
    yield lb_ids
    now = world.settle()
    assert {uuid: now[uuid] for uuid in kept} == {uuid: before[uuid] for uuid in kept}
    for lb_id in lb_ids:
        world.lab.octavia.delete_load_balancer(lb_id, cascade=True)
