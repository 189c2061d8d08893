# SPDX-License-Identifier: Apache-2.0
"""The access-control rows of Port_Group, ACL and Address_Set, to and from the core's form.

Security groups fill the same tables: only rows that carry the driver's mark are replicated.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from typing import Any

from octavia_ovn.adapters.northbound.port_names import NamedPorts
from octavia_ovn.adapters.ovsdb.idl import contents
from octavia_ovn.adapters.ovsdb.replica import Replica
from octavia_ovn.adapters.ovsdb.transaction import Txn
from octavia_ovn.core import rows
from octavia_ovn.core.codec import keys as k
from octavia_ovn.core.desired.access_control import Access

GROUP, ACL, SET, PORT = "Port_Group", "ACL", "Address_Set", "Logical_Switch_Port"
TABLES = {
    GROUP: ("name", "ports", "acls", "external_ids"),
    ACL: ("priority", "direction", "match", "action", "external_ids"),
    SET: ("name", "addresses", "external_ids"),
}
_OURS = [
    ["external_ids", "includes", ["map", [[mark, k.MARKED]]]]
    for mark in (k.ACCESS_MARK, k.GROUPS_MARK)
]
CONDITIONS = dict.fromkeys(TABLES, _OURS)


class AccessRows:
    """Reads and writes the access-control rows.

    :param replica: has :data:`TABLES`
    :param ports: the members of port groups of which only the name is known
    """

    def __init__(self, replica: Replica, ports: NamedPorts) -> None:
        self._replica = replica
        self._ports = ports
        self._sought: dict[str, set[str]] = {GROUP: set(), SET: set()}
        for table in self._sought:
            replica.index_create(table, "external_ids")
            replica.index_create(table, "name")

    def load_balancers(self) -> frozenset[str]:
        """Return the ids of the load balancers that have access-control rows."""
        found = (row for table in (GROUP, SET) for row in self._replica.rows(table))
        return frozenset(load_balancers(found))

    def of(self, lb_id: str) -> Access:
        """Return the rows of a load balancer."""
        return Access(
            tuple(map(self._group, self._find(GROUP, lb_id))),
            tuple(map(_set, self._find(SET, lb_id))),
        )

    def _find(self, table: str, lb_id: str) -> Iterator[Any]:
        for row in self._replica.find(table, "external_ids", lb_id):
            if contents(row, "external_ids").get(k.ACCESS_LB) == lb_id:
                yield row

    def _group(self, row: Any) -> rows.PortGroup:
        acls = (self._acl(each) for each in contents(row, "acls"))
        return rows.PortGroup(
            name=row.name,
            ports=frozenset(map(self._port_name, contents(row, "ports"))),
            acls=tuple(sorted(acls, key=lambda acl: acl.match)),
            external_ids=contents(row, "external_ids"),
            uuid=str(row.uuid),
        )

    def _port_name(self, identity: Any) -> str:
        """Return a switch port's name; of one that is not followed, its UUID."""
        name = self._ports.name(identity)
        if name is None:
            row: Any = self._replica.get(PORT, identity)
            name = str(identity) if row is None else row.name
        return name

    def _find_port(self, name: str) -> list[Any]:
        """Return the UUID of a switch port's row, if it is followed."""
        found = self._replica.find(PORT, "name", name)
        return self._ports.find(name) or [row.uuid for row in found]

    def _acl(self, identity: Any) -> rows.Acl:
        row: Any = self._replica.get(ACL, identity)
        if row is None:
            return rows.Acl(match="", uuid=str(identity))
        return rows.Acl(
            match=row.match,
            external_ids=contents(row, "external_ids"),
            priority=row.priority,
            direction=row.direction,
            action=row.action,
            uuid=str(identity),
        )

    # --- writing

    def put(self, txn: Txn, row: rows.AccessRow) -> None:
        """Create a row, or replace the contents of an existing one."""
        columns: dict[str, object] = {"external_ids": dict(row.external_ids)}
        if isinstance(row, rows.PortGroup):
            columns["ports"] = [
                each for name in sorted(row.ports) for each in self._find_port(name)
            ]
            columns["acls"] = [self._written_acl(txn, acl) for acl in row.acls]
        else:
            columns["addresses"] = sorted(row.addresses)
        found = self._existing(row)
        if found is None:
            txn.insert(_table(row), name=row.name, **columns)
            return
        for column, value in columns.items():
            txn.set(found, column, value)

    def delete(self, txn: Txn, row: rows.AccessRow) -> None:
        """Delete a row, and with a port group its ACLs."""
        txn.delete(self._existing(row))

    def seek(self, row: rows.AccessRow) -> None:
        """Replicate the row of that name even if its mark has been removed.

        Only this driver uses such names, and the server allows each only once.
        """
        table = _table(row)
        self._sought[table].add(row.name)
        names = (["name", "==", each] for each in sorted(self._sought[table]))
        self._replica.restrict(table, [*_OURS, *names])

    def _existing(self, row: rows.AccessRow) -> Any | None:
        """Return the row, verified: by its name if it carries no id."""
        table = _table(row)
        if row.uuid:
            found: Any = self._replica.get(table, uuid.UUID(row.uuid))
        else:
            found = next(iter(self._replica.find(table, "name", row.name)), None)
        for column in TABLES[table] if found is not None else ():
            found.verify(column)
        return found

    def _written_acl(self, txn: Txn, acl: rows.Acl) -> Any:
        if acl.uuid:
            return self._replica.get(ACL, uuid.UUID(acl.uuid))
        return txn.insert(
            ACL,
            priority=acl.priority,
            direction=acl.direction,
            match=acl.match,
            action=acl.action,
            external_ids=dict(acl.external_ids),
        )


def _table(row: rows.AccessRow) -> str:
    return GROUP if isinstance(row, rows.PortGroup) else SET


def _set(row: Any) -> rows.AddressSet:
    return rows.AddressSet(
        name=row.name,
        addresses=frozenset(contents(row, "addresses")),
        external_ids=contents(row, "external_ids"),
        uuid=str(row.uuid),
    )


def load_balancers(found: Iterable[Any]) -> Iterator[str]:
    """Yield the ids of the load balancers that rows belong to."""
    for row in found:
        lb_id = contents(row, "external_ids").get(k.ACCESS_LB)
        if lb_id:
            yield lb_id
