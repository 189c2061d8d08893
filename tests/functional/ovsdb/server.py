# SPDX-License-Identifier: Apache-2.0
"""Real ovsdb-servers for tests: standalone or a RAFT cluster, over unix, TCP and TLS."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from octavia_ovn.adapters.ovsdb.endpoint import Endpoint, Tls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from typing_extensions import Self

SCHEMA = Path(os.environ.get("OVN_PREFIX") or "/usr") / "share/ovn/ovn-nb.ovsschema"
DATABASE = "OVN_Northbound"
_SERVERS_PORTS = range(20_000, 32_768)


def wait_for(condition: Callable[[], object], timeout: float = 10.0) -> None:
    """Wait until the condition is true; fail the test after some seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.02)


def free_ports(count: int) -> list[int]:
    """Return TCP ports that are free now, for IPv4 on the loopback interface.

    Linux gives none of these to a client (net.ipv4.ip_local_port_range), so that they stay free.
    """
    found: list[int] = []
    for port in random.sample(_SERVERS_PORTS, len(_SERVERS_PORTS)):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            found.append(port)
        if len(found) == count:
            break
    return found


class Server:
    """One ovsdb-server process; a context manager that starts it and kills it at the end."""

    def __init__(
        self,
        directory: Path,
        remotes: Sequence[str] = (),
        tls: Tls | None = None,
        schema: Path = SCHEMA,
    ):
        self.directory = directory
        self.schema = schema
        self.socket = directory / "db.sock"
        self.log = directory / "server.log"
        self.db = directory / "nb.db"
        self._remotes = [f"punix:{self.socket}", *remotes]
        self._tls = tls
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def unix(self) -> str:
        return f"unix:{self.socket}"

    def __enter__(self) -> Self:
        self.directory.mkdir(exist_ok=True)
        if not self.db.exists():
            run("ovsdb-tool", "create", self.db, self.schema)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        arguments = [
            "ovsdb-server",
            f"--log-file={self.log}",
            "-vconsole:off",
            "-vreconnect:file:dbg",
        ]
        arguments += [f"--unixctl={self.directory / 'ctl'}", "--no-chdir"]
        arguments += [f"--remote={remote}" for remote in self._remotes]
        if self._tls is not None:
            arguments += ["-p", self._tls.private_key, "-c", self._tls.certificate]
            arguments += ["-C", self._tls.ca_cert]
        # Relative unix: addresses are resolved in a directory of the server's own.
        environment = os.environ | {"OVS_RUNDIR": str(self.directory)}
        self._process = subprocess.Popen([*arguments, str(self.db)], env=environment)
        wait_for(self._answers)

    def _answers(self) -> bool:
        """Whether the server has opened the database; it listens a moment before."""
        query = {"op": "select", "table": "Database", "where": [["name", "!=", "_Server"]]}
        with contextlib.suppress(AssertionError):
            return bool(self.transact(query, database="_Server")[0]["rows"])
        return False

    def kill(self) -> None:
        if self._process is not None:
            self.signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        self.kill()
        self.start()

    def signal(self, number: int) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)  # works in a forked child, too

    def control(self, *command: str) -> str:
        return run("ovs-appctl", "-t", self.directory / "ctl", *command)

    def transact(self, *operations: object, database: str = DATABASE) -> list[dict]:
        """Execute operations through ovsdb-client, an independent client."""
        request = json.dumps([database, *operations])
        return json.loads(run("ovsdb-client", "transact", self.unix, request))

    def insert(self, **columns: object) -> str:
        """Insert a Load_Balancer and return its UUID."""
        (result,) = self.transact({"op": "insert", "table": "Load_Balancer", "row": columns})
        return result["uuid"][1]

    def rows(self, table: str = "Load_Balancer") -> list[dict]:
        (result,) = self.transact({"op": "select", "table": table, "where": []})
        return result["rows"]

    def accepted(self) -> int:
        """Return how many TCP connections the server has accepted since it was first started."""
        return len(re.findall(r"\|reconnect\|DBG\|tcp:.*: connected\n", self.log.read_text()))


def run(*command: object) -> str:
    """Run a program and return what it prints; its failure fails the test."""
    done = subprocess.run(
        [str(part) for part in command], check=False, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def endpoint(*remotes: str, tls: Tls | None = None) -> Endpoint:
    return Endpoint(remotes, tls)


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory with a short name: the path of a unix socket has at most 107 bytes."""
    path = Path(tempfile.mkdtemp(prefix="ovsdb-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def server(directory: Path) -> Iterator[Server]:
    """A standalone server on a unix socket."""
    with Server(directory / "one") as running:
        yield running


@pytest.fixture
def tcp_server(directory: Path) -> Iterator[tuple[Server, str]]:
    """A standalone server and its TCP remote."""
    (port,) = free_ports(1)
    with Server(directory / "tcp", [f"ptcp:{port}:127.0.0.1"]) as running:
        yield running, f"tcp:127.0.0.1:{port}"


class Cluster:
    """Three servers that hold one database together."""

    def __init__(self, directory: Path):
        self._raft = [f"tcp:127.0.0.1:{port}" for port in free_ports(3)]
        self.servers = [Server(directory / f"member{index}") for index in range(3)]
        self.remotes = [member.unix for member in self.servers]

    def __enter__(self) -> Self:
        for member in self.servers:
            member.directory.mkdir(exist_ok=True)
        first, *others = self.servers
        run("ovsdb-tool", "create-cluster", first.db, SCHEMA, self._raft[0])
        for member, address in zip(others, self._raft[1:], strict=True):
            run("ovsdb-tool", "join-cluster", member.db, DATABASE, address, self._raft[0])
        for member in self.servers:
            member.start()
        for member in self.servers:
            wait_for(lambda member=member: self._role(member), timeout=20)
        return self

    def __exit__(self, *_: object) -> None:
        for member in self.servers:
            member.kill()

    def leader(self) -> Server:
        """Return the member that leads now."""
        found: list[Server] = []

        def look() -> bool:
            found.extend(member for member in self.servers if self._role(member) == "leader")
            return bool(found)

        wait_for(look)
        return found[0]

    @staticmethod
    def _role(member: Server) -> str:
        with contextlib.suppress(AssertionError):
            status = member.control("cluster/status", DATABASE)
            if "Status: cluster member" in status:
                return next(
                    line.split(": ")[1] for line in status.splitlines() if line.startswith("Role:")
                )
        return ""


@pytest.fixture
def cluster(directory: Path) -> Iterator[Cluster]:
    """Three members with a leader."""
    with Cluster(directory) as running:
        running.leader()
        yield running


def make_tls(directory: Path) -> Tls:
    """Make a CA and a key with a certificate signed by it, for both client and server."""
    directory.mkdir()
    ca_key, ca_cert = directory / "ca-key.pem", directory / "ca-cert.pem"
    key, request, certificate = (directory / name for name in ("key.pem", "req.pem", "cert.pem"))
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subject = ["-subj", f"/CN={directory.name}"]
    run("openssl", "req", "-x509", *new_key, *subject, "-keyout", ca_key, "-out", ca_cert)
    run("openssl", "req", *new_key, "-subj", "/CN=node", "-keyout", key, "-out", request)
    authority = ["-CA", ca_cert, "-CAkey", ca_key, "-CAcreateserial"]
    run("openssl", "x509", "-req", "-in", request, *authority, "-out", certificate)
    return Tls(str(key), str(certificate), str(ca_cert))


@contextlib.contextmanager
def tls_server(directory: Path, name: str) -> Iterator[tuple[Server, str, Tls]]:
    """A standalone server with a CA of its own, its remote, and the files for a client."""
    tls = make_tls(directory / f"{name}-pki")
    (port,) = free_ports(1)
    with Server(directory / name, [f"pssl:{port}:127.0.0.1"], tls) as running:
        yield running, f"ssl:127.0.0.1:{port}", tls
