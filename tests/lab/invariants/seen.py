# SPDX-License-Identifier: Apache-2.0
"""One load balancer as Octavia, Neutron and OVN have it."""

import ipaddress

from tests.lab.ovn_mirror import ROUTER_INTERFACE
from tests.lab.ovsdb import as_list


class Tree:
    """A load balancer and all that belongs to it, as Octavia has it."""

    def __init__(self, lab, lb_id):
        store = lab.octavia.store
        self.lb = store.get("loadbalancers", lb_id)
        self.listeners = store.find("listeners", load_balancer_id=lb_id)
        self.pools = store.find("pools", load_balancer_id=lb_id)
        self.members = {
            pool["id"]: store.find("members", pool_id=pool["id"]) for pool in self.pools
        }
        self.monitors = {
            pool["id"]: next(iter(store.find("healthmonitors", pool_id=pool["id"])), None)
            for pool in self.pools
        }

    def all_members(self):
        return [member for members in self.members.values() for member in members]

    def active_monitor(self, pool_id):
        monitor = self.monitors[pool_id]
        return monitor if monitor and monitor["enabled"] else None

    def vips(self):
        """(address, subnet, port) of the VIP and the additional ones."""
        yield self.lb["vip_address"], self.lb["vip_subnet_id"], self.lb["vip_port_id"]
        for vip in self.lb["additional_vips"]:
            yield vip["ip_address"], vip["subnet_id"], vip["port_id"]


class Seen:
    """All that there is of one load balancer, read once.

    :ivar tree: what Octavia has of it
    :ivar neutron: Neutron's model
    :ivar rows: its rows in the northbound database
    :ivar switches: all of them, as are `routers` and `checks` of health by UUID
    :ivar health: what the southbound database says of backends
    :ivar at_once: whether northd may still be at work on what has just been written
    """

    def __init__(self, lab, tree, at_once=False):
        self.lab, self.tree, self.neutron = lab, tree, lab.neutron
        self.at_once = at_once
        nb = lab.nb.snapshot(
            "Load_Balancer",
            "Load_Balancer_Health_Check",
            "Logical_Switch",
            "Logical_Router",
            "Logical_Switch_Port",
            Load_Balancer=[["name", "==", tree.lb["id"]]],
        )
        self.rows = nb["Load_Balancer"]
        self.switches, self.routers = nb["Logical_Switch"], nb["Logical_Router"]
        self.checks = {row["_uuid"]: row for row in nb["Load_Balancer_Health_Check"]}
        self.health = lab.sb.select("Service_Monitor")
        self.up = {row["name"] for row in nb["Logical_Switch_Port"] if as_list(row["up"]) == [True]}

    def fip_of(self, address, port_id):
        return next(
            (
                fip["floating_ip_address"]
                for fip in self.neutron.floatingips.values()
                if fip["port_id"] == port_id and fip["fixed_ip_address"] == address
            ),
            None,
        )

    def subnet_of(self, member):
        """The member's subnet, or the one around the VIP that holds its address."""
        if member["subnet_id"]:
            return member["subnet_id"]
        vip_subnets = [subnet for _, subnet, _ in self.tree.vips()]
        around = [
            subnet
            for router in self.routers_on(vip_subnets)
            for subnet in self.interface_subnets(router)
        ]
        address = ipaddress.ip_address(member["ip_address"])
        for subnet_id in vip_subnets + around:
            if address in ipaddress.ip_network(self.neutron.subnets[subnet_id]["cidr"]):
                return subnet_id
        return None

    def port_of(self, member):
        wanted = {"subnet_id": self.subnet_of(member), "ip_address": member["ip_address"]}
        return next(
            (port for port in self.neutron.ports.values() if wanted in port["fixed_ips"]), None
        )

    def is_vip(self, member):
        """Whether a member's address is the VIP of a load balancer on its network."""
        networks = self.neutron.subnets
        network_id = networks[self.subnet_of(member)]["network_id"]
        return any(
            lb["vip_address"] == member["ip_address"]
            and networks[lb["vip_subnet_id"]]["network_id"] == network_id
            for lb in self.lab.octavia.store.find("loadbalancers")
            if lb["provisioning_status"] != "DELETED"
        )

    def is_unreachable(self, member, pool):
        """Whether nothing can answer at a member's address, as far as OVN knows."""
        if self.subnet_of(member) is None:
            return False
        port = self.port_of(member)
        if self.is_vip(member) or (port and port["device_owner"] == ROUTER_INTERFACE):
            return True
        monitored = self.tree.active_monitor(pool["id"])
        return bool(monitored and port and port["id"] not in self.up)

    def routers_on(self, subnets, owner=ROUTER_INTERFACE):
        return {
            port["device_id"]
            for port in self.neutron.ports.values()
            if port["device_owner"] == owner
            and any(ip["subnet_id"] in subnets for ip in port["fixed_ips"])
        }

    def interface_subnets(self, router_id):
        return {
            ip["subnet_id"]
            for port in self.neutron.ports.values()
            if port["device_owner"] == ROUTER_INTERFACE and port["device_id"] == router_id
            for ip in port["fixed_ips"]
        }

    def attached(self, parents):
        """The UUID of each row, with the names of those switches or routers that refer to it."""
        return {
            row["_uuid"]: {
                parent["name"]
                for parent in parents
                if row["_uuid"] in as_list(parent["load_balancer"])
            }
            for row in self.rows
        }
