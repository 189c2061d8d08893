# SPDX-License-Identifier: Apache-2.0
"""The processes of the venv under test: octavia-api workers and the agent."""

import contextlib
import pathlib
import queue
import socket
import subprocess

from tests.lab.env import process_children, process_cpu, process_memory, stop_process
from tests.lab.errors import DriverError, WorkerDied
from tests.lab.inside import wire

INSIDE = pathlib.Path(__file__).parent / "inside"
PROVIDER = "ovn"
CALL_TIMEOUT = 3600


class Worker:
    """One octavia-api worker process; serves one request at a time."""

    def __init__(self, python, config_file, log_file, environment=None):
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [python, INSIDE / "driver_worker.py", str(theirs.fileno()), config_file, log_file],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=environment,
            )
        ours.settimeout(CALL_TIMEOUT)
        self._sock = ours
        self._waiting = False
        self.log_file = log_file

    @property
    def pid(self):
        return self._process.pid

    def request(self, command, **fields):
        """Return (result, seconds inside the worker); raise DriverError."""
        if self._waiting:
            raise RuntimeError("an earlier request was interrupted")
        self._waiting = True
        reply = self._exchange(dict(fields, command=command))
        self._waiting = False
        if reply is None:
            raise WorkerDied(f"worker died; see {self.log_file}")
        if "error" in reply:
            raise DriverError(**reply["error"])
        return wire.decode(reply.get("result")), reply["seconds"]

    def _exchange(self, message):
        """Return the reply, None from a dead process."""
        try:
            wire.send(self._sock, message)
            return wire.receive(self._sock)
        except (ConnectionError, ValueError):
            return None

    @property
    def is_alive(self):
        return self._process.poll() is None

    def kill(self):
        self._process.kill()
        self._process.wait()

    def stop(self):
        self._sock.close()
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            stop_process(self._process)


class Session:
    """The life of one driver instance: one API request."""

    def __init__(self, worker):
        self._worker = worker
        self.open_seconds = 0.0
        self.call_seconds = 0.0

    def open(self):
        _, self.open_seconds = self._worker.request("open", provider=PROVIDER)

    def call(self, method, *args, **kwargs):
        result, seconds = self._worker.request(
            "call", method=method, args=wire.encode(args), kwargs=kwargs
        )
        self.call_seconds += seconds
        return result

    def close(self):
        self._worker.request("close")


class WorkerPool:
    """W worker processes that share the API requests; one that dies is replaced."""

    def __init__(self, python, config_file, log_dir, count=1, environment=None):
        self._start = lambda number: Worker(
            python, config_file, log_dir / f"worker-{number}.log", environment
        )
        self.workers = [self._start(number) for number in range(count)]
        self._idle = queue.SimpleQueue()
        for worker in self.workers:
            self._idle.put(worker)

    @contextlib.contextmanager
    def session(self):
        """Lend an idle worker, with a fresh driver instance, to one request."""
        worker = self._alive(self._idle.get())
        try:
            session = Session(worker)
            session.open()
            try:
                yield session
            finally:
                if worker.is_alive:
                    session.close()
        finally:
            self._idle.put(worker)

    def _alive(self, worker):
        if worker.is_alive:
            return worker
        worker.stop()
        number = self.workers.index(worker)
        self.workers[number] = self._start(number)
        return self.workers[number]

    def cpu_seconds(self):
        return sum(process_cpu(worker.pid) for worker in self.workers)

    def memory(self):
        """Resident MiB of the largest worker."""
        return max(process_memory(worker.pid) for worker in self.workers)

    def stop(self):
        for worker in self.workers:
            worker.stop()


class Agent:
    """octavia-driver-agent with the provider agent in a forked child."""

    script = INSIDE / "driver_agent.py"

    def __init__(self, python, config_file, log_file, environment=None):
        self._process = subprocess.Popen(
            [python, self.script, PROVIDER, config_file, log_file],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
        )

    @property
    def pid(self):
        """Of the provider agent process; None before it exists."""
        children = self._children()
        return children[0] if children else None

    def memory(self):
        """Resident MiB of the provider agent process, 0 before it exists."""
        return sum(process_memory(child) for child in self._children())

    def cpu_seconds(self):
        return sum(process_cpu(child) for child in self._children())

    def _children(self):
        return process_children(self._process.pid)

    def stop(self):
        stop_process(self._process, timeout=70)
