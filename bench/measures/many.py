# SPDX-License-Identifier: Apache-2.0
"""Many members or load balancers at once."""

from __future__ import annotations

import concurrent.futures
import time
from collections.abc import Iterator

from bench.measures.base import ALGORITHM, LONG_PATIENCE, MONITOR, PATIENCE, Figure, Measures
from tests.lab.errors import ApiError
from tests.lab.tenant import Tenant


class Many(Measures):
    """Large requests, and several clients."""

    def batch(self, count: int) -> list[Figure]:
        """Set all members of a pool in one request."""
        lab, tenant = self._lab, self._warm_tenant("batch")
        tenant.vm(count)
        lb = tenant.create_lb(listeners=1, pools=1)
        lab.octavia.wait_active(lb.id, LONG_PATIENCE)
        pool = lab.octavia.store.find("pools", load_balancer_id=lb.id)[0]
        members = [tenant.member(number) for number in range(count)]
        self._run(
            f"batch of {count} members",
            lab.octavia.batch_update_members,
            pool["id"],
            members,
            patience=LONG_PATIENCE,
        )
        return self._taken()

    def populated(self, listeners: int, members: int) -> list[Figure]:
        """Create a load balancer with all that belongs to it in one request."""
        tenant = self._warm_tenant("populated")
        name = f"populated create, {listeners}x{listeners}x{members}"
        self._run(name, tenant.create_lb, listeners, listeners, members, patience=LONG_PATIENCE)
        return self._taken()

    def throughput(self, lbs: int) -> list[Figure]:
        """Have 4 clients build load balancers step by step."""
        tenant = self._warm_tenant("throughput")
        tenant.vm(2)
        start = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(4) as clients:
            builds = clients.map(lambda _: list(self._build(tenant)), range(lbs))
            outcomes = [outcome for build in builds for outcome in build]
        seconds = time.monotonic() - start
        self._add("operations of 4 clients, 2 workers", outcomes.count("done") / seconds, "1/s")
        for failure in ("timed out", "refused"):
            self._add(f"operations of 4 clients, {failure}", outcomes.count(failure), "n")
        return self._taken()

    def _build(self, tenant: Tenant) -> Iterator[str]:
        """Build one load balancer; yield the outcome of each operation."""
        octavia, ids = self._lab.octavia, {}
        tcp = {"protocol": "TCP"}
        for name, call in (
            ("lb", lambda: octavia.create_load_balancer(tenant.subnet["id"])),
            ("listener", lambda: octavia.create_listener(ids["lb"], protocol_port=80, **tcp)),
            (
                "pool",
                lambda: octavia.create_pool(
                    listener_id=ids["listener"], lb_algorithm=ALGORITHM, **tcp
                ),
            ),
            ("member", lambda: octavia.create_member(ids["pool"], **tenant.member(0))),
            ("member", lambda: octavia.create_member(ids["pool"], **tenant.member(1))),
            ("monitor", lambda: octavia.create_health_monitor(ids["pool"], **MONITOR)),
        ):
            try:
                operation = call()
            except ApiError:
                yield "refused"
                return
            ids[name] = operation.id
            if octavia.finish(operation, PATIENCE) is None:
                yield "timed out"
                return
            yield "done"
