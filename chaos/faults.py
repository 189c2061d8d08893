# SPDX-License-Identifier: Apache-2.0
"""Faults of processes, services, networks and clocks while requests run."""

import collections
import contextlib
import time

from tests.lab.mortal import CLOCKS

STEP = 3600.0  # seconds that a wall clock is wrong by, at most


class Faults:
    """Kills and outages; each has ended when its method returns.

    :param lab: a MortalLab
    :param random: chooses faults and their durations
    """

    def __init__(self, lab, random):
        self._lab = lab
        self._random = random
        self.counts = collections.Counter()
        self._choices = (
            [self.kill_agent] * 6
            + [self.kill_worker] * 3
            + [self.kill_driver_agent, self.kill_database]
            + [self.neutron_fails, self.neutron_hangs, self.sockets_vanish]
            + [self.api_loses_database, self.agent_loses_database]
            + [self.clock_is_stepped] * 2
        )

    @property
    def kills(self):
        """How many processes were killed with SIGKILL."""
        return sum(count for name, count in self.counts.items() if name.startswith("kill"))

    def happen(self):
        """Cause one random fault."""
        fault = self._random.choice(self._choices)
        fault()
        self.counts[fault.__name__] += 1

    def _while(self, shortest, longest):
        time.sleep(self._random.uniform(shortest, longest))

    def kill_agent(self):
        self._lab.agent.kill()

    def kill_worker(self):
        workers = self._lab.octavia.workers.workers
        self._lab.kill_worker(self._random.randrange(len(workers)))

    def kill_driver_agent(self):
        self._lab.octavia.driver_listener.stop()
        self._lab.agent.kill_parent()
        self._lab.octavia.driver_listener.start()
        self._lab.start_agent()

    def kill_database(self):
        self._lab.restart_nb()

    def neutron_fails(self):
        self._inject(status=503)

    def neutron_hangs(self):
        self._inject(latency=3.0, status=504)

    def _inject(self, **fault):
        servers = (self._lab.neutron.http, self._lab.agent_neutron)
        faults = [(server, server.inject(**fault)) for server in servers]
        self._while(0.2, 1.0)
        for server, injected in faults:
            server.heal(injected)

    def sockets_vanish(self):
        self._lab.octavia.driver_listener.stop()
        self._while(0.2, 1.5)
        self._lab.octavia.driver_listener.start()

    def api_loses_database(self):
        self._cut(self._lab.worker_tap)

    def agent_loses_database(self):
        self._cut(self._lab.agent_tap)

    def _cut(self, tap):
        with contextlib.closing(self._broken(tap)):
            self._while(0.1, 0.8)

    def _broken(self, tap):
        return _Cut(tap, half_open=self._random.random() < 0.5)

    def clock_is_stepped(self):
        self._lab.step_clock(self._random.choice(CLOCKS), self._random.uniform(-STEP, STEP))


class ClusterFaults(Faults):
    """Those, and the faults of a northbound database of three servers.

    :param lab: a ClusterLab
    """

    def __init__(self, lab, random):
        super().__init__(lab, random)
        self._choices += (
            [self.server_is_unreachable] * 3
            + [self.follower_is_stale] * 2
            + [self.leader_is_isolated, self.leader_is_paused]
        )

    def kill_database(self):
        self._lab.restart_member(self._random.choice(self._lab.cluster.servers))

    def server_is_unreachable(self):
        """The network between one client and one server fails."""
        taps = self._random.choice((self._lab.agent_tap, self._lab.worker_tap))
        with contextlib.closing(self._broken(self._random.choice(taps.taps))):
            self._while(0.5, 5.0)

    def follower_is_stale(self):
        self._only(self._random.choice(self._lab.cluster.followers()), self._lab.isolated)

    def leader_is_isolated(self):
        self._only(self._lab.cluster.leader(), self._lab.isolated)

    def leader_is_paused(self):
        self._only(self._lab.cluster.leader(), self._lab.paused)

    def _only(self, member, separated):
        """Separate a member that is the only one a client reaches, also for a moment afterwards."""
        taps = self._random.choice((self._lab.agent_tap, self._lab.worker_tap))
        kept = self._lab.tap_of(taps, member)
        with contextlib.ExitStack() as cuts:
            for tap in taps.taps:
                if tap is not kept:
                    cuts.enter_context(contextlib.closing(self._broken(tap)))
            with separated(member):
                self._while(0.5, 4.0)
            self._while(0.0, 1.0)


class _Cut:
    """A tap whose connections are refused, or stay open and silent."""

    def __init__(self, tap, half_open):
        self._tap, self._half_open = tap, half_open
        (tap.stall if half_open else tap.down)()

    def close(self):
        (self._tap.resume if self._half_open else self._tap.up)()
