# SPDX-License-Identifier: Apache-2.0
"""Comparing with Octavia."""

from __future__ import annotations

import time

from bench.measures.base import SETTLED, Figure, Measures, read_commits


class Sync(Measures):
    """Have the driver compare what is right."""

    def sync(self, lbs: int) -> list[Figure]:
        """Have the driver compare load balancers that are right with Octavia."""
        lab, tenant = self._lab, self._warm_tenant("sync")
        existing = len(lab.octavia.store.find("loadbalancers"))
        tenant.create_lbs(lbs - existing, listeners=1, pools=1, members=2)
        self._quiesce(SETTLED)
        lab.nb_log.skip()
        requests = lab.neutron.http.request_count()
        with lab.octavia.workers.session() as session:
            start = time.monotonic()
            session.call("do_sync", provider="ovn")
            seconds = time.monotonic() - start
        self._quiesce()
        self._add("sync of LBs that are right: each", seconds * 1000 / lbs)
        self._add("sync of LBs that are right: all", seconds, "s")
        self._add("sync of LBs that are right: LBs", lbs, "n")
        self._add("sync of LBs that are right: NB transactions", len(read_commits(lab)), "n")
        self._add(
            "sync of LBs that are right: Neutron requests",
            lab.neutron.http.request_count() - requests,
            "n",
        )
        return self._taken()
