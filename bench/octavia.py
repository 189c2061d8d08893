# SPDX-License-Identifier: Apache-2.0
"""Requests through a real Octavia API, against Octavia's own floor: `python -m bench.octavia`.

A sandbox with Octavia's `noop_driver` beside ours is started for it and taken down afterwards.

Octavia's own floor for a request is the same request with the noop provider, which does nothing,
or one status message, whichever takes longer: no driver that tells Octavia something can be faster.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import socket
import statistics
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymysql

from bench.results import number, percentile
from sandbox import database, settings
from sandbox.api import Cloud
from sandbox.stack import Stack, locked

Json = dict[str, Any]
OVN, NOOP = "ovn", "noop_driver"
STATUS = "status message"
_PORT_BASE = 19700  # beside a sandbox with the default ports, and that of the tests
_POLL = 0.01
_PATIENCE = 60.0
_TABLES = {
    "loadbalancers": "load_balancer",
    "listeners": "listener",
    "pools": "pool",
    "members": "member",
    "healthmonitors": "health_monitor",
}


class Bench:
    """Does the same requests with both providers.

    :param stack: a sandbox that is up
    """

    def __init__(self, stack: Stack) -> None:
        self._cloud: Cloud = stack.cloud()
        self._status_socket = stack.settings.run / "octavia" / "status.sock"
        query = urllib.parse.urlsplit(database.url(stack.settings, "octavia")).query
        self._database = pymysql.connect(
            unix_socket=urllib.parse.parse_qs(query)["unix_socket"][0],
            user="root",
            database="octavia",
            autocommit=True,
        )
        self._provider = OVN
        self._objects: dict[str, list[str]] = {}
        self.seconds: dict[tuple[str, str], list[float]] = {}
        network = self._cloud.create("network", name="bench")
        self._subnet = self._cloud.create(
            "subnet", network_id=network["id"], cidr="10.99.0.0/24", ip_version=4
        )["id"]
        router = self._cloud.create("router", name="bench")
        interface = {"subnet_id": self._subnet}
        path = f"/v2.0/routers/{router['id']}/add_router_interface"
        self._cloud.put("network", path, interface)

    def round(self, provider: str) -> None:
        """Do every request once."""
        self._provider = provider
        self._objects = {}
        lb = self._make("LB create", "loadbalancer", vip_subnet_id=self._subnet, provider=provider)
        tcp = {"protocol": "TCP"}
        listener = self._make(
            "listener create", "listener", loadbalancer_id=lb, protocol_port=80, **tcp
        )
        pool = self._make(
            "pool create", "pool", listener_id=listener, lb_algorithm="SOURCE_IP_PORT", **tcp
        )
        members = f"/pools/{pool}/members"
        member = ""
        for host in (10, 11):
            values = {"address": f"10.99.0.{host}", "protocol_port": 80, "subnet_id": self._subnet}
            member = self._make("member create", "member", path=members, **values)
        monitor = self._make(
            "HM create",
            "healthmonitor",
            pool_id=pool,
            type="TCP",
            delay=5,
            timeout=3,
            max_retries=3,
        )
        self._do("member update", "PUT", f"{members}/{member}", {"member": {"weight": 7}})
        self._do("listener update", "PUT", f"/listeners/{listener}", {"listener": {"name": "x"}})
        self._do("member delete", "DELETE", f"{members}/{member}", gone=("members", member))
        self._do(
            "HM delete", "DELETE", f"/healthmonitors/{monitor}", gone=("healthmonitors", monitor)
        )
        self._do(
            "cascade delete",
            "DELETE",
            f"/loadbalancers/{lb}?cascade=true",
            gone=("loadbalancers", lb),
        )

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
        if self._provider == OVN:
            self._wait(gone)
            self._note(name, time.monotonic() - start)
            self._note(f"{name}: API", answered - start)
        else:
            self._note(name, answered - start)
            self._note(STATUS, self._settle(gone))
        return answer

    def _note(self, name: str, seconds: float) -> None:
        self.seconds.setdefault((self._provider, name), []).append(seconds)

    # --- the end of a request

    def _wait(self, gone: tuple[str, str] | None) -> None:
        """Wait until nothing is PENDING and what was deleted is gone."""
        deadline = time.monotonic() + _PATIENCE
        while not self._settled(gone):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self._objects} did not settle")
            time.sleep(_POLL)

    def _settled(self, gone: tuple[str, str] | None) -> bool:
        if gone and self._status(*gone) not in (None, "DELETED"):
            return False
        if gone and gone[0] == "loadbalancers":
            return True
        return all(
            self._status(kind, each) in ("ACTIVE", "ERROR")
            for kind, ids in self._objects.items()
            for each in ids
        )

    def _status(self, kind: str, object_id: str) -> str | None:
        query = f"SELECT provisioning_status FROM {_TABLES[kind]} WHERE id = %s"
        with self._database.cursor() as cursor:
            cursor.execute(query, (object_id,))
            row = cursor.fetchone()
        return None if row is None else str(row[0])

    def _settle(self, gone: tuple[str, str] | None) -> float:
        """Tell Octavia for the driver that does nothing; return what one message took."""
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
        return time.monotonic() - start

    # --- results

    def table(self) -> str:
        """Return the requests as a table in Markdown; milliseconds, median (p95)."""
        status = statistics.median(self.seconds[NOOP, STATUS])
        lines = [
            f"One status message: {_cell(self.seconds[NOOP, STATUS])} ms.",
            "",
            "| request | noop | floor | ours: API call | ours: to ACTIVE | over the floor |",
            "| --- | --- | --- | --- | --- | --- |",
        ]
        for provider, name in self.seconds:
            if provider != NOOP or name == STATUS:
                continue
            floor = max(statistics.median(self.seconds[NOOP, name]), status)
            ours = self.seconds[OVN, name]
            cells = (
                name,
                _cell(self.seconds[NOOP, name]),
                number(floor * 1000),
                _cell(self.seconds[OVN, f"{name}: API"]),
                _cell(ours),
                f"{statistics.median(ours) / floor:.2f}",
            )
            lines.append(f"| {' | '.join(cells)} |")
        return "\n".join(lines) + "\n"


def _cell(seconds: list[float]) -> str:
    median, slow = statistics.median(seconds), percentile(seconds, 0.95)
    return f"{number(round(median * 1000))} ({number(round(slow * 1000))})"


@contextlib.contextmanager
def sandbox(state: Path) -> Iterator[Stack]:
    """Start a sandbox beside others; end it."""
    stack = Stack(
        settings.Settings(
            state=state,
            venv=settings.default_venv(settings.PROJECT / ".sandbox"),
            ports=settings.port_numbers(_PORT_BASE, {}),
            octavia_options=(f"api_settings.enabled_provider_drivers={OVN}:OVN,{NOOP}:nothing",),
        )
    )
    with locked(state):
        try:
            stack.up()
            yield stack
        finally:
            stack.down()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.octavia", description=__doc__)
    parser.add_argument(
        "--state", type=Path, default=Path(".sandbox-bench"), help="directory of the sandbox"
    )
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--text", type=Path, help="file for the table")
    options = parser.parse_args()
    with sandbox(options.state.absolute()) as stack:
        bench = Bench(stack)
        for _ in range(options.rounds):
            for provider in (NOOP, OVN):
                bench.round(provider)
    table = bench.table()
    print(table)
    if options.text:
        options.text.write_text(table, encoding="utf-8")


if __name__ == "__main__":
    main()
