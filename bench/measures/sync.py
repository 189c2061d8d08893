# SPDX-License-Identifier: Apache-2.0
"""Comparing with Octavia."""

from __future__ import annotations

import os
import subprocess
import time

from bench.measures.base import SETTLED, Figure, Measures, read_commits


class Sync(Measures):
    """Have the driver compare what is right."""

    def check(self) -> list[Figure]:
        """Have the command of this driver compare load balancers that are right."""
        lab, name = self._lab, "octavia-ovn check of LBs that are right"
        self._quiesce(SETTLED)
        lab.nb_log.skip()
        questions = lab.octavia.driver_listener.questions
        command = [lab.python, "-m", "octavia_ovn.cli", "check", "--config-file", lab.worker_config]
        start = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        self._add(name, time.monotonic() - start, "s")
        self._add(f"{name}: exit status", os.waitstatus_to_exitcode(status), "n")
        self._add(f"{name}: its CPU", used.ru_utime + used.ru_stime, "s")
        questions = lab.octavia.driver_listener.questions - questions
        self._add(f"{name}: questions to the get socket", questions, "n")
        self._add(f"{name}: NB transactions", len(read_commits(lab)), "n")
        return self._taken()

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
