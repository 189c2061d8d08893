# SPDX-License-Identifier: Apache-2.0
"""A laboratory whose processes are killed with SIGKILL, and come back."""

import contextlib
import functools
import json
import os
import signal
import threading

from tests.lab import env, ovsdb
from tests.lab.harness import Lab
from tests.lab.httpd import HttpServer
from tests.lab.inside import wall_clock
from tests.lab.neutron_api import Application
from tests.lab.ovsdb import OvsdbError
from tests.lab.tap import OvsdbTap
from tests.lab.workers import INSIDE, Agent

# Of a lab that kills, so that no test waits for the defaults of production.
CONFIG = {
    "ovn": {
        "ovsdb_connection_timeout": "10",
        "ovsdb_probe_interval": "2000",
        "ovsdb_retry_max_interval": "1",
        "retry_max_interval": "2",
    }
}

CLOCKS = ("agent", "worker")


class Client(ovsdb.OvsdbClient):
    """Connects again to a server that was restarted.

    Only for a server that is killed while the lab writes nothing: a transaction is done again
    when its answer was lost.
    """

    def __init__(self, server):
        self._path = server.socket
        super().__init__(server.socket, server.database)

    def _call(self, method, params):
        try:
            return super()._call(method, params)
        except (OSError, OvsdbError) as error:
            if isinstance(error, OvsdbError) and "closed" not in str(error):
                raise
        fresh = ovsdb.OvsdbClient(self._path, self.database)
        with self._lock:
            self._sock.close()
            self._sock, self._reader = fresh._sock, fresh._reader
        return super()._call(method, params)


class MortalAgent(Agent):
    """octavia-driver-agent; `respawn` makes it start a killed provider agent again at once."""

    script = INSIDE / "immortal_agent.py"

    def __init__(self, python, config_file, log_file, environment=None):
        self.log_file = log_file
        super().__init__(python, config_file, log_file, environment)

    @property
    def is_alive(self):
        """Whether octavia-driver-agent runs."""
        return self._process.poll() is None

    def _children(self):
        try:
            return super()._children()
        except (FileNotFoundError, ProcessLookupError):
            return []

    def kill(self):
        """Kill the provider agent; return its pid, None when there is none just now."""
        pid = self.pid
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return pid

    def kill_parent(self):
        """Kill octavia-driver-agent itself."""
        self._process.kill()
        self._process.wait()

    def kill_all(self):
        """Kill both at the same time, as a power failure does."""
        os.kill(self._process.pid, signal.SIGSTOP)
        self.kill()
        self.kill_parent()


class Points:
    """The points between two writes of a process; at one of them it is killed.

    A point is a description and the how manieth of that description it is: threads of the process
    pass theirs in an order that differs between runs.

    :param kill: kills it, and returns when it is dead
    """

    def __init__(self, kill):
        self._kill = kill
        self._lock = threading.Lock()
        self._spared = None
        self.passed = []
        self.hit = None

    def arm(self, spared):
        """Kill at the first point from now on that is not among these; None for at none."""
        with self._lock:
            self._spared, self.passed, self.hit = spared, [], None

    def reach(self, what):
        """Pass a point; at the chosen one raise ConnectionError, for the peer is dead then."""
        with self._lock:
            point = what, sum(what == each for each, _ in self.passed)
            self.passed.append(point)
            if self._spared is None or self.hit or point in self._spared:
                return
            self.hit = point
            self._kill()
        raise ConnectionResetError(what)


class PointedTap(OvsdbTap):
    """A tap that reports each transaction that writes, before and after it."""

    def __init__(self, path, server, points):
        super().__init__(path, server)
        self._points = points

    def _request(self, message, asked):
        super()._request(message, asked)
        if json.dumps(message.get("id")) in asked and "method" in message:
            self._points.reach("before the commit")

    def _reply(self, message, asked):
        writes = json.dumps(message.get("id")) in asked and "method" not in message
        super()._reply(message, asked)
        if writes:
            self._points.reach("after the commit")


class MortalLab(Lab):
    """A laboratory that outlives its processes.

    The agent reaches Neutron at an address of its own, so that its requests can be distinguished
    from those of the API's workers.
    """

    def __init__(self, *args, **options):
        config = {section: dict(values) for section, values in CONFIG.items()}
        for section, values in options.pop("config", {}).items():
            config.setdefault(section, {}).update(values)
        super().__init__(*args, config=config, **{"taps": True} | options)
        self.agent_neutron = None
        self.agent_points = Points(self._kill_agent)
        self.worker_points = Points(self._kill_workers)

    def __enter__(self):
        super().__enter__()
        self.octavia.driver_listener.telling = self.agent_points.reach
        self._watch(self.neutron.http, self.worker_points)
        self._watch(self.agent_neutron, self.agent_points)
        return self

    @staticmethod
    def _watch(http, points):
        """Watch requests that change something: a read leaves all as it was."""

        def reach(when, what):
            if not what.startswith("GET"):
                points.reach(f"{when} {what}")

        http.around(functools.partial(reach, "before"), functools.partial(reach, "after"))

    def _tap(self, name, server):
        points = self.worker_points if name == "worker" else self.agent_points
        return PointedTap(self.env.directory / f"{name}-tap.sock", server.socket, points)

    def _kill_agent(self):
        """Kill the provider agent, and see it dead."""
        pid = self.agent.kill()
        env.wait_until(lambda: self.agent.pid != pid, 5, 0.001)

    def _kill_workers(self):
        for worker in self.octavia.workers.workers:
            worker.kill()

    def _write_config(self, name, nb):
        url = self.neutron.http.url
        if name == "agent.conf":
            self.agent_neutron = HttpServer(Application(self.neutron))
            self.agent_neutron.start()
            url = self.agent_neutron.url
        return self.env.write_config(
            name, nb.remote, self.keystone.auth_options(), url, self._config
        )

    def __exit__(self, *exc_info):
        super().__exit__(*exc_info)
        self.agent_neutron.stop()

    @staticmethod
    def _connect(stack, server):
        return stack.enter_context(contextlib.closing(Client(server)))

    def _environment(self):
        for name in CLOCKS:
            if not (self.env.directory / f"{name}.clock").exists():
                self.step_clock(name, 0.0)
        return super()._environment() | {"LAB_CLOCKS": str(self.env.directory)}

    def step_clock(self, name, seconds):
        """Set the wall clock of the agent or of the workers that far from the right time."""
        wall_clock.step(self.env.directory, name, seconds)

    def start_agent(self):
        self.agent = self.new_agent()

    def new_agent(self, config=None):
        """Start one more octavia-driver-agent."""
        number = len(list(self.env.directory.glob("agent*.log")))
        log = self.env.directory / f"agent{number or ''}.log"
        log.touch()
        return MortalAgent(self.python, config or self.agent_config, log, self._environment())

    def agent_log(self):
        """What all agents have logged."""
        logs = sorted(self.env.directory.glob("agent*.log"))
        return "".join(log.read_text(encoding="utf-8") for log in logs)

    def restart_nb(self):
        """Kill the northbound database's server, and start it again."""
        # The holder of this lock may be writing for Neutron, which has a journal for that.
        with self.neutron.locked():
            self.env.nb.kill()
            self.env.nb.start()

    def kill_worker(self, number):
        """Kill a worker of the API; the next request that needs it starts another."""
        self.octavia.workers.workers[number].kill()

    def waited_for(self):
        """The load balancers whose rows say that Octavia waits for them."""
        rows = self.nb.select("Load_Balancer", columns=["name", "external_ids"])
        return {row["name"] for row in rows if "octavia:pending" in row["external_ids"]}

    def settle(self, timeout=20):
        """Wait until nothing is pending; return whether that came true."""
        return (
            env.wait_until(
                lambda: not self.octavia.stuck() and not self.waited_for(), timeout, 0.02
            )
            is not None
        )
