"""What happens to processes and services while requests run."""

import collections
import contextlib
import time


class Faults:
    """Kills and outages, each over when its method returns.

    :param random: the source of all chance
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
        )

    @property
    def kills(self):
        """How many processes were killed with SIGKILL."""
        return sum(count for name, count in self.counts.items() if name.startswith("kill"))

    def happen(self):
        """Let one thing happen."""
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
        with contextlib.closing(_Cut(tap, half_open=self._random.random() < 0.5)):
            self._while(0.1, 0.8)


class _Cut:
    """A connection that is refused, or one that stands still."""

    def __init__(self, tap, half_open):
        self._tap, self._half_open = tap, half_open
        (tap.stall if half_open else tap.down)()

    def close(self):
        (self._tap.resume if self._half_open else self._tap.up)()
