# SPDX-License-Identifier: Apache-2.0
"""Writes the core's operations into a transaction of the agent's replica."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Iterator
from typing import Any

from octavia_ovn.adapters.northbound import switch_ports
from octavia_ovn.adapters.northbound.access_control import AccessRows
from octavia_ovn.adapters.northbound.responders import ResponderWriter
from octavia_ovn.adapters.northbound.tables import CHECKS, TABLE
from octavia_ovn.adapters.ovsdb.idl import contents
from octavia_ovn.adapters.ovsdb.replica import Replica
from octavia_ovn.adapters.ovsdb.transaction import Txn
from octavia_ovn.core import rows
from octavia_ovn.core.codec import keys as k
from octavia_ovn.core.rows import HealthCheck, Operation

GLOBAL = "NB_Global"
_VERIFIED = ("protocol", "external_ids", "vips", "health_check")


class Writer:
    """Writes operations into a transaction.

    A row is verified before it is changed: if another client has changed it since, the
    transaction is planned again.
    """

    def __init__(
        self, replica: Replica, txn: Txn, access_rows: AccessRows, responders: ResponderWriter
    ) -> None:
        self._replica = replica
        self._txn = txn
        self._access_rows = access_rows
        self._responders = responders
        self._verified: set[str] = set()

    @functools.singledispatchmethod
    def write(self, operation: Operation) -> None:
        """Write one operation.

        :raises Refused: when the schema does not allow it
        """
        raise TypeError(operation)

    def _lb(self, uuid_: str) -> Any:
        row: Any = self._replica.get(TABLE, uuid.UUID(uuid_))
        if uuid_ not in self._verified:
            self._verified.add(uuid_)
            for column in _VERIFIED:
                row.verify(column)
        return row

    def _parents(self, table: str, name: str) -> Iterator[Any]:
        # A switch or router that was deleted meanwhile needs no reference.
        return iter(self._replica.find(table, "name", name))

    def _all_parents(self, row: rows.Row) -> Iterator[Any]:
        for table, names in ((rows.SWITCH, row.switches), (rows.ROUTER, row.routers)):
            for name in sorted(names):
                yield from self._parents(table, name)

    @write.register
    def _(self, operation: rows.InsertRow) -> None:
        row = operation.row
        new = self._txn.insert(
            TABLE,
            name=row.name,
            protocol=[row.protocol] if row.protocol else [],
            external_ids=dict(row.external_ids),
            vips=dict(row.vips),
            selection_fields=sorted(row.selection_fields),
            options=dict(row.options),
            ip_port_mappings=dict(row.ip_port_mappings),
            health_check=[self._new_check(check) for check in row.health_checks],
        )
        for parent in self._all_parents(row):
            self._txn.addvalue(parent, "load_balancer", new)

    @write.register
    def _(self, operation: rows.DeleteRow) -> None:
        row = self._lb(operation.row.uuid)
        for parent in self._all_parents(operation.row):
            self._txn.delvalue(parent, "load_balancer", row)
        self._txn.delete(row)

    @write.register
    def _(self, operation: rows.SetKeys) -> None:
        row = self._lb(operation.uuid)
        for key in sorted(operation.remove):
            self._txn.delkey(row, operation.column, key)
        for key, value in operation.put.items():
            self._txn.setkey(row, operation.column, key, value)

    @write.register
    def _(self, operation: rows.SetColumn) -> None:
        self._txn.set(self._lb(operation.uuid), operation.column, sorted(operation.values))

    @write.register
    def _(self, operation: rows.AddHealthCheck) -> None:
        check = self._new_check(operation.check)
        self._txn.addvalue(self._lb(operation.uuid), "health_check", check)

    @write.register
    def _(self, operation: rows.UpdateHealthCheck) -> None:
        row = self._replica.get(CHECKS, uuid.UUID(operation.check.uuid))
        if row is not None:
            self._txn.set(row, "options", dict(operation.check.options))
            self._txn.set(row, "external_ids", dict(operation.check.external_ids))

    @write.register
    def _(self, operation: rows.RemoveHealthCheck) -> None:
        check = self._replica.get(CHECKS, uuid.UUID(operation.check.uuid))
        if check is not None:
            self._txn.delvalue(self._lb(operation.uuid), "health_check", check)

    @write.register
    def _(self, operation: rows.Attach) -> None:
        row = self._lb(operation.uuid)
        for parent in self._parents(operation.table, operation.name):
            self._txn.addvalue(parent, "load_balancer", row)

    @write.register
    def _(self, operation: rows.Detach) -> None:
        row = self._lb(operation.uuid)
        for parent in self._parents(operation.table, operation.name):
            self._txn.delvalue(parent, "load_balancer", row)

    @write.register
    def _(self, operation: rows.ClearAddresses) -> None:
        for row in self._replica.find(switch_ports.TABLE, "name", operation.port):
            row.verify("addresses")
            self._txn.set(row, "addresses", [])

    @write.register
    def _(self, operation: rows.PutAccessRow) -> None:
        self._access_rows.put(self._txn, operation.row)

    @write.register
    def _(self, operation: rows.DeleteAccessRow) -> None:
        self._access_rows.delete(self._txn, operation.row)

    @write.register
    def _(self, operation: rows.Answer) -> None:
        self._responders.add(operation)

    @write.register
    def _(self, operation: rows.Announce) -> None:
        for row in self._replica.rows(GLOBAL):
            if operation.value:
                self._txn.setkey(row, "external_ids", operation.mark, k.ANNOUNCED)
            else:
                self._txn.delkey(row, "external_ids", operation.mark)

    @write.register
    def _(self, _: rows.IncrementNumber) -> None:
        for row in self._replica.rows(GLOBAL):
            row.verify("nb_cfg")
            self._txn.set(row, "nb_cfg", contents(row, "nb_cfg") + 1)

    def _new_check(self, check: HealthCheck) -> Any:
        return self._txn.insert(
            CHECKS,
            vip=check.vip,
            options=dict(check.options),
            external_ids=dict(check.external_ids),
        )
