# SPDX-License-Identifier: Apache-2.0
"""Writes the NB database the way Neutron's ML2/OVN driver does.

Each public method is one Neutron operation and makes the same transactions,
in the same order, as neutron/plugins/ml2/drivers/ovn/mech_driver/ovsdb.
"""

from tests.lab import ovsdb
from tests.lab.ovsdb import named, omap, oset, ref

ROUTER_INTERFACE = "network:router_interface"
ROUTER_GATEWAY = "network:router_gateway"
LB_HM_PORT = "ovn-lb-hm:distributed"
LB_VIP_PORT_PREFIX = "ovn-lb-vip-"


def ovn_name(uuid):
    return f"neutron-{uuid}"


def lrp_name(port_id):
    return f"lrp-{port_id}"


class OvnMirror:
    """Neutron's side of the NB database."""

    def __init__(self, client):
        self._nb = client
        self._ports = {}
        self._nats = {}
        self._router_ports = {}

    def find_rows(self):
        """Learn the rows that another client has written for Neutron's objects."""
        nb = self._nb.snapshot("Logical_Switch_Port", "Logical_Router_Port", "NAT")
        self._ports = {row["name"]: row["_uuid"] for row in nb["Logical_Switch_Port"]}
        self._router_ports = {
            row["name"].removeprefix("lrp-"): row["_uuid"] for row in nb["Logical_Router_Port"]
        }
        self._nats = {row["external_ids"]["neutron:fip_id"]: row["_uuid"] for row in nb["NAT"]}

    def create_network(self, network):
        external_ids = {
            "neutron:network_name": network["name"],
            "neutron:mtu": str(network["mtu"]),
            "neutron:revision_number": "1",
            "neutron:availability_zone_hints": "",
            "neutron:provnet-network-type": network["provider:network_type"],
        }
        ports = []
        operations = []
        physical_network = network["provider:physical_network"]
        if physical_network:
            external_ids["neutron:provnet-physical-network"] = physical_network
            operations.append(
                ovsdb.insert(
                    "Logical_Switch_Port",
                    {
                        "name": f"provnet-{network['id']}",
                        "type": "localnet",
                        "addresses": "unknown",
                        "options": omap({"network_name": physical_network}),
                        "external_ids": omap(
                            {"neutron:provnet-physical-network": physical_network}
                        ),
                    },
                    "provnet",
                )
            )
            ports.append(named("provnet"))
        operations.append(
            ovsdb.insert(
                "Logical_Switch",
                {
                    "name": ovn_name(network["id"]),
                    "ports": oset(ports),
                    "external_ids": omap(external_ids),
                    "other_config": omap(
                        {
                            "mcast_snoop": "false",
                            "mcast_flood_unregistered": "false",
                            "vlan-passthru": "false",
                        }
                    ),
                },
            )
        )
        self._nb.transact(*operations)

    def delete_network(self, network):
        self._nb.transact(ovsdb.delete("Logical_Switch", [["name", "==", ovn_name(network["id"])]]))

    def create_port(self, port, prefix_lengths):
        """Add the Logical_Switch_Port.

        :param prefix_lengths: {subnet id: prefix length} of its subnets
        """
        columns = self._port_columns(port, prefix_lengths)
        columns["name"] = port["id"]
        results = self._nb.transact(
            ovsdb.insert("Logical_Switch_Port", columns, "lsp"),
            ovsdb.mutate(
                "Logical_Switch",
                [["name", "==", ovn_name(port["network_id"])]],
                ["ports", "insert", oset([named("lsp")])],
            ),
        )
        self._ports[port["id"]] = results[0]["uuid"][1]

    def update_port(self, port, prefix_lengths):
        columns = self._port_columns(port, prefix_lengths)
        if port["device_owner"] in (ROUTER_INTERFACE, ROUTER_GATEWAY):
            # Neutron leaves what its L3 plugin wrote on router ports.
            for column in ("type", "addresses", "options"):
                del columns[column]
        self._nb.transact(
            ovsdb.update("Logical_Switch_Port", self._where_port(port["id"]), columns)
        )

    def delete_port(self, port):
        uuid = self._ports.pop(port["id"])
        self._nb.transact(
            ovsdb.mutate(
                "Logical_Switch",
                [["name", "==", ovn_name(port["network_id"])]],
                ["ports", "delete", oset([ref(uuid)])],
            )
        )

    def create_router(self, router):
        self._nb.transact(
            ovsdb.insert(
                "Logical_Router",
                {
                    "name": ovn_name(router["id"]),
                    "enabled": True,
                    "options": omap(
                        {"always_learn_from_arp_request": "false", "dynamic_neigh_routers": "true"}
                    ),
                    "external_ids": omap(
                        {
                            "neutron:router_name": router["name"],
                            "neutron:revision_number": "1",
                            "neutron:availability_zone_hints": "",
                        }
                    ),
                },
            )
        )

    def delete_router(self, router):
        self._nb.transact(ovsdb.delete("Logical_Router", [["name", "==", ovn_name(router["id"])]]))

    def create_router_port(
        self, router_id, port, prefix_lengths, gateway_chassis=None, ha_chassis_group=None
    ):
        """Add the Logical_Router_Port and turn its switch port into a peer."""
        is_gateway = port["device_owner"] == ROUTER_GATEWAY
        name = lrp_name(port["id"])
        row = {
            "name": name,
            "mac": port["mac_address"],
            "networks": oset(_cidrs(port, prefix_lengths)),
            "external_ids": omap(
                {
                    "neutron:revision_number": "1",
                    "neutron:subnet_ids": " ".join(ip["subnet_id"] for ip in port["fixed_ips"]),
                    "neutron:network_name": ovn_name(port["network_id"]),
                    "neutron:is_ext_gw": str(is_gateway),
                    "neutron:router_name": ovn_name(router_id),
                }
            ),
        }
        operations = []
        if gateway_chassis:
            operations.append(
                ovsdb.insert(
                    "Gateway_Chassis",
                    {
                        "name": f"{name}_{gateway_chassis}",
                        "priority": 1,
                        "chassis_name": gateway_chassis,
                    },
                    "chassis",
                )
            )
            row["gateway_chassis"] = oset([named("chassis")])
        if ha_chassis_group:
            operations.append(ovsdb.insert("HA_Chassis_Group", {"name": ha_chassis_group}, "group"))
            row["ha_chassis_group"] = named("group")
        options = {"router-port": name}
        if is_gateway:
            options |= {"nat-addresses": "router", "exclude-lb-vips-from-garp": "true"}
        position = len(operations)
        operations += [
            ovsdb.insert("Logical_Router_Port", row, "lrp"),
            ovsdb.mutate(
                "Logical_Router",
                [["name", "==", ovn_name(router_id)]],
                ["ports", "insert", oset([named("lrp")])],
            ),
            ovsdb.update(
                "Logical_Switch_Port",
                self._where_port(port["id"]),
                {"type": "router", "addresses": "router", "options": omap(options)},
            ),
        ]
        results = self._nb.transact(*operations)
        self._router_ports[port["id"]] = results[position]["uuid"][1]

    def delete_router_port(self, router_id, port):
        uuid = self._router_ports.pop(port["id"])
        self._nb.transact(
            ovsdb.mutate(
                "Logical_Router",
                [["name", "==", ovn_name(router_id)]],
                ["ports", "delete", oset([ref(uuid)])],
            )
        )

    def associate_fip(self, fip, port, distributed):
        """Add the NAT row and tell the port, in one transaction."""
        row = {
            "type": "dnat_and_snat",
            "logical_ip": fip["fixed_ip_address"],
            "external_ip": fip["floating_ip_address"],
            "logical_port": port["id"],
            "options": omap({"stateless": "false"}),
            "external_ids": omap(
                {
                    "neutron:fip_id": fip["id"],
                    "neutron:revision_number": "1",
                    "neutron:fip_port_id": port["id"],
                    "neutron:router_name": ovn_name(fip["router_id"]),
                    "neutron:fip_external_mac": port["mac_address"],
                    "neutron:fip_network_id": fip["floating_network_id"],
                }
            ),
        }
        if distributed:
            row["external_mac"] = port["mac_address"]
        results = self._nb.transact(
            ovsdb.insert("NAT", row, "nat"),
            ovsdb.mutate(
                "Logical_Router",
                [["name", "==", ovn_name(fip["router_id"])]],
                ["nat", "insert", oset([named("nat")])],
            ),
            ovsdb.mutate(
                "Logical_Switch_Port",
                self._where_port(port["id"]),
                ["external_ids", "delete", oset(["neutron:port_fip"])],
                [
                    "external_ids",
                    "insert",
                    omap({"neutron:port_fip": fip["floating_ip_address"]}),
                ],
            ),
        )
        self._nats[fip["id"]] = results[0]["uuid"][1]

    def refresh_fip(self, fip, port, distributed):
        """Say whether the floating IP is handled where the port is, or centrally."""
        columns = {"external_mac": oset([]), "logical_port": oset([])}
        if distributed:
            columns = {"external_mac": port["mac_address"], "logical_port": port["id"]}
        self._nb.transact(
            ovsdb.update("NAT", [["_uuid", "==", ref(self._nats[fip["id"]])]], columns)
        )

    def is_member(self, network_id, address, subnet_id):
        """Whether a load balancer on the switch of that network has this member."""
        switch = self._nb.select("Logical_Switch", [["name", "==", ovn_name(network_id)]])[0]
        rows = {row["_uuid"]: row for row in self._nb.select("Load_Balancer")}
        return any(
            (address, subnet_id) in _members(rows[uuid])
            for uuid in ovsdb.as_list(switch["load_balancer"])
        )

    def members_behind(self, vip_port_id):
        """Return (address, subnet) of the members of the load balancers with that VIP port."""
        return {
            member
            for row in self._nb.select("Load_Balancer")
            if row["external_ids"].get("neutron:vip_port_id") == vip_port_id
            for member in _members(row)
        }

    def disassociate_fip(self, fip, port_id, router_id):
        """Drop the NAT row, and the mark on the port while it exists."""
        uuid = self._nats.pop(fip["id"])
        operations = [
            ovsdb.mutate(
                "Logical_Router",
                [["name", "==", ovn_name(router_id)]],
                ["nat", "delete", oset([ref(uuid)])],
            )
        ]
        if port_id in self._ports:
            operations.append(
                ovsdb.mutate(
                    "Logical_Switch_Port",
                    self._where_port(port_id),
                    ["external_ids", "delete", oset(["neutron:port_fip"])],
                )
            )
        self._nb.transact(*operations)

    def _where_port(self, port_id):
        return [["_uuid", "==", ref(self._ports[port_id])]]

    @staticmethod
    def _port_columns(port, prefix_lengths):
        addresses = [
            " ".join([port["mac_address"]] + [ip["ip_address"] for ip in port["fixed_ips"]])
        ]
        kind = ""
        if port["device_owner"] == LB_HM_PORT and port["device_id"].startswith("ovn-lb-hm"):
            kind = "localport"
        elif not port["port_security_enabled"]:
            addresses.append("unknown")
        if port["name"].startswith(LB_VIP_PORT_PREFIX) and not port["device_owner"]:
            addresses = []
        external_ids = {
            "neutron:port_name": port["name"],
            "neutron:device_id": port["device_id"],
            "neutron:project_id": port["project_id"],
            "neutron:cidrs": " ".join(_cidrs(port, prefix_lengths)),
            "neutron:device_owner": port["device_owner"],
            "neutron:subnet_pool_addr_scope4": "",
            "neutron:subnet_pool_addr_scope6": "",
            "neutron:network_name": ovn_name(port["network_id"]),
            "neutron:security_group_ids": " ".join(port["security_groups"]),
            "neutron:revision_number": str(port["revision_number"]),
            "neutron:vnic_type": "normal",
            "neutron:port_capabilities": "",
            "neutron:mtu": "",
        }
        if port.get("fip_address"):
            external_ids["neutron:port_fip"] = port["fip_address"]
        return {
            "type": kind,
            "addresses": oset(addresses),
            "enabled": port["admin_state_up"],
            "options": omap({}),
            "external_ids": omap(external_ids),
        }


def _cidrs(port, prefix_lengths):
    return [f"{ip['ip_address']}/{prefix_lengths[ip['subnet_id']]}" for ip in port["fixed_ips"]]


def _members(row):
    """Return (address, subnet) of the members in a Load_Balancer row, as Neutron parses it."""
    return {
        (member.split("_")[2].rsplit(":", 1)[0], member.split("_")[3])
        for key, value in row["external_ids"].items()
        if key.startswith("pool_") and value
        for member in value.split(",")
        if member.count("_") == 3
    }
