"""FakeNeutron: an in-memory Neutron that keeps the NB database in step."""

import contextlib
import ipaddress
import random
import threading
import uuid

from tests.lab import neutron_api
from tests.lab.errors import BadRequest, Conflict, NotFound
from tests.lab.httpd import HttpServer
from tests.lab.ovn_mirror import ROUTER_GATEWAY, ROUTER_INTERFACE, OvnMirror

PROJECT = "0f8fad5b-d9cb-469f-a165-70867728950e"
VM_OWNER = "compute:nova"
FIP_OWNER = "network:floatingip"


class FakeNeutron:
    """Networks, subnets, ports, routers and floating IPs.

    The methods do what API calls would do; the HTTP side of it is in
    neutron_api.py and `http` serves it, counts requests and injects faults.
    """

    def __init__(self, nb_client):
        self.networks = {}
        self.subnets = {}
        self.ports = {}
        self.routers = {}
        self.floatingips = {}
        self._used_addresses = {}
        self._mirror = OvnMirror(nb_client)
        self._lock = threading.RLock()
        self._random = random.Random(7)
        self.distributed_floating_ips = False
        self.http = HttpServer(neutron_api.Application(self))

    def __enter__(self):
        self.http.start()
        return self

    def __exit__(self, *exc_info):
        self.http.stop()

    # Networks and subnets

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
            self._used_addresses[subnet["id"]] = set()
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

    def vanish_network(self, network_id):
        """Let a network go with all that is on it, as nobody should be able to."""
        with self._lock:
            for port in [p for p in self.ports.values() if p["network_id"] == network_id]:
                if port["device_owner"] in (ROUTER_INTERFACE, ROUTER_GATEWAY):
                    self._remove_router_port(port["device_id"], port)
                else:
                    self.delete_port(port["id"])
        self.delete_network(network_id)

    def network(self, network_id):
        return self._get(self.networks, network_id)

    # Ports

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
            fixed_ips = self._allocate(network, attributes.get("fixed_ips"))
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
        return port

    def update_port(self, port_id, **attributes):
        with self._lock:
            port = self.port(port_id)
            if "fixed_ips" in attributes:
                network = self.network(port["network_id"])
                self._release(port)
                attributes["fixed_ips"] = self._allocate(network, attributes["fixed_ips"])
            port.update(attributes)
            port["revision_number"] += 1
            self._mirror.update_port(port, self._prefix_lengths(port))
        return port

    def delete_port(self, port_id):
        with self._lock:
            port = self.port(port_id)
            if port["device_owner"] in (ROUTER_INTERFACE, ROUTER_GATEWAY):
                raise Conflict(f"Port {port_id} is owned by a router")
            for fip in self.floatingips.values():
                if fip["port_id"] == port_id:
                    self.disassociate_fip(fip["id"])
            self._remove_port(port)

    def port(self, port_id):
        return self._get(self.ports, port_id)

    # Routers

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
        if subnet["gateway_ip"] in self._used_addresses[subnet["id"]]:
            return self._free_address(subnet["id"])
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

    # Floating IPs

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
                # Neutron works out anew whether the floating IP may be distributed.
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

    # Of another laboratory

    def adopt(self, tables):
        """Know what a dump of these tables knows, without writing any row."""
        for table, rows in tables.items():
            getattr(self, table).update({row["id"]: row for row in rows})
        for subnet_id in self.subnets:
            self._used_addresses.setdefault(subnet_id, set())
        for port in self.ports.values():
            for fixed_ip in port["fixed_ips"]:
                self._used_addresses[fixed_ip["subnet_id"]].add(fixed_ip["ip_address"])

    def adopt_rows(self):
        """Find the rows of what has been adopted."""
        self._mirror.find_rows()

    # Helpers

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

    def _router_ports(self, router_id):
        return (port for port in self.ports.values() if port["device_id"] == router_id)

    def _remove_router_port(self, router_id, port):
        self._mirror.delete_router_port(router_id, port)
        self._remove_port(port)

    def _remove_port(self, port):
        del self.ports[port["id"]]
        self._release(port)
        self._mirror.delete_port(port)

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

    def _allocate(self, network, requested):
        """Give addresses as asked for, or one on the first subnet."""
        if requested is None:
            requested = [{"subnet_id": subnet_id} for subnet_id in network["subnets"][:1]]
        taken = []
        for fixed_ip in requested:
            address = fixed_ip.get("ip_address")
            subnet_id = fixed_ip.get("subnet_id") or self._subnet_of(network, address)
            if subnet_id not in network["subnets"]:
                raise BadRequest(f"{subnet_id} is not on the network")
            address = str(ipaddress.ip_address(address or self._free_address(subnet_id)))
            if address in self._used_addresses[subnet_id]:
                raise Conflict(f"IP address {address} already allocated in subnet {subnet_id}")
            self._used_addresses[subnet_id].add(address)
            taken.append({"subnet_id": subnet_id, "ip_address": address})
        return taken

    def _subnet_of(self, network, address):
        for subnet_id in network["subnets"]:
            if ipaddress.ip_address(address) in ipaddress.ip_network(
                self.subnets[subnet_id]["cidr"]
            ):
                return subnet_id
        raise BadRequest(f"{address} is on no subnet of the network")

    def _free_address(self, subnet_id):
        subnet = self.subnets[subnet_id]
        used = self._used_addresses[subnet_id]
        net = ipaddress.ip_network(subnet["cidr"])
        for number in range(2, net.num_addresses - 1):
            address = str(net[number])
            if address not in used and address != subnet["gateway_ip"]:
                return address
        raise Conflict(f"No more addresses on {subnet_id}")

    def _release(self, port):
        for fixed_ip in port["fixed_ips"]:
            self._used_addresses[fixed_ip["subnet_id"]].discard(fixed_ip["ip_address"])


def new_id():
    return str(uuid.uuid4())
