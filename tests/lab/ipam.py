# SPDX-License-Identifier: Apache-2.0
"""IP address management: which addresses of subnets are in use."""

import ipaddress

from tests.lab.errors import BadRequest, Conflict


class Addresses:
    """The addresses of ports.

    :param subnets: Neutron's subnets by id, which come and go
    """

    def __init__(self, subnets):
        self._subnets = subnets
        self._used = {}

    def add_subnet(self, subnet_id):
        self._used.setdefault(subnet_id, set())

    def add(self, fixed_ip):
        """Know an address that is in use already."""
        self._used[fixed_ip["subnet_id"]].add(fixed_ip["ip_address"])

    def is_used(self, subnet_id, address):
        return address in self._used[subnet_id]

    def allocate(self, network, requested):
        """Give addresses as asked for, or one on the first subnet."""
        if requested is None:
            requested = [{"subnet_id": subnet_id} for subnet_id in network["subnets"][:1]]
        taken = []
        for fixed_ip in requested:
            address = fixed_ip.get("ip_address")
            subnet_id = fixed_ip.get("subnet_id") or self._subnet_of(network, address)
            if subnet_id not in network["subnets"]:
                raise BadRequest(f"{subnet_id} is not on the network")
            address = str(ipaddress.ip_address(address or self.free(subnet_id)))
            if address in self._used[subnet_id]:
                raise Conflict(f"IP address {address} already allocated in subnet {subnet_id}")
            self._used[subnet_id].add(address)
            taken.append({"subnet_id": subnet_id, "ip_address": address})
        return taken

    def _subnet_of(self, network, address):
        for subnet_id in network["subnets"]:
            if ipaddress.ip_address(address) in ipaddress.ip_network(
                self._subnets[subnet_id]["cidr"]
            ):
                return subnet_id
        raise BadRequest(f"{address} is on no subnet of the network")

    def free(self, subnet_id):
        """Return a free address that is not the gateway's."""
        subnet = self._subnets[subnet_id]
        used = self._used[subnet_id]
        net = ipaddress.ip_network(subnet["cidr"])
        for number in range(2, net.num_addresses - 1):
            address = str(net[number])
            if address not in used and address != subnet["gateway_ip"]:
                return address
        raise Conflict(f"No more addresses on {subnet_id}")

    def release(self, port):
        for fixed_ip in port["fixed_ips"]:
            self._used[fixed_ip["subnet_id"]].discard(fixed_ip["ip_address"])
