# SPDX-License-Identifier: Apache-2.0
"""A project's networks, and load balancers of the shapes the lab uses."""

import itertools

_second_octets = itertools.cycle(range(1, 250))


class Tenant:
    """A router with a gateway, a network on it, and VMs.

    :param connected: whether the network is on the router from the start
    """

    def __init__(self, lab, name, connected=True):
        self.lab = lab
        neutron = lab.neutron
        octet = next(_second_octets)
        self.network = neutron.add_network(name)
        self.subnet = neutron.add_subnet(self.network["id"], f"10.{octet}.0.0/16")
        self.external = neutron.add_network(
            f"{name}-public", physical_network="public", external=True
        )
        neutron.add_subnet(self.external["id"], f"172.24.{octet}.0/24")
        self.router = neutron.add_router(name)
        neutron.set_gateway(self.router["id"], self.external["id"])
        if connected:
            self.connect()
        self._vms = []

    def connect(self):
        """Add the router's interface on the network."""
        self.lab.neutron.router_add_interface(self.router["id"], self.subnet["id"])

    def vm(self, number):
        """Return the address of the n-th VM, made when first asked for."""
        while len(self._vms) <= number:
            port = self.lab.neutron.add_port(self.subnet["id"])
            self._vms.append(port)
        return self._vms[number]["fixed_ips"][0]["ip_address"]

    def vm_port(self, number):
        self.vm(number)
        return self._vms[number]

    def member(self, number, port=80):
        """API dict of a member on the n-th VM."""
        return {"address": self.vm(number), "protocol_port": port, "subnet_id": self.subnet["id"]}

    def create_lb(self, listeners=0, pools=0, members=0, name="lab", port=8000):
        """Fully populated create; listener i has pool i as its default.

        :param port: of the members of the first pool, those of others follow
        """
        pool_names = [f"pool-{number}" for number in range(pools)]
        return self.lab.octavia.create_load_balancer(
            self.subnet["id"],
            name=name,
            pools=[
                {
                    "name": pool,
                    "protocol": "TCP",
                    "lb_algorithm": "SOURCE_IP_PORT",
                    "members": [self.member(number, port + index) for number in range(members)],
                }
                for index, pool in enumerate(pool_names)
            ],
            listeners=[
                {
                    "name": f"listener-{index}",
                    "protocol": "TCP",
                    "protocol_port": 80 + index,
                    "default_pool": pool_names[index] if index < pools else None,
                }
                for index in range(listeners)
            ],
        )

    def create_lbs(self, count, **shape):
        """Create that many, one by one; return their ids."""
        ids = []
        for number in range(count):
            operation = self.create_lb(name=f"lb-{number}", **shape)
            self.lab.octavia.wait_active(operation.id, 60)
            ids.append(operation.id)
        return ids
