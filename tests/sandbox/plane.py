# SPDX-License-Identifier: Apache-2.0
"""What the packet tests play in: two dual-stack networks behind a router, servers and clients."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import itertools
import json
import subprocess
import sys
import threading
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox import namespaces, ovn, shell
from tests.sandbox import networks
from tests.sandbox.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sandbox.api import Cloud, Json
    from tests.sandbox.scenery import Scenery

SERVERS = ("one", "two", "three")
CROWD = tuple(f"172.24.4.{number}" for number in range(210, 240))
"""Addresses outside, all of one guest: as many clients."""
_TRAFFIC = str(Path(__file__).with_name("traffic.py"))

# Short, so that tests are: dead members are found within some four seconds.
MONITOR = {"type": "TCP", "delay": 1, "timeout": 1, "max_retries": 2, "max_retries_down": 2}


@dataclasses.dataclass(frozen=True)
class Plane:
    """Names and ids of what was made, and short ways to use it."""

    scenery: Scenery
    router: str
    servers: str
    """Network of the servers and of the client `beside`."""
    servers4: str
    servers6: str
    """Its subnets."""
    local_ports: Iterator[int] = dataclasses.field(
        default_factory=lambda: itertools.cycle(range(10_000, 60_000)), repr=False
    )
    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock, repr=False)
    """Of the local ports: several clients may ask at once."""

    @classmethod
    def build(cls, scenery: Scenery) -> Plane:
        """Make everything, once: networks, and guests that may talk to each other.

        In a sandbox that was up before it may stand already.
        """
        cloud, guests = scenery.cloud, scenery.stack.guests
        if found := cloud.neutron("networks", name="servers"):
            return cls._standing(scenery, found[0]["id"])
        networks.allow_everything(cloud)
        router = cloud.create("router", external_gateway_info={"network_id": scenery.public})["id"]
        servers = cloud.create("network", name="servers")["id"]
        servers4, servers6 = networks.subnets(cloud, servers, "10.20.0.0/24", "fd20::/64")
        clients = cloud.create("network", name="clients")["id"]
        others = networks.subnets(cloud, clients, "10.20.1.0/24", "fd20:1::/64")
        for subnet in (servers4, servers6, *others):
            networks.connect(cloud, router, subnet)
        for name in SERVERS:
            guests.create(cloud, name, network=servers)
            guests.start_server(name)
        guests.create(cloud, "beside", network=servers)
        guests.create(cloud, "behind", network=clients)
        guests.create_outside("crowd", [f"{address}/24" for address in CROWD])
        return cls(scenery, router, servers, servers4, servers6)

    @classmethod
    def _standing(cls, scenery: Scenery, servers: str) -> Plane:
        def subnet(cidr: str) -> str:
            return str(scenery.cloud.neutron("subnets", cidr=cidr)[0]["id"])

        owner = {"device_owner": "network:router_interface"}
        router = scenery.cloud.neutron("ports", network_id=servers, **owner)[0]["device_id"]
        return cls(scenery, router, servers, subnet("10.20.0.0/24"), subnet("fd20::/64"))

    @property
    def cloud(self) -> Cloud:
        """The administrator's access."""
        return self.scenery.cloud

    # --- load balancers ------------------------------------------------------------------

    def load_balancer(self, *listeners: Json, **values: object) -> Json:
        """Create one in a single request, its VIP on the servers' network; flows are in place."""
        where = {"vip_subnet_id": self.servers4}
        body = {"provider": "ovn", **where, "listeners": list(listeners), **values}
        made = self.cloud.octavia("POST", "/loadbalancers", {"loadbalancer": body})["loadbalancer"]
        found = self.cloud.wait_for(made["id"])
        self.sync()
        return found

    def listener(self, *members: Json, protocol: str = "TCP", **pool: object) -> Json:
        """Describe a listener on port 80 with a pool."""
        described = {
            "name": protocol,
            "protocol": protocol,
            "lb_algorithm": "SOURCE_IP_PORT",
            "members": list(members),
            **pool,
        }
        return {
            "name": protocol,
            "protocol": protocol,
            "protocol_port": 80,
            "default_pool": described,
        }

    def member(self, name: str, version: int = 4, **values: object) -> Json:
        """Describe a server as a member."""
        subnet = self.servers4 if version == 4 else self.servers6
        address = self.scenery.stack.guests.get(name).address(version)
        member = {"name": name, "address": address, "protocol_port": 80, "subnet_id": subnet}
        return {**member, **values}

    def update_member(self, lb: Json, name: str, **values: object) -> None:
        """Change a member; flows are in place."""
        pool, member = self._member(lb, name)
        self.cloud.octavia("PUT", f"/pools/{pool}/members/{member['id']}", {"member": values})
        self.cloud.wait_for(lb["id"])
        self.sync()

    def delete_member(self, lb: Json, name: str) -> None:
        """Delete a member; flows are in place."""
        pool, member = self._member(lb, name)
        self.cloud.octavia("DELETE", f"/pools/{pool}/members/{member['id']}")
        self.cloud.wait_for(lb["id"])
        self.sync()

    def member_status(self, lb: Json, name: str) -> str:
        """Return a member's operating status."""
        return str(self._member(lb, name)[1]["operating_status"])

    @contextlib.contextmanager
    def dead(self, lb: Json, *names: str) -> Iterator[None]:
        """While some servers are stopped, and Octavia and the flows know it."""
        guests = self.scenery.stack.guests
        for name in names:
            guests.stop_server(name)
        try:
            self.await_members(lb, "ERROR", *names)
            yield
        finally:
            for name in names:
                guests.start_server(name)
        self.await_members(lb, "ONLINE", *names)

    def await_members(self, lb: Json, status: str, *names: str) -> None:
        """Wait until members have an operating status; flows are in place."""
        until(lambda: {self.member_status(lb, name) for name in names} == {status})
        self.sync()

    def _member(self, lb: Json, name: str) -> tuple[str, Json]:
        for pool in self.cloud.octavia("GET", f"/pools?loadbalancer_id={lb['id']}")["pools"]:
            listed = self.cloud.octavia("GET", f"/pools/{pool['id']}/members?name={name}")
            if listed["members"]:
                return pool["id"], listed["members"][0]
        raise LookupError(name)

    def flavor(self, **values: object) -> str:
        """Make a flavor of these values; return its id."""
        name = uuid.uuid4().hex
        profile = {"name": name, "provider_name": "ovn", "flavor_data": json.dumps(values)}
        made = self.cloud.octavia("POST", "/flavorprofiles", {"flavorprofile": profile})
        flavor = {"name": name, "flavor_profile_id": made["flavorprofile"]["id"], "enabled": True}
        return str(self.cloud.octavia("POST", "/flavors", {"flavor": flavor})["flavor"]["id"])

    def port(self, *subnets: str) -> Json:
        """Make a port with an address in each of some of the servers' subnets, as a user would."""
        fixed_ips = [{"subnet_id": subnet} for subnet in subnets]
        return self.cloud.create("port", network_id=self.servers, name="mine", fixed_ips=fixed_ips)

    @contextlib.contextmanager
    def address_pair(self, name: str, address: str) -> Iterator[None]:
        """While a server has an address beside that of its port, as keepalived gives it."""
        guests = self.scenery.stack.guests
        path = f"/v2.0/ports/{guests.get(name).port_id}"
        pairs: dict[str, object] = {"allowed_address_pairs": [{"ip_address": address}]}
        self.cloud.put("network", path, {"port": pairs})
        guests.run(name, ("ip", "address", "add", f"{address}/24", "dev", "eth0"))
        try:
            yield
        finally:
            guests.run(name, ("ip", "address", "del", f"{address}/24", "dev", "eth0"))
            self.cloud.put("network", path, {"port": {"allowed_address_pairs": []}})

    @contextlib.contextmanager
    def unplugged(self, name: str) -> Iterator[None]:
        """While no hypervisor has a server's port."""
        guest, settings = self.scenery.stack.guests.get(name), self.scenery.stack.settings
        ovn.unplug(settings, guest.device)
        try:
            yield
        finally:
            ovn.plug(settings, "br-int", guest.device, port_id=guest.port_id)

    def floating_ip(self, port_id: str) -> str:
        """Give a port a floating IP."""
        made = self.cloud.create(
            "floatingip", floating_network_id=self.scenery.public, port_id=port_id
        )
        return str(made["floating_ip_address"])

    def take_floating_ip(self, address: str) -> None:
        """Delete a floating IP."""
        (found,) = self.cloud.neutron("floatingips", floating_ip_address=address)
        self.cloud.delete("network", f"/v2.0/floatingips/{found['id']}")

    @contextlib.contextmanager
    def network_that_joins(self, lb: Json) -> Iterator[tuple[str, str]]:
        """Connect a new network with the client `late`; yield its id and its subnet's.

        The load balancer has followed by then, and flows are in place.
        """
        cloud, guests = self.cloud, self.scenery.stack.guests
        network = cloud.create("network", name="late")["id"]
        (subnet,) = networks.subnets(cloud, network, "10.20.2.0/24")
        guests.create(cloud, "late", network=network)
        try:
            networks.connect(cloud, self.router, subnet)
            until(lambda: self.hangs_on(lb, network))
            self.sync()
            yield network, subnet
        finally:
            guests.remove("late", cloud)
            for port in cloud.neutron("ports", network_id=network):
                if port["device_id"] == self.router:
                    networks.disconnect(cloud, self.router, subnet)
            cloud.delete("network", f"/v2.0/networks/{network}")

    # --- traffic -------------------------------------------------------------------------

    def ask(
        self, client: str, address: str, count: int = 20, *, kind: str = "tcp"
    ) -> collections.Counter[str]:
        """Send requests, each with a socket of its own; count the answers by server."""
        return collections.Counter(self._run(client, kind, address, count)[""])

    def ask_from(self, sources: Sequence[str], address: str, count: int = 3) -> dict[str, set[str]]:
        """Send requests from addresses of the crowd; return who answered each."""
        found = self._run("crowd", "tcp", address, count, *sources)
        return {source: set(answers) for source, answers in found.items()}

    def connection(
        self, client: str, address: str
    ) -> contextlib.AbstractContextManager[Connection]:
        """Hold one TCP connection."""
        return self._held("hold", client, address)

    def datagrams(self, client: str, address: str) -> contextlib.AbstractContextManager[Connection]:
        """Hold one UDP socket."""
        return self._held("hold-udp", client, address)

    @contextlib.contextmanager
    def _held(self, kind: str, client: str, address: str) -> Iterator[Connection]:
        with self.running(client, kind, address, 1) as process:
            try:
                yield Connection(process)
            finally:
                process.kill()

    def running(self, client: str, kind: str, address: str, ports: int) -> subprocess.Popen[str]:
        """Start a client that runs on its own; see traffic.py.

        :param ports: local ports that it may use
        """
        inside = namespaces.command(
            self.scenery.stack.guests.get(client).namespace,
            (sys.executable, _TRAFFIC, kind, address, "80", self._local_port(ports)),
        )
        return subprocess.Popen(inside, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def _run(
        self, client: str, kind: str, address: str, count: int, *sources: str
    ) -> dict[str, list[str]]:
        words = (kind, address, "80", self._local_port(count), f"{count}", *sources)
        text = self.scenery.stack.guests.run(client, (sys.executable, _TRAFFIC, *words))
        answers: dict[str, list[str]] = json.loads(text)
        return answers

    def _local_port(self, count: int) -> str:
        """Return the first of some local ports that no client has used; see traffic.py."""
        with self.lock:
            first, *_ = itertools.islice(self.local_ports, count)
        return f"{first}"

    # --- looking -------------------------------------------------------------------------

    def await_vip(self, address: str) -> None:
        """Wait until an address, such as a new floating IP, is served."""
        until(lambda: address in self.scenery.nb("--columns=vips", "list", "Load_Balancer"))
        self.sync()

    def hangs_on(self, lb: Json, network: str) -> bool:
        """Say whether a load balancer is on a network's switch."""
        row = self.scenery.nb(
            "--bare", "--columns=_uuid", "find", "Load_Balancer", f"name={lb['id']}"
        )
        held = self.scenery.nb("get", "Logical_Switch", f"neutron-{network}", "load_balancer")
        return row.strip() in held

    def row(self, lb: Json) -> dict[str, Any]:
        """Return the only row of a load balancer, with its version."""
        (row,) = self.rows(lb)
        return row

    def rows(self, lb: Json) -> list[dict[str, Any]]:
        """Return the rows of a load balancer, with their versions."""
        select = {"op": "select", "table": "Load_Balancer", "where": [["name", "==", lb["id"]]]}
        words = json.dumps(["OVN_Northbound", select])
        text = shell.run(["ovsdb-client", "transact", self.scenery.stack.settings.nb, words])
        return [
            {column: _plain(value) for column, value in row.items()}
            for row in json.loads(text)[0]["rows"]
        ]

    def sync(self) -> None:
        """Wait until the flows follow NB."""
        ovn.sync(self.scenery.stack.settings)

    def addresses(self, port_id: str) -> str:
        """Return what OVN knows of a port's addresses."""
        return self.scenery.nb("get", "Logical_Switch_Port", port_id, "addresses").strip()


class Connection:
    """One TCP connection that stays."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Take over a running client."""
        self._process = process

    def ask(self) -> str:
        """Send a request; return who answers."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("?\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()


def _plain(value: object) -> Any:
    """Return OVSDB's pairs as Python values."""
    match value:
        case ["map", pairs]:
            return dict(pairs)
        case ["set", values]:
            return sorted(map(str, values))
        case ["uuid", text]:
            return text
    return value
