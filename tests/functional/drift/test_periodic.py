# SPDX-License-Identifier: Apache-2.0
"""What the agent compares and repairs by itself: rows, statuses, orphans and ports."""

from tests.functional.drift.world import PATIENCE, World
from tests.lab.env import wait_until


def test_the_agent_repairs_by_itself(make_lab):
    options = {"sync_interval": "1", "pending_grace": "1"}
    with make_lab(config={"ovn": options}) as lab:
        own = World(lab)
        kept, missing, stuck, orphan = (own.create() for _ in range(4))
        own.settle()
        looks = {lb_id: own.looks(lb_id) for lb_id in (missing, stuck)}
        versions = {row["_uuid"]: row["_version"] for row in own.rows(kept)}
        unused = lab.neutron.create_port(
            own.tenant.network["id"], name="ovn-lb-vip-gone", device_id="lb-gone"
        )
        source = lab.neutron.create_port(
            own.tenant.network["id"],
            name=f"ovn-lb-hm-{own.tenant.subnet['id']}",
            device_id=f"ovn-lb-hm-{own.tenant.subnet['id']}",
            device_owner="ovn-lb-hm:distributed",
        )
        theirs = lab.neutron.create_port(own.tenant.network["id"], name="ovn-lb-vip-theirs")
        own.forget(orphan)
        own.wipe(missing)
        own.wipe(stuck)
        own.set_status("PENDING_CREATE", stuck)
        lab.octavia.wait_active(stuck, PATIENCE)
        for lb_id, wanted in looks.items():
            assert wait_until(lambda i=lb_id, w=wanted: own.looks(i) == w, PATIENCE) is not None
        assert wait_until(lambda: not own.rows(orphan), PATIENCE) is not None
        gone = {unused["id"], source["id"]}
        assert wait_until(lambda: gone.isdisjoint(lab.neutron.ports), PATIENCE) is not None
        assert theirs["id"] in lab.neutron.ports
        own.settle()
        assert {row["_uuid"]: row["_version"] for row in own.rows(kept)} == versions
        log = (lab.env.directory / "agent.log").read_text()
        assert f"Load balancer {missing} was missing" in log
