"""The processes of the venv under test: octavia-api workers and the agent."""

import contextlib
import pathlib
import queue
import socket
import subprocess

from tests.lab.env import process_children, process_cpu, process_memory, stop_process
from tests.lab.errors import DriverError
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
        wire.send(self._sock, dict(fields, command=command))
        reply = wire.receive(self._sock)
        self._waiting = False
        if reply is None:
            raise RuntimeError(f"worker died; see {self.log_file}")
        if "error" in reply:
            raise DriverError(**reply["error"])
        return wire.decode(reply.get("result")), reply["seconds"]

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
    """W worker processes that share the API requests."""

    def __init__(self, python, config_file, log_dir, count=1, environment=None):
        self.workers = [
            Worker(python, config_file, log_dir / f"worker-{number}.log", environment)
            for number in range(count)
        ]
        self._idle = queue.SimpleQueue()
        for worker in self.workers:
            self._idle.put(worker)

    @contextlib.contextmanager
    def session(self):
        """Lend an idle worker, with a fresh driver instance, to one request."""
        worker = self._idle.get()
        try:
            session = Session(worker)
            session.open()
            try:
                yield session
            finally:
                session.close()
        finally:
            self._idle.put(worker)

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

    def __init__(self, python, config_file, log_file, environment=None):
        self._process = subprocess.Popen(
            [python, INSIDE / "driver_agent.py", PROVIDER, config_file, log_file],
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
