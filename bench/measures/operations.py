# SPDX-License-Identifier: Apache-2.0
"""Every operation by itself."""

from __future__ import annotations

from bench import floor
from bench.measures.base import ALGORITHM, MONITOR, PATIENCE, SETTLED, Figure, Measures
from tests.lab.harness import Lab
from tests.lab.octavia import Operation
from tests.lab.tenant import Tenant


class Operations(Measures):
    """One request after the other."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self._floor: floor.Floor | None = None

    def operations(self) -> list[Figure]:
        """Every operation by itself, once; before them what a bare transaction costs."""
        lab, octavia, tenant = self._lab, self._lab.octavia, self._tenant
        self._bare_transactions()
        before = lab.octavia.workers.cpu_seconds(), lab.agent.cpu_seconds()
        lb = self._run("LB create", octavia.create_load_balancer, tenant.subnet["id"])
        self._children(lb, tenant)
        lb = self._complete_lb(tenant)
        self._run("cascade delete, small", octavia.delete_load_balancer, lb.id, cascade=True)
        lb = self._run("populated create, 2x2x10", tenant.create_lb, 2, 2, 10)
        self._run("cascade delete, 2x2x10", octavia.delete_load_balancer, lb.id, cascade=True)
        self._quiesce(SETTLED)
        self._add("all of these: CPU, worker", (octavia.workers.cpu_seconds() - before[0]) * 1000)
        self._add("all of these: CPU, agent", (lab.agent.cpu_seconds() - before[1]) * 1000)
        return self._taken()

    def _children(self, lb: Operation, tenant: Tenant) -> None:
        octavia, run = self._lab.octavia, self._run
        tcp = {"protocol": "TCP"}
        listener = run("listener create", octavia.create_listener, lb.id, protocol_port=80, **tcp)
        pool = run(
            "pool create",
            octavia.create_pool,
            listener_id=listener.id,
            lb_algorithm=ALGORITHM,
            **tcp,
        )
        for number in range(2):
            member = run("member create", octavia.create_member, pool.id, **tenant.member(number))
        monitor = run("HM create", octavia.create_health_monitor, pool.id, **MONITOR)
        # Updating one is left out: the other driver leaves the listener in PENDING_UPDATE.
        run("HM delete", octavia.delete_health_monitor, monitor.id)
        run("member update", octavia.update_member, member.id, admin_state_up=False)
        run("listener update", octavia.update_listener, listener.id, admin_state_up=False)
        run("member delete", octavia.delete_member, member.id)
        run("pool update", octavia.update_pool, pool.id, admin_state_up=False)
        run("pool delete", octavia.delete_pool, pool.id)
        run("listener delete", octavia.delete_listener, listener.id)
        run("LB update", octavia.update_load_balancer, lb.id, admin_state_up=False)
        octavia.finish(octavia.delete_load_balancer(lb.id, cascade=True), PATIENCE)

    def _complete_lb(self, tenant: Tenant) -> Operation:
        """Make a load balancer with one of each."""
        octavia = self._lab.octavia
        lb = tenant.create_lb(listeners=1, pools=1, members=2)
        octavia.finish(lb, PATIENCE)
        pool = octavia.store.find("pools", load_balancer_id=lb.id)[0]
        octavia.finish(octavia.create_health_monitor(pool["id"], **MONITOR), PATIENCE)
        return lb

    def _bare_transactions(self) -> None:
        if self._floor is None:
            self._floor = floor.Floor(self._lab.env.nb, self._lab.run_dir)
        for metric, milliseconds in self._floor.measure(10):
            self._add(f"bare: {metric}", milliseconds)
