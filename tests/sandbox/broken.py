# SPDX-License-Identifier: Apache-2.0
"""Set-ups in which packets do not get through, each broken in one way, and mended again.

A way to break things is a context manager that takes the shop. `FAULTS` says what of it
`octavia-ovn trace` must name.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
from typing import TYPE_CHECKING, Any

from click.testing import CliRunner

from octavia_ovn.cli.main import main
from sandbox import octavia, ovn
from tests.sandbox.networks import connect, disconnect
from tests.sandbox.plane import MONITOR
from tests.sandbox.scenery import BACKENDS
from tests.sandbox.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sandbox.api import Json
    from tests.sandbox.scenery import Scenery


@dataclasses.dataclass(frozen=True)
class Shop:
    """A load balancer with two members that works for clients near and far."""

    scenery: Scenery
    lb: Json
    listener: str
    pool: str
    router: str
    island: Json
    """A subnet without a router, on which the guest `castaway` serves."""

    @classmethod
    def build(cls, scenery: Scenery) -> Shop:
        """Make it, once."""
        cloud, guests = scenery.cloud, scenery.stack.guests
        network = cloud.create("network", name="island")["id"]
        island = cloud.create(
            "subnet", network_id=network, cidr="10.9.0.0/24", ip_version=4, name="island"
        )
        guests.create(cloud, "castaway", network=network)
        guests.start_server("castaway")
        lb = scenery.complete()
        (listener,) = cloud.octavia("GET", f"/listeners?loadbalancer_id={lb['id']}")["listeners"]
        (port,) = cloud.neutron(
            "ports", device_owner="network:router_interface", network_id=_network(scenery)
        )
        pool = listener["default_pool_id"]
        return cls(scenery, lb, listener["id"], pool, port["device_id"], island)

    @property
    def vip(self) -> str:
        """Its address."""
        return str(self.lb["vip_address"])

    def row(self) -> str:
        """Return the uuid of its row."""
        words = ("--bare", "--columns=_uuid", "find", "Load_Balancer", f"name={self.lb['id']}")
        return self.scenery.nb(*words).strip()

    def change(self, kind: str, object_id: str, **values: object) -> None:
        """Change an object of Octavia's; flows are in place."""
        body = {kind.removesuffix("s"): values}
        self.scenery.cloud.octavia("PUT", f"/{kind}/{object_id}", body)
        self.settle()

    def settle(self) -> None:
        """Wait until Octavia and the flows have followed."""
        self.scenery.cloud.wait_for(self.lb["id"])
        ovn.sync(self.scenery.stack.settings)

    def members(self, *members: Json) -> None:
        """Have these members and no others."""
        body = {"members": list(members)}
        self.scenery.cloud.octavia("PUT", f"/pools/{self.pool}/members", body)
        self.settle()

    def usual(self, **values: object) -> list[Json]:
        """Describe the members of the healthy shop."""
        guests = self.scenery.stack.guests
        return [
            {
                "address": guests.get(name).address(),
                "protocol_port": 80,
                "subnet_id": self.scenery.web,
                "weight": 1,
                **values,
            }
            for name in BACKENDS
        ]

    def port(self, guest: str) -> str:
        """Return the id of a guest's port."""
        return self.scenery.stack.guests.get(guest).port_id

    def set_port(self, guest: str, **values: object) -> None:
        """Change a guest's port."""
        path = f"/v2.0/ports/{self.port(guest)}"
        self.scenery.cloud.put("network", path, {"port": values})

    def gets_through(self, client: str, address: str = "") -> bool:
        """Send a request."""
        url = f"http://{address or self.vip}/"
        return self.scenery.stack.guests.fetch(client, url, timeout=1.5) is not None

    def trace(self, sender: str, *options: str) -> tuple[int, dict[str, Any]]:
        """Run `octavia-ovn trace` as an operator would; return exit status and answer."""
        conf = str(self.scenery.stack.settings.etc / "octavia.conf")
        words = ["trace", self.lb["id"], "--from", sender, "--json", "--config-file", conf]
        done = CliRunner().invoke(main, [*words, *options])
        assert done.exit_code in (0, 1), done.output
        (answer,) = json.loads(done.stdout)
        return done.exit_code, answer


def _network(scenery: Scenery) -> str:
    found = scenery.cloud.get("network", f"/v2.0/subnets/{scenery.web}")
    return str(found["subnet"]["network_id"])


Breaks = "Callable[[Shop], contextlib.AbstractContextManager[None]]"


def _mending(steps: Callable[[Shop], Iterator[None]]) -> Breaks:
    """Make a context of what breaks, yields and mends, that mends also when the test has failed."""

    @contextlib.contextmanager
    def context(shop: Shop) -> Iterator[None]:
        both = steps(shop)
        next(both)
        try:
            yield
        finally:
            next(both, None)

    return context


# --- ways to break it ------------------------------------------------------------------------


def _down(kind: str) -> Breaks:
    """Return what switches off an object of Octavia's."""

    @_mending
    def broken(shop: Shop) -> Iterator[None]:
        ids = {"loadbalancers": shop.lb["id"], "listeners": shop.listener}
        shop.change(kind, ids[kind], admin_state_up=False)
        yield
        shop.change(kind, ids[kind], admin_state_up=True)

    return broken


def _members(
    describe: Callable[[Shop], list[Json]],
) -> Breaks:
    """Return what puts other members into the pool."""

    @_mending
    def broken(shop: Shop) -> Iterator[None]:
        shop.members(*describe(shop))
        yield
        shop.members(*shop.usual())

    return broken


def _drained(shop: Shop) -> list[Json]:
    return shop.usual(weight=0)


def _nothing(_: Shop) -> list[Json]:
    return []


def _on_the_island(shop: Shop) -> list[Json]:
    address = shop.scenery.stack.guests.get("castaway").address()
    return [{"address": address, "protocol_port": 80, "subnet_id": shop.island["id"]}]


@_mending
def _fenced(shop: Shop) -> Iterator[None]:
    shop.change("listeners", shop.listener, allowed_cidrs=["192.0.2.0/24"])
    yield
    shop.change("listeners", shop.listener, allowed_cidrs=[])


@_mending
def _dead(shop: Shop) -> Iterator[None]:
    cloud, guests = shop.scenery.cloud, shop.scenery.stack.guests
    monitor = {**MONITOR, "pool_id": shop.pool, "name": "alive"}
    made = cloud.octavia("POST", "/healthmonitors", {"healthmonitor": monitor})["healthmonitor"]
    shop.settle()
    for name in BACKENDS:
        guests.stop_server(name)
    path = f"/pools/{shop.pool}/members"
    until(
        lambda: {m["operating_status"] for m in cloud.octavia("GET", path)["members"]} == {"ERROR"}
    )
    yield
    for name in BACKENDS:
        guests.start_server(name)
    cloud.octavia("DELETE", f"/healthmonitors/{made['id']}")
    shop.settle()


@contextlib.contextmanager
def _without_agent(shop: Shop) -> Iterator[None]:
    """While no agent repairs the rows."""
    agent = octavia.provider_agent_pid(shop.scenery.stack.supervisor)
    os.kill(agent, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(agent, signal.SIGCONT)


@_mending
def _detached(shop: Shop) -> Iterator[None]:
    (switch,) = {
        f"neutron-{port['network_id']}"
        for port in shop.scenery.cloud.neutron("ports", id=shop.port("far"))
    }
    with _without_agent(shop):
        shop.scenery.nb("--wait=hv", "ls-lb-del", switch, shop.row())
        yield
        shop.scenery.nb("ls-lb-add", switch, shop.row())


@_mending
def _no_entry(shop: Shop) -> Iterator[None]:
    with _without_agent(shop):
        words = ("remove", "Load_Balancer", shop.row(), "vips", f'"{shop.vip}:80"')
        shop.scenery.nb("--wait=hv", *words)
        yield


@_mending
def _answering_vip_port(shop: Shop) -> Iterator[None]:
    port = shop.lb["vip_port_id"]
    mac = shop.scenery.cloud.get("network", f"/v2.0/ports/{port}")["port"]["mac_address"]
    with _without_agent(shop):
        # Neutron has OVN answer only for ports that are up; other installations do not.
        shop.scenery.nb("set", "NB_Global", ".", "options:ignore_lsp_down=true")
        shop.scenery.nb("--wait=hv", "lsp-set-addresses", port, f"{mac} {shop.vip}")
        _forget_neighbours(shop)
        yield
        shop.scenery.nb("lsp-set-addresses", port)
        shop.scenery.nb("--wait=hv", "set", "NB_Global", ".", "options:ignore_lsp_down=false")
    _forget_neighbours(shop)


def _forget_neighbours(shop: Shop) -> None:
    shop.scenery.stack.guests.run("near", ("ip", "neigh", "flush", "all"))


@_mending
def _no_router(shop: Shop) -> Iterator[None]:
    with _without_agent(shop):
        disconnect(shop.scenery.cloud, shop.router, shop.scenery.web)
        _forget_neighbours(shop)
        ovn.sync(shop.scenery.stack.settings)
        yield
        connect(shop.scenery.cloud, shop.router, shop.scenery.web)
    _forget_neighbours(shop)


def _guarded(*guests: str, **rule: object) -> Breaks:
    """Return what puts guests into a security group with one rule, or none."""

    @_mending
    def broken(shop: Shop) -> Iterator[None]:
        cloud = shop.scenery.cloud
        group = cloud.create("security_group", name="strict")
        for each in group["security_group_rules"]:
            cloud.delete("network", f"/v2.0/security-group-rules/{each['id']}")
        if rule:
            given = {
                key: shop.vip + "/32" if value == "VIP" else value for key, value in rule.items()
            }
            cloud.create("security_group_rule", security_group_id=group["id"], **given)
        before = cloud.neutron("security-groups", name="default", project_id=cloud.project_id)
        for guest in guests:
            shop.set_port(guest, security_groups=[group["id"]])
        shop.settle()
        yield
        for guest in guests:
            shop.set_port(guest, security_groups=[before[0]["id"]])
        cloud.delete("network", f"/v2.0/security-groups/{group['id']}")

    return broken


@_mending
def _members_unplugged(shop: Shop) -> Iterator[None]:
    settings, guests = shop.scenery.stack.settings, shop.scenery.stack.guests
    found = [guests.get(name) for name in BACKENDS]
    for guest in found:
        ovn.unplug(settings, guest.device)
    shop.settle()
    yield
    for guest in found:
        ovn.plug(settings, "br-int", guest.device, port_id=guest.port_id)


@_mending
def _as_it_is(_: Shop) -> Iterator[None]:
    yield


@dataclasses.dataclass(frozen=True)
class Fault:
    """A way to break it, the client that suffers, and what must be said.

    :param check: the check that fails
    :param words: of its sentence
    """

    broken: Breaks
    client: str
    check: str
    words: str


FAULTS = {
    "load balancer down": Fault(
        _down("loadbalancers"), "near", "load-balancer", "administratively down"
    ),
    "listener down": Fault(_down("listeners"), "far", "listener", "administratively down"),
    "no members": Fault(_members(_nothing), "near", "members", "has no members"),
    "all drained": Fault(_members(_drained), "far", "members", "has weight 0"),
    "all dead": Fault(_dead, "far", "backends", "is DOWN according to its health monitor"),
    "member without a route": Fault(
        _members(_on_the_island), "far", "backends", "network island, subnet 10.9.0.0/24"
    ),
    "members unplugged": Fault(
        _members_unplugged, "near", "backends", "is not bound to a hypervisor"
    ),
    "members' security groups": Fault(
        _guarded(*BACKENDS), "far", "backends", "do not let packets in"
    ),
    "client may send nothing": Fault(
        _guarded("far"), "far", "client-security-groups", "ACLs forbid the client's packets to TCP"
    ),
    "client may send to the VIP only": Fault(
        _guarded("near", direction="egress", remote_ip_prefix="VIP"),
        "near",
        "client-security-groups",
        "ACLs forbid the client's packets to the member",
    ),
    "client not allowed": Fault(
        _fenced, "far", "allowed-cidrs", "(192.0.2.0/24) do not contain 10.0.1."
    ),
    "client without a router": Fault(
        _as_it_is, "castaway", "address", "No router connects the client's network island"
    ),
    "client outside, no floating IP": Fault(_as_it_is, "outside", "address", "no floating IP"),
    "not attached": Fault(
        _detached, "far", "attachment", "not attached to the client's network office"
    ),
    "no entry in vips": Fault(_no_entry, "near", "vips", ":80 is missing from vips"),
    "VIP port answers": Fault(_answering_vip_port, "near", "vip-port", "has addresses"),
    "network without a router": Fault(_no_router, "near", "vip-port", "Nothing answers ARP"),
}
