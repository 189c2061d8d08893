# SPDX-License-Identifier: Apache-2.0
"""Rows of the Northbound database around one load balancer, as values of the core."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from octavia_ovn.adapters.northbound import tables
from octavia_ovn.adapters.northbound.tables import CHECK_COLUMNS, CHECKS, COLUMNS, TABLE
from octavia_ovn.adapters.ovsdb.selects import Json, Selects
from octavia_ovn.adapters.ovsdb.session import OvsdbSession
from octavia_ovn.core.codec import neutron
from octavia_ovn.core.codec.keys import ACCESS_LIMIT, ACCESS_LISTENER, ACCESS_MARK, GROUPS_MARK
from octavia_ovn.core.desired import connection_limit, responder
from octavia_ovn.core.diagnosis.acls import VIP_GROUPS, Acl
from octavia_ovn.core.diagnosis.snapshot import Port, Switch
from octavia_ovn.core.rows import Row
from octavia_ovn.core.topology import FloatingIp, RouterPort

_DROPPED = "no rule of a security group allows it"
_PORT_COLUMNS = ("name", "type", "addresses", "enabled", "external_ids", "options")


class NorthboundRows:
    """Reads rows. Every method may raise :class:`Unavailable` when no server answers.

    :param session: a connection
    """

    def __init__(self, session: OvsdbSession) -> None:
        self._select = Selects(session)

    def rows(self, lb_id: str) -> tuple[Row, ...]:
        """Return the rows of a load balancer, with their health checks and attachments."""
        found = self._select.with_value(TABLE, "name", [lb_id], COLUMNS)
        uuids = [row["_uuid"] for row in found]
        parents = [
            self._select.referring(table, "load_balancer", uuids, ("name",))
            for table in ("Logical_Switch", "Logical_Router")
        ]
        return tuple(
            self._row(row, *({each["name"] for each in held[row["_uuid"]]} for held in parents))
            for row in found
        )

    def _row(self, row: Json, switches: Iterable[str], routers: Iterable[str]) -> Row:
        checks = self._select.with_uuid(CHECKS, row["health_check"], CHECK_COLUMNS)
        return tables.row(row, map(tables.check, checks), switches=switches, routers=routers)

    def answers_for_down_ports(self) -> bool:
        """Whether OVN answers ARP for ports that no hypervisor has: its default, not Neutron's."""
        rows = self._select.all("NB_Global", ("options",))
        return all(row["options"].get("ignore_lsp_down") != "false" for row in rows)

    def switches(self, names: Iterable[str]) -> dict[str, Switch]:
        """Return switches by name."""
        found = self._select.with_value("Logical_Switch", "name", names, ("name", "external_ids"))
        return {
            row["name"]: Switch(
                row["name"],
                row["external_ids"].get(neutron.NETWORK, ""),
                row["external_ids"].get(neutron.PHYSICAL_NETWORK, ""),
            )
            for row in found
        }

    def routers(self, names: Iterable[str]) -> tuple[dict[str, str], frozenset[str]]:
        """Return the routers' names in Neutron, by name of the row, and which routers are down."""
        columns = ("name", "external_ids", "enabled")
        found = self._select.with_value("Logical_Router", "name", names, columns)
        labels = {row["name"]: row["external_ids"].get(neutron.ROUTER, "") for row in found}
        return labels, frozenset(row["name"] for row in found if not _enabled(row))

    def interfaces_down(self, names: Iterable[str]) -> frozenset[str]:
        """Return which of some routers' interfaces are administratively down."""
        columns = ("name", "enabled")
        rows = self._select.with_value("Logical_Router_Port", "name", names, columns)
        return frozenset(row["name"] for row in rows if not _enabled(row))

    def router_ports_around(self, switches: Iterable[str]) -> tuple[RouterPort, ...]:
        """Return the interfaces of all routers that have one on some switches."""
        routers = {each.router for each in self._router_ports(neutron.NETWORK, switches)}
        return self._router_ports(neutron.ROUTER, routers)

    def _router_ports(self, key: str, names: Iterable[str]) -> tuple[RouterPort, ...]:
        columns = ("name", "networks", "external_ids")
        references = neutron.spellings(names)
        rows = self._select.with_key("Logical_Router_Port", key, references, columns)
        ports = (neutron.router_port(*(row[each] for each in columns)) for row in rows)
        return tuple(each for each in ports if each is not None)

    def answered(self, lb_id: str, switches: Iterable[str]) -> frozenset[str]:
        """Return the addresses of a load balancer that responders on some switches answer for."""
        names = [responder.names(each).router_port for each in switches]
        rows = self._select.with_value("Logical_Router_Port", "name", names, ("external_ids",))
        return frozenset(
            interface.partition("/")[0]
            for row in rows
            for interface in responder.owners(row["external_ids"]).get(lb_id, ())
        )

    def ports(
        self, *, names: Collection[str] = (), labels: Collection[str] = ()
    ) -> tuple[Port, ...]:
        """Return switch ports by their ids or by the names that Neutron has for them."""
        table = "Logical_Switch_Port"
        rows = self._select.with_value(table, "name", names, _PORT_COLUMNS)
        rows += self._select.with_key(table, neutron.PORT, labels, _PORT_COLUMNS)
        return tuple(map(_port, rows))

    def ports_at(self, switch: str, addresses: Mapping[str, int]) -> tuple[Port, ...]:
        """Return the ports on a switch that have one of some addresses.

        A port with one address is found by it. Only when that does not find all, as with ports
        of two IP versions, all ports of the switch are read.

        :param addresses: with the prefix lengths of their subnets
        """
        table = "Logical_Switch_Port"
        texts = [f"{address}/{length}" for address, length in addresses.items()]
        rows = self._select.with_key(table, neutron.CIDRS, texts, _PORT_COLUMNS)
        found = [each for each in map(_port, rows) if each.switch == switch]
        if not addresses.keys() <= {ip for each in found for ip in each.ips}:
            rows = self._select.with_key(table, neutron.NETWORK, [switch], _PORT_COLUMNS)
            found = [each for each in map(_port, rows) if not addresses.keys().isdisjoint(each.ips)]
        return tuple(found)

    def floating_ips(self, port_ids: Iterable[str]) -> dict[str, FloatingIp]:
        """Return the floating IPs of ports, by the address that they translate to."""
        columns = neutron.NAT_COLUMNS
        rows = self._select.with_key("NAT", neutron.FIP_PORT, port_ids, columns)
        found = (neutron.floating_ip(*(row[each] for each in columns)) for row in rows)
        return {each.logical_ip: each for each in found if each is not None}

    def closed(self, lb_id: str) -> frozenset[str]:
        """Return the listeners of a load balancer that have as many connections as they may."""
        names = [connection_limit.group_name(lb_id)]
        groups = self._select.with_value("Port_Group", "name", names, ("acls",))
        uuids = [uuid for row in groups for uuid in row["acls"]]
        acls = self._select.with_uuid("ACL", uuids, ("external_ids",))
        return frozenset(row["external_ids"].get(ACCESS_LISTENER, "") for row in acls)

    def rules(self, ports: Sequence[Port]) -> tuple[dict[str, set[str]], tuple[Acl, ...]]:
        """Return the port groups that ports are in, by the ports' uuids, and the groups' ACLs.

        Without those of :meth:`closed`.
        """
        uuids = [each.uuid for each in ports]
        found = self._select.referring(
            "Port_Group", "ports", uuids, ("name", "acls", "external_ids")
        )
        groups = {row["name"]: row for rows in found.values() for row in rows}
        owner = {uuid: row for row in groups.values() for uuid in row["acls"]}
        columns = ("direction", "priority", "match", "action", "tier", "external_ids")
        acls = tuple(
            _acl(row, owner[row["_uuid"]])
            for row in self._select.with_uuid("ACL", owner, columns)
            if ACCESS_LIMIT not in row["external_ids"]
        )
        return {uuid: {row["name"] for row in rows} for uuid, rows in found.items()}, acls


def _enabled(row: Json) -> bool:
    """Whether a row is administratively up; an empty column means yes."""
    return bool(row["enabled"] != [False])


def _port(row: Json) -> Port:
    ids = row["external_ids"]
    return Port(
        name=row["name"],
        label=ids.get(neutron.PORT, ""),
        switch=neutron.switch(ids),
        type=row["type"],
        addresses=tuple(row["addresses"]),
        ips=neutron.port_addresses(ids),
        enabled=_enabled(row),
        silent=row["options"].get("disable_arp_nd_rsp") == "true",
        uuid=row["_uuid"],
    )


def _acl(row: Json, group: Json) -> Acl:
    ids = group["external_ids"] | row["external_ids"]
    security_group = neutron.security_group(ids)
    owner = f"security group {security_group}" if security_group else ""
    if GROUPS_MARK in ids:
        owner = VIP_GROUPS
    return Acl(
        group=group["name"],
        direction=row["direction"],
        priority=row["priority"],
        match=row["match"],
        action=row["action"],
        tier=row.get("tier", 0),
        owner=_DROPPED if group["name"] == neutron.DROP_GROUP else owner,
        listener=ids.get(ACCESS_LISTENER, "") if ACCESS_MARK in ids else "",
    )
