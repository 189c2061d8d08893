# SPDX-License-Identifier: Apache-2.0
"""What clients of a real Octavia API do, with one provider."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import socket
import threading
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pymysql

from bench import processes
from sandbox import database
from sandbox.octavia import API, DRIVER_AGENT
from sandbox.stack import Stack
from tests.lab import ovsdb

Json = dict[str, Any]
OVN, NOOP = "ovn", "noop_driver"
_POLL = 0.005
_PATIENCE = 120.0
_TABLES = {
    "loadbalancers": "load_balancer",
    "listeners": "listener",
    "pools": "pool",
    "members": "member",
    "healthmonitors": "health_monitor",
}
_CHASSIS = "bench"
TCP = {"protocol": "TCP"}
MONITOR = {"type": "TCP", "delay": 5, "timeout": 3, "max_retries": 3}


class Database(threading.local):
    """Reads Octavia's database; a connection for each thread."""

    def __init__(self, stack: Stack) -> None:
        query = urllib.parse.urlsplit(database.url(stack.settings, "octavia")).query
        self._connection = pymysql.connect(
            unix_socket=urllib.parse.parse_qs(query)["unix_socket"][0],
            user="root",
            database="octavia",
            autocommit=True,
        )

    def value(self, query: str, *values: object) -> Any:
        """Return the first column of the first row, None without one."""
        with self._connection.cursor() as cursor:
            cursor.execute(query, values)
            row = cursor.fetchone()
        return row and row[0]

    def status(self, kind: str, object_id: str) -> str | None:
        """Return a provisioning status, None if the object is gone."""
        query = f"SELECT provisioning_status FROM {_TABLES[kind]} WHERE id = %s"
        status = self.value(query, object_id)
        return None if status is None else str(status)


class Side:
    """One provider in one sandbox.

    :param name: of the driver, in the tables
    :param stack: a sandbox that is up
    :param provider: as Octavia calls it
    """

    def __init__(self, name: str, stack: Stack, provider: str, forks: processes.Forks) -> None:
        self.name = name
        self._stack = stack
        self._provider = provider
        self._forks = forks
        self._cloud = stack.cloud()
        self._status_socket = stack.settings.run / "octavia" / "status.sock"
        self._southbound = stack.settings.run / "ovnsb_db.sock"
        self._database = Database(stack)
        self._objects: dict[str, list[str]] = {}
        self._ports: set[str] = set()
        self.seconds: dict[str, list[float]] = {}
        self.figures: dict[str, list[float]] = {}
        self._network = self._cloud.create("network", name=f"bench-{provider}")["id"]
        self._subnet = self._cloud.create(
            "subnet",
            network_id=self._network,
            cidr="10.99.0.0/24",
            ip_version=4,
            allocation_pools=[{"start": "10.99.0.100", "end": "10.99.0.254"}],  # VIPs, not members
        )["id"]
        router = self._cloud.create("router", name=f"bench-{provider}")
        path = f"/v2.0/routers/{router['id']}/add_router_interface"
        self._cloud.put("network", path, {"subnet_id": self._subnet})

    # --- one request after the other

    def requests(self) -> None:
        """Do every request once."""
        self._objects = {}
        with self._counted("requests", 11):
            self._requests()

    def _requests(self) -> None:
        lb = self._make(
            "LB create", "loadbalancer", vip_subnet_id=self._subnet, provider=self._provider
        )
        listener = self._make(
            "listener create", "listener", loadbalancer_id=lb, protocol_port=80, **TCP
        )
        pool = self._make(
            "pool create", "pool", listener_id=listener, lb_algorithm="SOURCE_IP_PORT", **TCP
        )
        members = f"/pools/{pool}/members"
        for host in (10, 11):
            member = self._make("member create", "member", path=members, **self._member(host))
        monitor = self._make("HM create", "healthmonitor", pool_id=pool, **MONITOR)
        self._do("member update", "PUT", f"{members}/{member}", {"member": {"weight": 7}})
        self._do("listener update", "PUT", f"/listeners/{listener}", {"listener": {"name": "x"}})
        self._do("member delete", "DELETE", f"{members}/{member}", gone=("members", member))
        path = f"/healthmonitors/{monitor}"
        self._do("HM delete", "DELETE", path, gone=("healthmonitors", monitor))
        path = f"/loadbalancers/{lb}?cascade=true"
        self._do("cascade delete", "DELETE", path, gone=("loadbalancers", lb))

    def _member(self, host: int, port: int = 80) -> Json:
        return {
            "address": f"10.99.0.{host}",
            "protocol_port": port,
            "subnet_id": self._subnet,
        }

    def _make(self, name: str, kind: str, path: str = "", **values: Any) -> str:
        body = self._do(name, "POST", path or f"/{kind}s", {kind: values}, made=f"{kind}s")
        return str(body[kind]["id"])

    def _do(
        self,
        name: str,
        method: str,
        path: str,
        body: Json | None = None,
        *,
        made: str = "",
        gone: tuple[str, str] | None = None,
    ) -> Json:
        start = time.monotonic()
        answer = self._cloud.octavia(method, path, body)
        answered = time.monotonic()
        if made:
            self._objects.setdefault(made, []).append(answer[made.removesuffix("s")]["id"])
        if gone:
            self._objects[gone[0]].remove(gone[1])
        if self._provider == NOOP:
            self._settle(gone)
        else:
            self._wait(gone)
            self.seconds.setdefault(name, []).append(time.monotonic() - start)
        self.seconds.setdefault(f"{name}: API", []).append(answered - start)
        return answer

    def _wait(self, gone: tuple[str, str] | None) -> None:
        """Wait until nothing is PENDING and what was deleted is gone."""
        _until(lambda: self._settled(gone), f"{self.name}: {self._objects}")

    def _settled(self, gone: tuple[str, str] | None) -> bool:
        status = self._database.status
        if gone and status(*gone) not in (None, "DELETED"):
            return False
        if gone and gone[0] == "loadbalancers":
            return True
        return all(
            status(kind, each) in ("ACTIVE", "ERROR")
            for kind, ids in self._objects.items()
            for each in ids
        )

    def _settle(self, gone: tuple[str, str] | None) -> None:
        """Send the statuses of the provider that does nothing."""
        message: dict[str, list[Json]] = {}
        if gone:
            message[gone[0]] = [{"id": gone[1], "provisioning_status": "DELETED"}]
        if not gone or gone[0] != "loadbalancers":
            for kind, ids in self._objects.items():
                active = [{"id": each, "provisioning_status": "ACTIVE"} for each in ids]
                message.setdefault(kind, []).extend(active)
        body = json.dumps(message).encode()
        start = time.monotonic()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
            peer.connect(str(self._status_socket))
            peer.sendall(b"%d\n%b" % (len(body), body))
            with peer.makefile("rb") as stream:
                answer = json.loads(stream.read(int(stream.readline())))
        if answer.get("status_code") != 200:
            raise RuntimeError(f"Octavia refuses {message}: {answer}")
        self.seconds.setdefault("status message", []).append(time.monotonic() - start)

    @contextlib.contextmanager
    def _counted(self, name: str, requests: int) -> Iterator[None]:
        """Note what the processes of Octavia spend on requests, late messages included."""
        cpu, forks = self._spent()
        yield
        time.sleep(1)
        cpu_after, forks_after = self._spent()
        self._note(f"{name}: CPU ms each", (cpu_after - cpu) / requests * 1000)
        self._note(f"{name}: forks each", (forks_after - forks) / requests)

    def _spent(self) -> tuple[float, int]:
        supervisor = self._stack.supervisor
        pids = [pid for name in (API, DRIVER_AGENT) for pid in supervisor.pids(name)]
        return processes.cpu_seconds(pids), self._forks.of(pids)

    def _note(self, name: str, value: float) -> None:
        self.figures.setdefault(name, []).append(value)

    # --- many at a time

    def burst(self, requests: int, clients: int) -> None:
        """Let each client add members to a pool of its own, one request after the other."""
        each = requests // clients
        trees = [self._tree(number, []) for number in range(clients)]
        with self._counted("burst", requests):
            start = time.monotonic()
            with concurrent.futures.ThreadPoolExecutor(clients) as pool:
                list(pool.map(lambda tree: self._members(*tree, each), trees))
            self._note(
                f"burst of {requests} requests by {clients} clients: s", time.monotonic() - start
            )
        for lb, _ in trees:
            self._remove(lb)

    def _members(self, lb: str, pool: str, count: int) -> None:
        cloud = self._stack.cloud()
        for host in range(10, 10 + count):
            body = {"member": self._member(host)}
            cloud.octavia("POST", f"/pools/{pool}/members", body)
            _until(lambda: self._database.status("loadbalancers", lb) == "ACTIVE", lb)

    def _tree(self, number: int, members: list[Json], **pool: Any) -> tuple[str, str]:
        """Make a load balancer with a listener and a pool; return its ID and the pool's."""
        pool |= {"lb_algorithm": "SOURCE_IP_PORT", "members": members, **TCP}
        listener = {"protocol_port": 80, "default_pool": {"name": f"p{number}", **pool}, **TCP}
        values = {
            "name": f"bench{number}",
            "vip_subnet_id": self._subnet,
            "provider": self._provider,
            "listeners": [listener],
        }
        made = self._cloud.octavia("POST", "/loadbalancers", {"loadbalancer": values})
        lb = made["loadbalancer"]["id"]
        _until(lambda: self._database.status("loadbalancers", lb) == "ACTIVE", lb)
        query = "SELECT id FROM pool WHERE load_balancer_id = %s"
        return lb, str(self._database.value(query, lb))

    def _remove(self, lb: str) -> None:
        self._cloud.octavia("DELETE", f"/loadbalancers/{lb}?cascade=true")
        _until(lambda: self._database.status("loadbalancers", lb) in (None, "DELETED"), lb)

    # --- failing checks

    def health(self, lbs: int, members: int, single: int) -> None:
        """Let single checks fail, then those of all members at once.

        :param lbs: number of load balancers
        :param members: of each
        :param single: how many checks fail one after the other before
        """
        sb = ovsdb.OvsdbClient(self._southbound, "OVN_Southbound")
        for host in range(10, 10 + members):
            address = [{"subnet_id": self._subnet, "ip_address": f"10.99.0.{host}"}]
            port = self._cloud.create("port", network_id=self._network, fixed_ips=address)
            self._bind(sb, port["id"])
            self._ports.add(port["id"])
        trees = [
            self._tree(
                number,
                [self._member(host, 8000 + number) for host in range(10, 10 + members)],
                healthmonitor=MONITOR,
            )
            for number in range(lbs)
        ]
        _until(lambda: len(self._checks(sb)) == lbs * members, f"{self.name}: checks")
        uuids = [row["_uuid"] for row in self._checks(sb)]
        _report(sb, uuids, "online")
        _until(lambda: self._members_in("ONLINE") == len(uuids), f"{self.name}: ONLINE")
        for number, each in enumerate(uuids[:single], start=1):
            start = time.monotonic()
            _report(sb, [each], "offline")
            _until(lambda number=number: self._members_in("ERROR") == number, f"{self.name}: ERROR")
            self.seconds.setdefault("one failing check → ERROR", []).append(
                time.monotonic() - start
            )
        with self._counted("failing checks", len(uuids) - single):
            start = time.monotonic()
            _report(sb, uuids[single:], "offline")
            _until(lambda: self._members_in("ERROR") == len(uuids), f"{self.name}: all ERROR")
            self._note(f"{len(uuids) - single} failing checks → ERROR: s", time.monotonic() - start)
        sb.close()
        for lb, _ in trees:
            self._remove(lb)

    def _bind(self, sb: ovsdb.OvsdbClient, port_id: str) -> None:
        """Bind a port to a chassis without ovn-controller, so that nothing else writes statuses."""
        where = [["logical_port", "==", port_id]]
        _until(lambda: sb.select("Port_Binding", where), f"{self.name}: port {port_id}")
        if not sb.select("Chassis", [["name", "==", _CHASSIS]]):
            encap = {"type": "geneve", "ip": "192.0.2.1", "chassis_name": _CHASSIS}
            chassis = {"name": _CHASSIS, "encaps": ovsdb.named("encap")}
            sb.transact(ovsdb.insert("Encap", encap, "encap"), ovsdb.insert("Chassis", chassis))
        (chassis,) = sb.select("Chassis", [["name", "==", _CHASSIS]])
        bound = {"chassis": ovsdb.ref(chassis["_uuid"]), "up": True}
        sb.transact(ovsdb.update("Port_Binding", where, bound))

    def _checks(self, sb: ovsdb.OvsdbClient) -> list[Json]:
        rows = sb.select("Service_Monitor", columns=["_uuid", "logical_port"])
        return [row for row in rows if row["logical_port"] in self._ports]

    def _members_in(self, status: str) -> int:
        query = "SELECT COUNT(*) FROM member WHERE operating_status = %s AND subnet_id = %s"
        return int(self._database.value(query, status, self._subnet))


def _report(sb: ovsdb.OvsdbClient, uuids: list[str], status: str) -> None:
    """Write what ovn-controller writes."""
    sb.transact(
        *(
            ovsdb.update("Service_Monitor", [["_uuid", "==", ovsdb.ref(each)]], {"status": status})
            for each in uuids
        )
    )


def _until(condition: Any, what: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(_POLL)
