# SPDX-License-Identifier: Apache-2.0
"""Neutron and Octavia, as far as the agent calls them."""

import dataclasses

from octavia_ovn.core.codec import neutron
from octavia_ovn.core.codec.neutron import hm_port_name
from octavia_ovn.core.dependencies import Resource
from octavia_ovn.core.neutron_port import SeenPort
from octavia_ovn.core.pending import Kind
from octavia_ovn.errors import Conflict, NotFound, Unavailable
from tests.controller.outside import SERVICE


@dataclasses.dataclass(frozen=True)
class FixedIp:
    address: str
    subnet_id: str


@dataclasses.dataclass
class Port:
    id: str
    name: str = ""
    device_owner: str = ""
    network_id: str = "net1"
    fixed_ips: tuple = ()
    device_id: str = ""
    project_id: str | None = None

    def is_vip_of(self, lb_id):
        return neutron.is_vip_port(self.name, self.device_id, self.device_owner, lb_id)


class Neutron:
    """Ports and subnets. With `error` set it raises that instead of doing anything."""

    def __init__(self, nb):
        self._nb = nb
        self.error = None
        self.ports = {}
        self.subnets = {}
        self.touched = []
        self.refusal = None

    def _answer(self):
        if self.error is not None:
            raise self.error

    def subnet(self, subnet_id):
        self._answer()
        if subnet_id not in self.subnets:
            raise NotFound(subnet_id)
        return self.subnets[subnet_id]

    def port(self, port_id):
        self._answer()
        if port_id not in self.ports:
            raise NotFound(port_id)
        return self.ports[port_id]

    def project(self):
        """Keystone says it: it may be away, but refuses nothing."""
        if isinstance(self.error, Unavailable):
            raise self.error
        return SERVICE

    def adopt_vip_port(self, port_id, lb_id):
        self._answer()
        self.ports[port_id].device_owner = ""
        self.ports[port_id].device_id = f"lb-{lb_id}"

    def create_vip_port(
        self, lb_id, project_id, network_id, subnet_id=None, address=None, index=None
    ):
        self._answer()
        if self.refusal is not None:
            raise self.refusal
        name = f"ovn-lb-vip-{lb_id}" if index is None else f"ovn-lb-vip-additional-{index}-{lb_id}"
        if any(address in (each.address for each in port.fixed_ips) for port in self.all_ports()):
            raise Conflict(f"{address} is in use")
        fixed_ips = (FixedIp(address, subnet_id),)
        made = Port("new-port", name, fixed_ips=fixed_ips, project_id=project_id)
        self.ports[made.id] = made
        return made

    def set_address(self, port_id, subnet_id, address):
        self._answer()
        if any(address in (each.address for each in port.fixed_ips) for port in self.all_ports()):
            raise Conflict(f"{address} is in use")
        self.ports[port_id].fixed_ips = (FixedIp(address, subnet_id),)
        return self.ports[port_id]

    def all_ports(self):
        return self.ports.values()

    def touch_port(self, port_id, address):
        self._answer()
        self.touched.append(port_id)

    def touch_floating_ip(self, fip_id):
        self._answer()
        self.touched.append(fip_id)

    def look_at(self, port_id):
        return SeenPort(self.port(port_id), 0.0)

    def delete_vip_port(self, port_id, lb_id, project_id, seen):
        self._answer()
        assert seen is None or seen.port.id == port_id
        port = self.ports.get(port_id)
        if port is None:
            self.delete_vip_ports(lb_id)
        elif port.is_vip_of(lb_id):
            del self.ports[port_id]

    def delete_vip_ports(self, lb_id):
        self._answer()
        self.ports = {
            key: port for key, port in self.ports.items() if port.name != f"ovn-lb-vip-{lb_id}"
        }

    def make_hm_port(self, subnet_id, network_id, project_id, kind=Resource.MONITORED):
        """Make the port; its switch port is there a moment later, when OVN has it."""
        self._answer()
        name = hm_port_name(subnet_id, kind)
        address = FixedIp("10.0.0.9" if kind is Resource.MONITORED else "10.0.0.7", subnet_id)
        made = Port(name, name, fixed_ips=(address,), project_id=project_id)
        return self.ports.setdefault(name, made)

    def delete_hm_ports(self, subnet_id, kind=Resource.MONITORED):
        self._answer()
        self.ports.pop(hm_port_name(subnet_id, kind), None)


class Octavia:
    """Octavia: its trees, and the reports it has received. With `error` set it receives none."""

    def __init__(self):
        self.trees = {}
        self.kept = frozenset()
        self.leaving = True
        self.error = None
        self.provisioning = {}
        self.operating = {}
        self.messages = []
        self.updated = {}

    def tree(self, lb_id):
        if self.error is not None:
            raise self.error
        return self.trees.get(lb_id)

    def exists(self, lb_id):
        return self.tree(lb_id) is not None

    def updated_groups(self, lb_id):
        """The security groups of an update, once a test says that it is committed."""
        if self.error is not None:
            raise self.error
        return self.updated.get(lb_id)

    def is_leaving(self, lb_id):
        if self.error is not None:
            raise self.error
        return None if self.provisioning.get(lb_id) == "ERROR" else self.leaving

    def belonging(self, lb_id, keys):
        """The load balancer, and all that rows say is below it but for what a test has `kept`."""
        if self.error is not None:
            raise self.error
        return frozenset(keys) - (self.kept - {(Kind.LOAD_BALANCER, lb_id)})

    def owned(self, lb_id, keys):
        return self.belonging(lb_id, keys)

    def update_status(self, status):
        if self.error is not None:
            raise self.error
        self.messages.append(status)
        for records in status.values():
            for record in records:
                if "provisioning_status" in record:
                    self.provisioning[record["id"]] = record["provisioning_status"]
                if "operating_status" in record:
                    self.operating[record["id"]] = record["operating_status"]
