# SPDX-License-Identifier: Apache-2.0
"""What the sandbox tests play in: two networks behind a router, servers, clients, an outside."""

from __future__ import annotations

import collections
import dataclasses
from typing import TYPE_CHECKING

from sandbox import ovn, shell
from tests.sandbox.waiting import until

if TYPE_CHECKING:
    from sandbox.api import Cloud, Json
    from sandbox.stack import Stack

BACKENDS = ("web1", "web2")
_OUTSIDE_ADDRESS = "172.24.4.200/24"
_POOL = {"start": "172.24.4.2", "end": "172.24.4.199"}


@dataclasses.dataclass(frozen=True)
class Scenery:
    """Names and ids of what was made, and short ways to use it."""

    stack: Stack
    cloud: Cloud
    public: str
    """Network."""
    web: str
    """Subnet of the servers and of the client `near`."""
    office: str
    """Subnet of the client `far`."""

    @classmethod
    def build(cls, stack: Stack) -> Scenery:
        """Make everything, once; in a sandbox that was up before it may stand already."""
        cloud = stack.cloud()
        if cloud.neutron("networks", name="office"):
            (public,) = cloud.neutron("networks", name="public")
            (web,), (office,) = (cloud.neutron("subnets", name=name) for name in ("web", "office"))
            return cls(stack, cloud, public["id"], web["id"], office["id"])
        physical = {
            "provider:network_type": "flat",
            "provider:physical_network": ovn.PHYSICAL_NETWORK,
            "router:external": True,
        }
        public, subnet = _network(cloud, "public", "172.24.4.0/24", enable_dhcp=False, **physical)
        # Guests outside have addresses that Neutron must not give to anybody else.
        pools = {"subnet": {"allocation_pools": [_POOL]}}
        cloud.put("network", f"/v2.0/subnets/{subnet}", pools)
        web_network, web = _network(cloud, "web", "10.0.0.0/24")
        office_network, office = _network(cloud, "office", "10.0.1.0/24")
        router = cloud.create("router", external_gateway_info={"network_id": public})["id"]
        for subnet in (web, office):
            path = f"/v2.0/routers/{router}/add_router_interface"
            cloud.put("network", path, {"subnet_id": subnet})
        _allow_web(cloud)
        for name in BACKENDS:
            stack.guests.create(cloud, name, network=web_network)
            stack.guests.start_server(name)
        stack.guests.create(cloud, "near", network=web_network)
        stack.guests.create(cloud, "far", network=office_network)
        stack.guests.create_outside("outside", [_OUTSIDE_ADDRESS])
        return cls(stack=stack, cloud=cloud, public=public, web=web, office=office)

    # --- load balancers ------------------------------------------------------------------

    def load_balancer(self, *, wait: bool = True, **values: object) -> Json:
        """Create one with its VIP on the web subnet, or as `values` say."""
        body = {"vip_subnet_id": self.web, "provider": "ovn", "name": "test", **values}
        made: Json = self.cloud.octavia("POST", "/loadbalancers", {"loadbalancer": body})[
            "loadbalancer"
        ]
        return self.cloud.wait_for(made["id"]) if wait else made

    def listener(self, lb: Json, *, wait: bool = True, **values: object) -> Json:
        """Create one on TCP port 80, or as `values` say."""
        body = {"loadbalancer_id": lb["id"], "protocol": "TCP", "protocol_port": 80, **values}
        made: Json = self.cloud.octavia("POST", "/listeners", {"listener": body})["listener"]
        if wait:
            self.cloud.wait_for(lb["id"])
        return made

    def pool(self, lb: Json, listener: Json) -> Json:
        """Create one as the listener's default."""
        body = {
            "listener_id": listener["id"],
            "protocol": "TCP",
            "lb_algorithm": "SOURCE_IP_PORT",
        }
        made: Json = self.cloud.octavia("POST", "/pools", {"pool": body})["pool"]
        self.cloud.wait_for(lb["id"])
        return made

    def member(self, lb: Json, pool: Json, address: str, *, wait: bool = True) -> Json:
        """Create one on port 80 of the web subnet."""
        body = {"member": {"address": address, "protocol_port": 80, "subnet_id": self.web}}
        made: Json = self.cloud.octavia("POST", f"/pools/{pool['id']}/members", body)["member"]
        if wait:
            self.cloud.wait_for(lb["id"])
        return made

    def complete(self) -> Json:
        """Create a load balancer with listener, pool and both servers; flows are in place."""
        lb = self.load_balancer()
        pool = self.pool(lb, self.listener(lb))
        for name in BACKENDS:
            self.member(lb, pool, self.stack.guests.get(name).address())
        ovn.sync(self.stack.settings)
        return lb

    def floating_ip(self, lb: Json) -> str:
        """Give the VIP a floating IP; load_balancer rows follow within a moment."""
        made = self.cloud.create(
            "floatingip", floating_network_id=self.public, port_id=lb["vip_port_id"]
        )
        address = str(made["floating_ip_address"])
        until(lambda: address in self.nb("list", "Load_Balancer"))
        ovn.sync(self.stack.settings)
        return address

    def statuses(self, lb: Json) -> Json:
        """Return the tree of statuses."""
        found: Json = self.cloud.octavia("GET", f"/loadbalancers/{lb['id']}/status")
        return dict(found["statuses"]["loadbalancer"])

    def delete_load_balancers(self) -> None:
        """Delete all there are, the floating IPs, and ports that a failed test left."""
        for floating in self.cloud.neutron("floatingips"):
            self.cloud.delete("network", f"/v2.0/floatingips/{floating['id']}")
        for lb in self.cloud.octavia("GET", "/loadbalancers")["loadbalancers"]:
            self.cloud.octavia("DELETE", f"/loadbalancers/{lb['id']}?cascade=true")
            self.cloud.wait_for(lb["id"], "DELETED")
        for port in self._ports():
            self.cloud.delete("network", f"/v2.0/ports/{port['id']}")

    # --- looking -------------------------------------------------------------------------

    def nb(self, *words: str) -> str:
        """Return what ovn-nbctl prints."""
        environment = self.stack.settings.base_environment
        return shell.run(["ovn-nbctl", "--timeout=30", *words], env=environment)

    def left_in_nb(self) -> dict[str, str]:
        """Return what of load balancers is in NB, by table and column; empty when nothing is."""
        left = {
            f"{table}.{column}": self.nb("--bare", f"--columns={column}", "list", table).strip()
            for table, column in (
                ("Load_Balancer", "name"),
                ("Load_Balancer_Health_Check", "vip"),
                ("Load_Balancer_Group", "name"),
                ("Logical_Switch", "load_balancer"),
                ("Logical_Router", "load_balancer"),
            )
        }
        return {name: text for name, text in left.items() if text}

    def left_in_neutron(self) -> list[str]:
        """Return the names of ports made for load balancers."""
        return [port["name"] or port["id"] for port in self._ports()]

    def _ports(self) -> list[Json]:
        return [
            port
            for port in self.cloud.neutron("ports")
            if port["name"].startswith("ovn-lb-") or port["device_id"].startswith("lb-")
        ]

    def ask(self, client: str, address: str, requests: int = 20) -> collections.Counter[str]:
        """Send HTTP requests from a guest; count answers by server, "" for none."""
        answers: collections.Counter[str] = collections.Counter()
        for _ in range(requests):
            text = self.stack.guests.fetch(client, f"http://{address}/")
            answers[text.split()[0] if text else ""] += 1
        return answers


def _network(
    cloud: Cloud, name: str, cidr: str, *, enable_dhcp: bool = True, **values: object
) -> tuple[str, str]:
    """Return the ids of a new network and its subnet."""
    network = cloud.create("network", name=name, **values)["id"]
    subnet = cloud.create(
        "subnet", network_id=network, cidr=cidr, ip_version=4, enable_dhcp=enable_dhcp, name=name
    )
    return network, subnet["id"]


def _allow_web(cloud: Cloud) -> None:
    groups = cloud.neutron("security-groups", name="default", project_id=cloud.project_id)
    cloud.create(
        "security_group_rule",
        security_group_id=groups[0]["id"],
        direction="ingress",
        protocol="tcp",
        port_range_min=80,
        port_range_max=80,
    )
