# SPDX-License-Identifier: Apache-2.0
"""Networks and routers, as the scenarios speak of them."""

import itertools

from tests.lab.ovn_mirror import ovn_name

_octets = itertools.cycle(range(1, 250))


class Network:
    """A network with a subnet for each address family asked for."""

    def __init__(self, neutron, families=(4,), **options):
        self._neutron = neutron
        octet = next(_octets)
        cidrs = {4: f"10.{octet}.0.0/24", 6: f"fd00:{octet:x}::/64"}
        self.network = neutron.add_network(**options)
        self.id = self.network["id"]
        self.name = ovn_name(self.id)
        self.subnets = {
            family: neutron.add_subnet(self.id, cidrs[family])["id"] for family in families
        }

    @property
    def subnet(self):
        """The id of the first subnet."""
        return next(iter(self.subnets.values()))

    def another_subnet(self, cidr):
        return self._neutron.add_subnet(self.id, cidr)["id"]

    def port(self, subnet=None, address=None):
        """Make a port of a VM."""
        return self._neutron.add_port(subnet or self.subnet, ip_address=address)

    def vm(self, subnet=None, address=None):
        """Make a VM; return its address."""
        return self.port(subnet, address)["fixed_ips"][0]["ip_address"]


class Router:
    """A router, perhaps with a gateway to an external network."""

    def __init__(self, neutron, networks=(), external=None):
        self._neutron = neutron
        self.id = neutron.add_router()["id"]
        self.name = ovn_name(self.id)
        self.external = external
        if external:
            neutron.set_gateway(self.id, external.id)
        for network in networks:
            self.connect(network)

    def connect(self, network):
        for subnet in network.subnets.values():
            self._neutron.router_add_interface(self.id, subnet)

    def disconnect(self, network):
        for subnet in network.subnets.values():
            self._neutron.router_remove_interface(self.id, subnet)
