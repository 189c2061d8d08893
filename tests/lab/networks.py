# SPDX-License-Identifier: Apache-2.0
"""Neutron's networks, subnets and ports."""

import contextlib
import ipaddress
import random
import threading
import uuid

from tests.lab.errors import Conflict, NotFound
from tests.lab.hypervisor import Hypervisor
from tests.lab.ipam import Addresses
from tests.lab.ovn_mirror import ROUTER_GATEWAY, ROUTER_INTERFACE, OvnMirror

PROJECT = "0f8fad5b-d9cb-469f-a165-70867728950e"
SERVICE_PROJECT = "5e4f1c52-0d0a-4a4e-9c61-6b8d0b6c1f0a"
"""The project of the account that Octavia's drivers use."""
VM_OWNER = "compute:nova"


class Networks:
    """Networks with what is on them, in step with the NB database."""

    def __init__(self, nb_client):
        self.networks = {}
        self.subnets = {}
        self.ports = {}
        self._addresses = Addresses(self.subnets)
        self._mirror = OvnMirror(nb_client)
        self.hypervisor = Hypervisor(nb_client)
        self._lock = threading.RLock()
        self._random = random.Random(7)

    def add_network(self, name="", physical_network=None, external=False, vlan=None):
        """Create a network; a physical network makes it a provider one."""
        kind = "vlan" if vlan else "flat" if physical_network else "geneve"
        network = {
            "id": new_id(),
            "name": name,
            "project_id": PROJECT,
            "mtu": 1442,
            "admin_state_up": True,
            "status": "ACTIVE",
            "shared": False,
            "subnets": [],
            "router:external": external,
            "port_security_enabled": True,
            "provider:physical_network": physical_network,
            "provider:network_type": kind,
            "provider:segmentation_id": vlan,
        }
        with self._lock:
            self.networks[network["id"]] = network
            self._mirror.create_network(network)
        return network

    def add_subnet(self, network_id, cidr, gateway=True):
        net = ipaddress.ip_network(cidr)
        subnet = {
            "id": new_id(),
            "name": "",
            "project_id": PROJECT,
            "network_id": network_id,
            "cidr": str(net),
            "ip_version": net.version,
            "enable_dhcp": False,
            "gateway_ip": str(net[1]) if gateway else None,
            "allocation_pools": [{"start": str(net[2]), "end": str(net[-2])}],
            "dns_nameservers": [],
            "host_routes": [],
        }
        with self._lock:
            self.network(network_id)["subnets"].append(subnet["id"])
            self.subnets[subnet["id"]] = subnet
            self._addresses.add_subnet(subnet["id"])
        return subnet

    def delete_network(self, network_id):
        with self._lock:
            if any(port["network_id"] == network_id for port in self.ports.values()):
                raise Conflict(f"Network {network_id} is in use")
            network = self.network(network_id)
            for subnet_id in network["subnets"]:
                del self.subnets[subnet_id]
            del self.networks[network_id]
            self._mirror.delete_network(network)

    def network(self, network_id):
        return self._get(self.networks, network_id)

    def add_port(self, subnet_id, ip_address=None, name=""):
        """Create the port of a VM."""
        fixed_ip = {"subnet_id": subnet_id}
        if ip_address:
            fixed_ip["ip_address"] = ip_address
        return self.create_port(
            network_id=self._get(self.subnets, subnet_id)["network_id"],
            name=name,
            device_owner=VM_OWNER,
            device_id=new_id(),
            fixed_ips=[fixed_ip],
        )

    def create_port(self, network_id, **attributes):
        with self._lock:
            network = self.network(network_id)
            fixed_ips = self._addresses.allocate(network, attributes.get("fixed_ips"))
            port = {
                "id": new_id(),
                "network_id": network_id,
                "name": "",
                "project_id": PROJECT,
                "device_id": "",
                "device_owner": "",
                "admin_state_up": True,
                "status": "DOWN",
                "port_security_enabled": True,
                "security_groups": [],
                "allowed_address_pairs": [],
                "revision_number": 1,
                "mac_address": self._new_mac(),
                "binding:vnic_type": "normal",
            }
            port.update(attributes, fixed_ips=fixed_ips)
            port["tenant_id"] = port["project_id"]
            self.ports[port["id"]] = port
            self._mirror.create_port(port, self._prefix_lengths(port))
            if port["device_owner"].startswith("compute:"):
                self.hypervisor.plug(port["id"])
        return port

    def update_port(self, port_id, **attributes):
        with self._lock:
            port = self.port(port_id)
            if "fixed_ips" in attributes:
                network = self.network(port["network_id"])
                self._addresses.release(port)
                attributes["fixed_ips"] = self._addresses.allocate(network, attributes["fixed_ips"])
            port.update(attributes)
            port["revision_number"] += 1
            self._mirror.update_port(port, self._prefix_lengths(port))
        return port

    def delete_port(self, port_id):
        with self._lock:
            port = self.port(port_id)
            if port["device_owner"] in (ROUTER_INTERFACE, ROUTER_GATEWAY):
                raise Conflict(f"Port {port_id} is owned by a router")
            self._remove_port(port)

    def port(self, port_id):
        return self._get(self.ports, port_id)

    @contextlib.contextmanager
    def locked(self):
        """Hold the model still, to read it from another thread."""
        with self._lock:
            yield

    @staticmethod
    def _get(table, uuid_):
        try:
            return table[uuid_]
        except KeyError:
            raise NotFound(f"{uuid_} could not be found") from None

    def _new_mac(self):
        return "fa:16:3e:" + ":".join(f"{self._random.randrange(256):02x}" for _ in range(3))

    def _prefix_lengths(self, port):
        return {
            ip["subnet_id"]: self.subnets[ip["subnet_id"]]["cidr"].split("/")[1]
            for ip in port["fixed_ips"]
        }

    def _remove_port(self, port):
        del self.ports[port["id"]]
        self._addresses.release(port)
        self._mirror.delete_port(port)


def new_id():
    return str(uuid.uuid4())
