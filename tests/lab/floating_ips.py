# SPDX-License-Identifier: Apache-2.0
"""Neutron's floating IPs, and which of them are distributed."""

import ipaddress

from tests.lab.networks import PROJECT, new_id
from tests.lab.routers import Routers

FIP_OWNER = "network:floatingip"


class FloatingIps(Routers):
    """Networks and routers, and floating IPs of ports."""

    def __init__(self, nb_client):
        super().__init__(nb_client)
        self.floatingips = {}
        self.distributed_floating_ips = False

    def delete_port(self, port_id):
        with self._lock:
            for fip in self.floatingips.values():
                if fip["port_id"] == port_id:
                    self.disassociate_fip(fip["id"])
            super().delete_port(port_id)

    def create_fip(self, external_network_id):
        """Create a floating IP that belongs to no port yet."""
        with self._lock:
            fip_id = new_id()
            outside = self.create_port(
                network_id=external_network_id,
                device_id=fip_id,
                device_owner=FIP_OWNER,
                project_id="",
                fixed_ips=[{"subnet_id": self._ipv4_subnet(external_network_id)}],
            )
            fip = {
                "id": fip_id,
                "project_id": PROJECT,
                "status": "DOWN",
                "floating_network_id": external_network_id,
                "floating_ip_address": outside["fixed_ips"][0]["ip_address"],
                "fixed_ip_address": None,
                "port_id": None,
                "router_id": None,
                "description": "",
                "port_details": None,
            }
            self.floatingips[fip["id"]] = fip
        return fip

    def associate_fip(self, port_id, external_network_id, fixed_ip_address=None):
        """Create a floating IP on an address of a port, the first IPv4 one by default."""
        with self._lock:
            fip = self.create_fip(external_network_id)
            return self.update_fip(fip["id"], port_id=port_id, fixed_ip_address=fixed_ip_address)

    def disassociate_fip(self, fip_id):
        with self._lock:
            fip = self._get(self.floatingips, fip_id)
            port_id, router_id = fip["port_id"], fip["router_id"]
            fip.update(port_id=None, router_id=None, fixed_ip_address=None, status="DOWN")
            self.ports.get(port_id, {}).pop("fip_address", None)
            self._mirror.disassociate_fip(fip, port_id, router_id)
            self._recompute_members(port_id)
        return fip

    def update_fip(self, fip_id, **attributes):
        """Serve PUT: a change of port, or just of the description."""
        with self._lock:
            fip = self._get(self.floatingips, fip_id)
            wanted = attributes.pop("port_id", fip["port_id"])
            address = attributes.pop("fixed_ip_address", None)
            fip.update(attributes)
            if not wanted:
                return self.disassociate_fip(fip_id) if fip["port_id"] else fip
            if wanted == fip["port_id"]:
                # Neutron computes again whether the floating IP may be distributed.
                self._mirror.refresh_fip(fip, self.port(wanted), self._is_distributed(fip))
                return fip
            if fip["port_id"]:
                self.disassociate_fip(fip_id)
            self._attach_fip(fip, self.port(wanted), address)
        return fip

    def delete_fip(self, fip_id):
        with self._lock:
            fip = self._get(self.floatingips, fip_id)
            if fip["port_id"]:
                self.disassociate_fip(fip_id)
            del self.floatingips[fip_id]
            for port in list(self.ports.values()):
                if port["device_id"] == fip_id:
                    self._remove_port(port)

    def _attach_fip(self, fip, port, address):
        fixed_ip = next(
            ip
            for ip in port["fixed_ips"]
            if ip["ip_address"] == address
            or (not address and ipaddress.ip_address(ip["ip_address"]).version == 4)
        )
        router_id = self._router_between(fixed_ip["subnet_id"], fip["floating_network_id"])
        fip.update(
            port_id=port["id"],
            status="ACTIVE",
            router_id=router_id,
            fixed_ip_address=fixed_ip["ip_address"],
        )
        port["fip_address"] = fip["floating_ip_address"]
        self._mirror.associate_fip(fip, port, self._is_distributed(fip))
        self._recompute_members(port["id"])

    def _recompute_members(self, vip_port_id):
        """Centralise the members of a load balancer whose VIP has a floating IP, or let go."""
        if not self.distributed_floating_ips:
            return
        members = self._mirror.members_behind(vip_port_id)
        for fip in self.floatingips.values():
            if (fip["fixed_ip_address"], self._subnet_of_fip(fip)) in members:
                self._mirror.refresh_fip(fip, self.port(fip["port_id"]), self._is_distributed(fip))

    def _is_distributed(self, fip):
        """A member's floating IP is not, for the reply has to pass where the VIP is."""
        return self.distributed_floating_ips and not self._mirror.is_member(
            self.port(fip["port_id"])["network_id"],
            fip["fixed_ip_address"],
            self._subnet_of_fip(fip),
        )

    def _subnet_of_fip(self, fip):
        port = self.ports.get(fip["port_id"], {"fixed_ips": ()})
        return next(
            (
                ip["subnet_id"]
                for ip in port["fixed_ips"]
                if ip["ip_address"] == fip["fixed_ip_address"]
            ),
            None,
        )

    def _ipv4_subnet(self, network_id):
        return next(
            subnet_id
            for subnet_id in self.network(network_id)["subnets"]
            if self.subnets[subnet_id]["ip_version"] == 4
        )
