# SPDX-License-Identifier: Apache-2.0
"""A load balancer of amphora comes to OVN with its VIP, goes back, and comes for good.

Octavia's API creates it by Octavia's own driver and network driver, and Octavia's own code makes
and deletes what the worker does. There is no Nova: a guest with the port of the amphora stands for
it, and a small proxy for HAProxy.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import itertools
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox import namespaces, shell
from sandbox.process import Service
from tests.sandbox.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.api import Json
    from tests.sandbox.plane import Plane

_HERE = Path(__file__).parent
CLIENTS = ("beside", "behind", "crowd")
"""On the VIP's network, behind a router, and outside by a floating IP."""
_ARP = 90.0
"""Seconds within which a neighbour asks again for the MAC of the VIP: Linux takes it for reachable
for up to 45 s, and then waits 5 s and asks the old one 3 times."""


class Amphora:
    """A load balancer of amphora, with its only amphora.

    :param listener: replaces fields of its only listener
    :param pool: replaces fields of its only pool
    """

    def __init__(self, plane: Plane, *, listener: Json, pool: Json) -> None:
        self.plane, self.cloud = plane, plane.cloud
        self.settings, self.guests = plane.scenery.stack.settings, plane.scenery.stack.guests
        members = (plane.member("one"), plane.member("two"))
        listener = {**plane.listener(*members, **pool), **listener}
        body = {
            "provider": "amphora",
            "name": "shop",
            "vip_subnet_id": plane.servers4,
            "listeners": [listener],
        }
        made = self.cloud.octavia("POST", "/loadbalancers", {"loadbalancer": body})
        self.lb: Json = made["loadbalancer"]
        self.port = self.worker("build")
        self.lb = self.cloud.wait_for(self.lb["id"])
        self.vip = str(self.lb["vip_address"])

    def serve(self) -> None:
        """Let a guest be the amphora, and give the VIP a floating IP."""
        self.guest = self.guests.create(self.cloud, "amphora", port=self.port)
        self.guests.run("amphora", ("ip", "address", "add", f"{self.vip}/32", "dev", "eth0"))
        members = [self.guests.get(name).address() for name in ("one", "two")]
        words = (sys.executable, str(_HERE / "amphora_proxy.py"), self.vip, "80", *members)
        namespace = self.guest.namespace
        service = Service(
            # Removing the guest stops it.
            name="guest-amphora",
            argv=namespaces.command(namespace, words),
            env=self.settings.base_environment,
            ready=lambda: ":80" in shell.run(namespaces.command(namespace, ("ss", "-Hltn"))),
        )
        supervisor = self.plane.scenery.stack.supervisor
        supervisor.start(service)
        supervisor.wait(service)
        self.floating = self.plane.floating_ip(self.lb["vip_port_id"])

    def worker(self, what: str) -> str:
        """Have Octavia's code do what the worker does."""
        words = (str(_HERE / "amphora_worker.py"), str(self.conf), what, str(self.lb["id"]))
        text = shell.run(
            [str(self.settings.bin / "python"), *words], env=self.settings.base_environment
        )
        return text.split()[-1]

    @property
    def conf(self) -> Path:
        """Octavia's configuration."""
        return self.settings.etc / "octavia.conf"

    def adopt(self, *options: str, status: int = 0) -> dict[str, Any]:
        """Run the command; return what it prints."""
        done = subprocess.run(
            (
                *(str(self.settings.bin / "octavia-ovn"), "adopt", self.lb["name"], "--json"),
                *(*options, "--config-file", str(self.conf)),
            ),
            env=self.settings.base_environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == status, done.stderr
        return dict(json.loads(done.stdout))

    def vip_port(self) -> Json:
        """Return the port of the VIP, as far as a move changes it."""
        port = self.cloud.get("network", f"/v2.0/ports/{self.lb['vip_port_id']}")["port"]
        names = ("name", "device_id", "device_owner", "admin_state_up", "fixed_ips")
        return {name: port[name] for name in names}

    def clients_seen(self) -> dict[str, set[str]]:
        """Return the addresses that members see, by the client that asks; none for no answer."""
        found = {}
        for client in CLIENTS:
            address = self.floating if client == "crowd" else self.vip
            answers = [self.guests.fetch(client, f"http://{address}/") for _ in range(4)]
            found[client] = {text.split()[1] if text else "none" for text in answers}
        return found

    def through_the_amphora(self) -> bool:
        """Whether each client is answered, by way of the amphora."""
        return self.clients_seen() == {client: {self.guest.address()} for client in CLIENTS}

    def through_ovn(self) -> bool:
        """Whether each client is answered, and members see its own address."""
        return self.clients_seen() == {
            client: {self.guests.get(client).address()} for client in CLIENTS
        }

    def rows(self) -> str:
        """Return the names of the load balancers in OVN."""
        return self.plane.scenery.nb("--bare", "--columns=name", "list", "Load_Balancer")

    def delete(self) -> None:
        """Delete it as Octavia does: API, then worker."""
        self.cloud.octavia("DELETE", f"/loadbalancers/{self.lb['id']}?cascade=true")
        self.worker("delete")
        self.cloud.wait_for(self.lb["id"], "DELETED")


@contextlib.contextmanager
def created(plane: Plane, listener: Json | None = None, **pool: object) -> Iterator[Amphora]:
    """While there is a load balancer of amphora."""
    made = Amphora(plane, listener=listener or {}, pool=pool)
    try:
        yield made
    finally:
        if any(guest.name == "amphora" for guest in made.guests.list()):
            made.guests.remove("amphora", made.cloud)
        if made.cloud.load_balancer(made.lb["id"]):
            made.delete()


@contextlib.contextmanager
def asking(amphora: Amphora, client: str) -> Iterator[list[float]]:
    """Ask again and again meanwhile; the list has the times of answers in the end."""
    url, ended = f"http://{amphora.vip}/", threading.Event()
    answers = [time.monotonic()]

    def ask() -> None:
        while not ended.is_set():
            if amphora.guests.fetch(client, url, timeout=0.3):
                answers.append(time.monotonic())

    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        asked = executor.submit(ask)
        try:
            yield answers
        finally:
            ended.set()
        asked.result()


def longest_pause(times: list[float]) -> float:
    """Return the seconds between two answers, at most."""
    return max(later - earlier for earlier, later in itertools.pairwise(times))


def test_it_comes_goes_back_and_comes_for_good(plane: Plane) -> None:
    with created(plane) as amphora:
        amphora.serve()
        old, port = amphora.lb["id"], amphora.vip_port()
        assert amphora.through_the_amphora()

        plan = amphora.adopt()

        assert plan == {"id": old, "successor": None, "possible": True, "losses": []}
        assert (amphora.vip_port(), amphora.rows()) == (port, "")

        _comes(amphora)

        new = amphora.adopt()["successor"]
        assert amphora.adopt("--yes")["successor"] == new, "what is done can be repeated"
        assert amphora.adopt("--back", "--yes")["successor"] == new
        until(amphora.through_the_amphora)
        assert (amphora.vip_port(), amphora.rows().strip()) == (port, "")

        new = amphora.adopt("--yes")["successor"]
        until(amphora.through_ovn, seconds=_ARP)
        amphora.delete()
        assert amphora.through_ovn()
        assert amphora.vip_port()["name"] == f"ovn-lb-vip-{new}"
        assert amphora.cloud.neutron("security-groups", name=f"lb-{old}") == []


def _comes(amphora: Amphora) -> None:
    with asking(amphora, "behind") as routed, asking(amphora, "beside") as near:
        new = amphora.adopt("--yes")["successor"]
        until(amphora.through_ovn, seconds=_ARP)

    pauses = [longest_pause(times) for times in (routed, near)]
    print("without an answer, behind a router and on the network:", pauses)
    assert pauses[0] < 15
    assert pauses[1] < _ARP
    assert amphora.rows().strip() == new
    made = amphora.cloud.load_balancer(new)
    assert made is not None
    for name in ("name", "vip_address", "vip_port_id", "project_id"):
        assert made[name] == amphora.lb[name]


def test_what_ovn_refuses_is_named_and_nothing_changes(plane: Plane) -> None:
    with created(
        plane,
        {"protocol": "HTTP", "insert_headers": {"X-Forwarded-For": "true"}},
        protocol="HTTP",
        lb_algorithm="LEAST_CONNECTIONS",
        session_persistence={"type": "HTTP_COOKIE"},
    ) as amphora:
        port = amphora.vip_port()

        plan = amphora.adopt("--yes", status=1)

        assert not plan["possible"]
        reasons = [(each["kind"], each["reason"].partition(":")[0]) for each in plan["losses"]]
        assert reasons == [
            ("listener", "insert_headers"),
            ("listener", "protocol"),
            ("pool", "lb_algorithm"),
            ("pool", "session_persistence"),
        ]
        assert (amphora.vip_port(), amphora.rows()) == (port, "")
