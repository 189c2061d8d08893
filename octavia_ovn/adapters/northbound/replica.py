# SPDX-License-Identifier: Apache-2.0
"""The agent's replica of the Northbound database: rows in and out of the core's form.

Only the columns that matter are replicated, and of the tables that grow with the cloud only the
rows that matter: switch ports only of switches that have monitored members, of users' VIPs and of
responders, NAT rows only of floating IPs.
"""

from __future__ import annotations

import functools
import operator
import time
import uuid
from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Mapping,
    Sequence,
)
from typing import Any

import ovs.poller

from octavia_ovn.adapters.northbound import access_control, switch_ports, tables
from octavia_ovn.adapters.northbound.access_control import AccessRows
from octavia_ovn.adapters.northbound.on_demand import OnDemand
from octavia_ovn.adapters.northbound.responders import WRITTEN, Responders, ResponderWriter
from octavia_ovn.adapters.northbound.switch_ports import (
    FollowedPorts,
    SwitchPorts,
    addresses,
)
from octavia_ovn.adapters.northbound.tables import CHECKS, TABLE, Place
from octavia_ovn.adapters.northbound.topology import NorthboundTopology
from octavia_ovn.adapters.northbound.writer import GLOBAL, Writer
from octavia_ovn.adapters.ovsdb.channel import MAX_BACKOFF
from octavia_ovn.adapters.ovsdb.endpoint import Endpoint
from octavia_ovn.adapters.ovsdb.idl import DELETE, contents
from octavia_ovn.adapters.ovsdb.replica import Replica
from octavia_ovn.adapters.ovsdb.transaction import Txn
from octavia_ovn.adapters.ovsdb.wire import Schema
from octavia_ovn.core import codec, rows
from octavia_ovn.core.codec import keys as k
from octavia_ovn.core.dependencies import Dependency, Resource
from octavia_ovn.core.desired import responder
from octavia_ovn.core.desired.access_control import Access
from octavia_ovn.core.multimap import Indexed, MultiMap
from octavia_ovn.core.rows import HealthCheck, Operation, Row
from octavia_ovn.core.statistics.traffic import ROW_UUID_PREFIX_DIGITS, Key, listeners
from octavia_ovn.errors import OctaviaOvnError, Refused
from octavia_ovn.observer import SILENT, Defect, Observer

DATABASE = "OVN_Northbound"
_TABLES = {
    TABLE: tables.COLUMNS,
    CHECKS: tables.CHECK_COLUMNS,
    rows.SWITCH: ("name", "external_ids", "load_balancer"),
    rows.ROUTER: ("name", "load_balancer"),
    "Logical_Router_Port": ("name", "networks", "external_ids"),
    "NAT": ("type", "logical_ip", "external_ip", "external_mac", "external_ids"),
    switch_ports.TABLE: switch_ports.COLUMNS,
    **access_control.TABLES,
    GLOBAL: ("nb_cfg", "external_ids", "options"),
}
_CONDITIONS: dict[str, list[Any]] = {
    "NAT": [["type", "==", "dnat_and_snat"]],
    switch_ports.TABLE: switch_ports.CONDITIONS,
    **access_control.CONDITIONS,
}
_PARENTS = (rows.SWITCH, rows.ROUTER)
_SAMPLES = "debug_drop_collector_set"


class Northbound(NorthboundTopology):
    """Load balancer rows, the rows that they depend on, and the one way to change them.

    :param schema: of the server
    :param changed: see :class:`NorthboundTopology`
    :param row_changed: called with the id of a load balancer whose rows have changed
    :param row_lost: called with the id of a load balancer when another client deletes a row of it
    :param lock: name of the OVSDB lock without which nothing is written
    :param timeout: seconds that a transaction may take
    :param probe_interval: milliseconds; see :class:`Replica`, and so is `max_backoff`
    """

    def __init__(  # noqa: PLR0913 - by keyword
        self,
        endpoint: Endpoint,
        schema: Schema,
        *,
        changed: Callable[[Dependency], None],
        row_changed: Callable[[str], None],
        lock: str,
        timeout: float,
        probe_interval: int,
        max_backoff: int = MAX_BACKOFF,
        row_lost: Callable[[str], None] = lambda _: None,
        observer: Observer = SILENT,
    ) -> None:
        super().__init__(changed)
        self._observer = observer
        self._row_changed = row_changed
        self._row_lost = row_lost
        self._deleting: set[str] = set()
        """The uuids of rows that this agent deletes, until the server confirms it."""
        self._responders = Responders(row_changed)
        self._timeout = timeout
        self._parents: dict[str, dict[uuid.UUID, tuple[str, tuple[uuid.UUID, ...]]]] = {
            table: {} for table in _PARENTS
        }
        self._holders: dict[str, MultiMap[uuid.UUID, uuid.UUID]] = {
            table: MultiMap() for table in _PARENTS
        }
        self._by_prefix: MultiMap[str, uuid.UUID] = MultiMap()
        self._vips: Indexed[Place, tuple[Place, ...]] = Indexed(lambda places: places)
        open_ = functools.partial(
            Replica,
            endpoint,
            DATABASE,
            schema,
            probe_interval=probe_interval,
            max_backoff=max_backoff,
        )
        self.replica = open_(
            _TABLES,
            unread=WRITTEN,
            conditions=_CONDITIONS,
            lock=lock,
            on_change=self._event,
            on_conflict=observer.conflicts,
            on_defect=functools.partial(observer.meets, Defect.EVENT),
            required={TABLE, CHECKS, "Load_Balancer.selection_fields"},
        )
        for table in (TABLE, *_PARENTS):
            self.replica.index_create(table, "name")
        self._followed = FollowedPorts(self.replica, changed)
        self._on_demand = OnDemand(open_, changed)
        self.group_rules = self._on_demand.groups.rules
        self.forget_group = self._on_demand.groups.forget
        self._access_rows = AccessRows(self.replica, self._on_demand.ports)
        self.ipv6_fields = "ipv6_src" in self.replica.enum(TABLE, "selection_fields")

    # --- events

    def _event(self, table: str, event: str, row: Any, _: Any) -> None:
        if table == TABLE:
            self._note_prefix(row.uuid, gone=event == DELETE)
            self._note_vips(row, gone=event == DELETE)
            self._row_changed(row.name)
            if event == DELETE:
                self._note_deletion(row)
            return
        if table in access_control.TABLES:
            for lb_id in access_control.load_balancers([row]):
                self._row_changed(lb_id)
            return
        gone = event == DELETE
        if table == switch_ports.TABLE:
            self._followed.update(row, gone=gone)
        if table in _PARENTS:
            self._references(table, row, gone=gone)
        self.update(table, str(row.uuid), None if gone else row)
        self._responders.update(table, str(row.uuid), None if gone else row)

    def _references(self, table: str, row: Any, *, gone: bool) -> None:
        """Maintain which switches and routers refer to a load balancer row."""
        _, before = self._parents[table].pop(row.uuid, ("", ()))
        now = () if gone else tuple(contents(row, "load_balancer"))
        if not gone:
            self._parents[table][row.uuid] = (row.name, now)
        old, new = frozenset(before), frozenset(now)
        for each in old - new:
            self._holders[table].discard(each, row.uuid)
        for each in new - old:
            self._holders[table].add(each, row.uuid)
        for each in old - new:
            # Another client may have removed a reference that should be there.
            found = self.replica.get(TABLE, each)
            if found is not None:
                self._row_changed(found.name)

    def _note_deletion(self, row: Any) -> None:
        """Report a load balancer's row that was deleted by another client."""
        identity = str(row.uuid)
        if identity in self._deleting:
            self._deleting.discard(identity)
        elif _ours(row):
            self._row_lost(row.name)

    def _note_vips(self, row: Any, *, gone: bool) -> None:
        places = () if gone else tables.vip_places(contents(row, "external_ids"))
        none: frozenset[Place] = frozenset()
        changed = map(frozenset, self._vips.put(row.uuid, places or None))
        for _, address in sorted(functools.reduce(operator.xor, changed, none)):
            self._changed(Dependency(Resource.MEMBER, address))

    def _note_prefix(self, identity: uuid.UUID, *, gone: bool) -> None:
        prefix = str(identity)[:ROW_UUID_PREFIX_DIGITS]
        if gone:
            self._by_prefix.discard(prefix, identity)
        else:
            self._by_prefix.add(prefix, identity)

    # --- answers

    def names(self) -> Iterable[str]:
        """Return the ids of all load balancers that have rows of any table."""
        found = {row.name for row in self.replica.rows(TABLE) if _ours(row)}
        return found.union(self._access_rows.load_balancers(), self._responders.owners())

    def awaited(self) -> Iterable[str]:
        """Return the ids of load balancers with requests that Octavia waits for."""
        rows = self.replica.rows(TABLE)
        return {row.name for row in rows if k.PENDING in contents(row, "external_ids")}

    def rows(self, lb_id: str) -> Sequence[Row]:
        """Return the rows of a load balancer."""
        return [self._row(row) for row in self.replica.find(TABLE, "name", lb_id) if _ours(row)]

    def listeners(self, row_uuid_prefixes: Iterable[str]) -> dict[Key, str]:
        """Return the ids of listeners as flows know them; see :class:`Key`."""
        found: dict[Key, str] = {}
        for prefix in row_uuid_prefixes:
            rows_ = (self.replica.get(TABLE, each) for each in self._by_prefix.of(prefix))
            found |= listeners(
                prefix, (contents(row, "external_ids") for row in rows_ if row is not None)
            )
        return found

    def has_row(self, lb_id: str) -> bool:
        """Whether there is a row of that name, even if it has lost its keys."""
        return bool(self.replica.find(TABLE, "name", lb_id))

    def access(self, lb_id: str) -> Access:
        """Return the access-control rows of a load balancer."""
        return self._access_rows.of(lb_id)

    def answers(self, lb_id: str) -> Mapping[str, frozenset[str]]:
        """Return switch → addresses of a load balancer that its responder answers for."""
        return self._responders.of(lb_id)

    def switch_ports(self, switch: str) -> SwitchPorts | None:
        """Return the ports of a switch; None while they are being fetched."""
        return self._followed.of_switch(switch)

    def is_occupied(self, switch: str, address: str) -> bool:
        """Whether an address on a switch is a router's, or the VIP of a load balancer."""
        return (switch, address) in self._vips or self.has_router_address(switch, address)

    def holds(self, port_id: str, address: str, *, user_port: bool) -> bool | None:
        """Whether a VIP's port has its address; None while that is being fetched.

        :param user_port: whether the user made the port, so that it may have an owner
        """
        found = self._followed.named(port_id) if user_port else self._followed.known(port_id)
        return None if found is None else any(address in addresses(row) for row in found)

    def has_addresses(self, port_id: str) -> bool | None:
        """Whether OVN knows addresses of a Neutron port; None while it is being fetched."""
        found = self._followed.named(port_id)
        return None if found is None else any(contents(row, "addresses") for row in found)

    def existing_ports(self, names: Collection[str]) -> frozenset[str] | None:
        """Return which of some switch ports exist; None while they are being fetched."""
        return self._on_demand.ports.existing(names)

    def global_number(self) -> int:
        """Return `NB_Global.nb_cfg`."""
        return max((row.nb_cfg for row in self.replica.rows(GLOBAL)), default=0)

    def samples_drops(self) -> bool:
        """Whether OVN samples what it drops."""
        rows = self.replica.rows(GLOBAL)
        return any(contents(row, "options").get(_SAMPLES, "0") != "0" for row in rows)

    def announces(self, mark: str) -> bool:
        """Whether `NB_Global` has a mark of what chassis do."""
        rows = self.replica.rows(GLOBAL)
        return any(mark in contents(row, "external_ids") for row in rows)

    def forget_port(self, name: str) -> None:
        """Stop following a switch port: no load balancer depends on it any more."""
        self._on_demand.ports.forget(name)
        self._followed.forget_port(name)

    def forget_switch(self, switch: str) -> None:
        """Stop following the ports of a switch: no load balancer depends on them any more."""
        self._followed.forget_switch(switch)

    def run(self) -> None:
        """Process what the server has sent."""
        self._followed.run()
        self._on_demand.run()

    def wait(self, poller: ovs.poller.Poller) -> None:
        """Arrange for the poller to wake up when `run` has something to do."""
        self._followed.wait(poller)
        self._on_demand.wait(poller)

    def close(self) -> None:
        """Disconnect; the server releases the lock."""
        self.replica.close()
        self._on_demand.close()

    def _row(self, row: Any) -> Row:
        return Row(
            name=row.name,
            protocol=next(iter(contents(row, "protocol")), ""),
            external_ids=contents(row, "external_ids"),
            vips=contents(row, "vips"),
            selection_fields=frozenset(contents(row, "selection_fields")),
            options=contents(row, "options"),
            ip_port_mappings=contents(row, "ip_port_mappings"),
            health_checks=self._checks(row),
            switches=self._holding(rows.SWITCH, row),
            routers=self._holding(rows.ROUTER, row),
            uuid=str(row.uuid),
        )

    def _holding(self, table: str, row: Any) -> frozenset[str]:
        """Return the names of the switches or routers that refer to a load balancer row."""
        parents = self._parents[table]
        return frozenset(parents[each][0] for each in self._holders[table].of(row.uuid))

    def _checks(self, row: Any) -> tuple[HealthCheck, ...]:
        found = (self.replica.get(CHECKS, each) for each in contents(row, "health_check"))
        checks = (_check(each) for each in found if each is not None)
        return tuple(sorted(checks, key=lambda check: check.vip))

    # --- writing

    def commit(self, plan: Callable[[], Iterable[Operation]]) -> bool:
        """Write the operations of a plan in one transaction; the plan may be called again.

        :returns: whether anything was written
        :raises Unavailable: when the database cannot be written now
        :raises Refused: when it does not accept the operations
        """
        began = time.monotonic()
        operations: list[Operation] = []

        def apply(txn: Txn) -> bool:
            operations[:] = plan()
            # Before the commit: the event may arrive with the answer.
            self._deleting |= _deleted(operations)
            return self._apply(operations, txn)

        try:
            written = self.replica.transact(apply, self._timeout)
        except OctaviaOvnError as error:
            self._observer.commits(time.monotonic() - began, error)
            if isinstance(error, Refused):
                self._seek(operations)
                self._deleting -= _deleted(operations)
            raise
        if written:
            self._observer.commits(time.monotonic() - began)
        return written

    def _seek(self, operations: Iterable[Operation]) -> None:
        """Replicate by name the rows that could not be created: one may exist without its mark.

        The next attempt finds it and restores the mark.
        """
        for operation in operations:
            if isinstance(operation, rows.PutAccessRow) and not operation.row.uuid:
                self._access_rows.seek(operation.row)
            elif isinstance(operation, rows.Answer) and operation.addresses:
                self._followed.named(responder.names(operation.switch).switch_port)

    def _apply(self, operations: Sequence[Operation], txn: Txn) -> bool:
        responders = ResponderWriter(self._responders, self.replica, txn)
        writer = Writer(self.replica, txn, self._access_rows, responders)
        for operation in operations:
            writer.write(operation)
        responders.write()
        return bool(operations)


def _deleted(operations: Iterable[Operation]) -> frozenset[str]:
    """Return the uuids of the rows that operations delete."""
    return frozenset(each.row.uuid for each in operations if isinstance(each, rows.DeleteRow))


def _ours(row: Any) -> bool:
    return codec.is_ours(contents(row, "external_ids"))


def _check(row: Any) -> HealthCheck:
    options, external_ids = contents(row, "options"), contents(row, "external_ids")
    return HealthCheck(row.vip, options, external_ids, str(row.uuid))
