# SPDX-License-Identifier: Apache-2.0
"""Whom the northbound database keeps away from listeners, worked out from its ACLs."""

import collections
import ipaddress
import re

from tests.lab.ovn_mirror import ROUTER_GATEWAY, ROUTER_INTERFACE
from tests.lab.ovsdb import as_list

_MATCH = re.compile(
    r"ip(?P<version>[46])\.dst == \{(?P<addresses>[^}]+)\}"
    r" && (?P<protocol>tcp|udp|sctp)\.dst == (?P<port>\d+)"
    r"(?: && ip(?P=version)\.src == \$(?P<set>[A-Za-z_.][A-Za-z_.0-9]*))?"
)
_TABLES = ("Port_Group", "ACL", "Address_Set", "Logical_Switch_Port")
_ALL = {4: "0.0.0.0/0", 6: "::/0"}
_STRONGEST_OF_NEUTRON = 2000


def complaints(seen):
    """Say whom the rows let in or keep out wrongly."""
    addresses = [
        shown
        for address, _, port_id in seen.tree.vips()
        for shown in (address, seen.fip_of(address, port_id))
        if shown
    ]
    routers = {
        name.removeprefix("neutron-")
        for names in seen.attached(seen.routers).values()
        for name in names
    }
    found = Access(seen.lab, seen.tree.lb["id"])
    yield from found.complaints(seen.tree, addresses, routers)


class Access:
    """The port group of one load balancer and what belongs to it."""

    def __init__(self, lab, lb_id):
        nb = lab.nb.snapshot(*_TABLES)
        self._neutron = lab.neutron
        self.groups, self.sets = (
            [row for row in nb[table] if lb_id in row["external_ids"].values()]
            for table in ("Port_Group", "Address_Set")
        )
        wanted = {acl for group in self.groups for acl in as_list(group["acls"])}
        self.acls = [row for row in nb["ACL"] if row["_uuid"] in wanted]
        self.ports = {
            port["name"]
            for group in self.groups
            for port in nb["Logical_Switch_Port"]
            if port["_uuid"] in as_list(group["ports"])
        }

    def complaints(self, tree, addresses, routers):
        """Say what is wrong.

        :param tree: of :class:`tests.lab.invariants.seen.Tree`
        :param addresses: on which its listeners are to be reached
        :param routers: ids of those that it is attached to
        """
        allowed = {
            (row["protocol"].lower(), row["protocol_port"], address): row["allowed_cidrs"]
            for row in tree.listeners
            if tree.lb["enabled"] and row["enabled"] and row["allowed_cidrs"]
            for address in addresses
        }
        denied = collections.defaultdict(list)
        for acl in self.acls:
            yield from self._acl_complaints(acl)
            for target, networks in self._denied(acl):
                denied[target] += networks
        for target in allowed.keys() | denied.keys():
            yield from _partition_complaints(target, allowed.get(target), denied[target])
        if not self.acls and (self.groups or self.sets):
            yield "rows that restrict no client are left"
        if len(self.groups) > 1:
            yield "several port groups"
        if self.groups:
            own = {port_id for _, _, port_id in tree.vips()}
            yield from self._port_complaints(routers, own)

    def _acl_complaints(self, acl):
        if (acl["direction"], acl["action"]) != ("from-lport", "drop"):
            yield f"an ACL would {acl['action']} {acl['direction']}"
        if acl["priority"] <= _STRONGEST_OF_NEUTRON:
            yield f"an ACL of priority {acl['priority']} may be overruled"
        if not _MATCH.fullmatch(acl["match"]):
            yield f"an ACL matches {acl['match']!r}"

    def _denied(self, acl):
        """Yield what an ACL keeps clients from, and the networks that it keeps away."""
        found = _MATCH.fullmatch(acl["match"])
        if found is None:
            return
        networks = [_ALL[int(found["version"])]]
        if found["set"]:
            networks = [
                address
                for row in self.sets
                if row["name"] == found["set"]
                for address in as_list(row["addresses"])
            ]
        for address in found["addresses"].split(", "):
            target = (found["protocol"], int(found["port"]), address)
            yield target, [ipaddress.ip_network(each) for each in networks]

    def _port_complaints(self, routers, own):
        wanted = own | {
            port["id"]
            for port in self._neutron.ports.values()
            if port["device_owner"] in (ROUTER_INTERFACE, ROUTER_GATEWAY)
            and port["device_id"] in routers
        }
        if self.ports != wanted:
            yield f"clients are kept out at the ports {self.ports}, not at {wanted}"
        for row in (*self.groups, *self.acls, *self.sets):
            if any(key.startswith("neutron:") for key in row["external_ids"]):
                yield "Neutron would take a row for its own"


def _partition_complaints(target, cidrs, denied):
    """Everybody must be either allowed or denied."""
    version = ipaddress.ip_address(target[-1]).version
    everybody = ipaddress.ip_network(_ALL[version])
    if cidrs is None:
        if denied:
            yield f"a client is kept from {target}"
        return
    networks = (ipaddress.ip_network(each, strict=False) for each in cidrs)
    allowed = list(
        ipaddress.collapse_addresses(each for each in networks if each.version == version)
    )
    if any(one.overlaps(other) for one in allowed for other in denied):
        yield f"a client that is allowed is kept from {target}"
    if sum(each.num_addresses for each in (*allowed, *denied)) != everybody.num_addresses:
        yield f"a client that is not allowed can reach {target}"
