# SPDX-License-Identifier: Apache-2.0
"""Neutron's routers: interfaces and gateways."""

from tests.lab.errors import NotFound
from tests.lab.networks import PROJECT, Networks, new_id
from tests.lab.ovn_mirror import ROUTER_GATEWAY, ROUTER_INTERFACE


class Routers(Networks):
    """Networks and the routers between them."""

    def __init__(self, nb_client):
        super().__init__(nb_client)
        self.routers = {}

    def add_router(self, name=""):
        router = {
            "id": new_id(),
            "name": name,
            "project_id": PROJECT,
            "admin_state_up": True,
            "status": "ACTIVE",
            "external_gateway_info": None,
        }
        with self._lock:
            self.routers[router["id"]] = router
            self._mirror.create_router(router)
        return router

    def delete_router(self, router_id):
        with self._lock:
            router = self._get(self.routers, router_id)
            for port in list(self._router_ports(router_id)):
                self._remove_router_port(router_id, port)
            del self.routers[router_id]
            self._mirror.delete_router(router)

    def router_add_interface(self, router_id, *subnet_ids):
        """Add one interface with an address on each subnet, all of one network."""
        with self._lock:
            subnets = [self._get(self.subnets, subnet_id) for subnet_id in subnet_ids]
            port = self.create_port(
                network_id=subnets[0]["network_id"],
                device_id=router_id,
                device_owner=ROUTER_INTERFACE,
                port_security_enabled=False,
                fixed_ips=[
                    {"subnet_id": subnet["id"], "ip_address": self._interface_address(subnet)}
                    for subnet in subnets
                ],
            )
            self._mirror.create_router_port(router_id, port, self._prefix_lengths(port))
        return port

    def _interface_address(self, subnet):
        """The gateway's, or another one where a router has that already."""
        if self._addresses.is_used(subnet["id"], subnet["gateway_ip"]):
            return self._addresses.free(subnet["id"])
        return subnet["gateway_ip"]

    def router_remove_interface(self, router_id, subnet_id):
        with self._lock:
            for port in list(self._router_ports(router_id)):
                if any(ip["subnet_id"] == subnet_id for ip in port["fixed_ips"]):
                    self._remove_router_port(router_id, port)
                    return
        raise NotFound(f"Router {router_id} has no interface on {subnet_id}")

    def set_gateway(self, router_id, network_id, **binding):
        """Set the gateway, with an address of each family that the network has.

        :param binding: gateway_chassis or ha_chassis_group, the name of either
        """
        with self._lock:
            by_version = {}
            for subnet_id in self.network(network_id)["subnets"]:
                by_version.setdefault(self.subnets[subnet_id]["ip_version"], subnet_id)
            port = self.create_port(
                network_id=network_id,
                device_id=router_id,
                project_id="",
                device_owner=ROUTER_GATEWAY,
                port_security_enabled=False,
                fixed_ips=[{"subnet_id": subnet_id} for subnet_id in by_version.values()],
            )
            self._mirror.create_router_port(router_id, port, self._prefix_lengths(port), **binding)
            self._get(self.routers, router_id)["external_gateway_info"] = {
                "network_id": network_id,
                "external_fixed_ips": port["fixed_ips"],
            }
        return port

    def clear_gateway(self, router_id):
        with self._lock:
            self._get(self.routers, router_id)["external_gateway_info"] = None
            for port in list(self._router_ports(router_id)):
                if port["device_owner"] == ROUTER_GATEWAY:
                    self._remove_router_port(router_id, port)

    def vanish_network(self, network_id):
        """Delete a network with all that is on it, which no API allows."""
        with self._lock:
            for port in [p for p in self.ports.values() if p["network_id"] == network_id]:
                if port["device_owner"] in (ROUTER_INTERFACE, ROUTER_GATEWAY):
                    self._remove_router_port(port["device_id"], port)
                else:
                    self.delete_port(port["id"])
        self.delete_network(network_id)

    def _router_ports(self, router_id):
        return (port for port in self.ports.values() if port["device_id"] == router_id)

    def _remove_router_port(self, router_id, port):
        self._mirror.delete_router_port(router_id, port)
        self._remove_port(port)

    def _router_between(self, subnet_id, external_network_id):
        for port in self.ports.values():
            if port["device_owner"] == ROUTER_INTERFACE and any(
                ip["subnet_id"] == subnet_id for ip in port["fixed_ips"]
            ):
                gateway = self.routers[port["device_id"]]["external_gateway_info"] or {}
                if gateway.get("network_id") == external_network_id:
                    return port["device_id"]
        raise NotFound(
            f"External network {external_network_id} is not reachable from subnet {subnet_id}"
        )
