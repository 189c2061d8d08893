# SPDX-License-Identifier: Apache-2.0
"""Rows of load balancers in the Northbound database without a replica: queries and transactions.

API workers and comparisons use it; :mod:`octavia_ovn.controller.record` decides what to write.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from octavia_ovn.adapters.northbound import tables
from octavia_ovn.adapters.northbound.operations import SHARED, guarded, unchanged_where
from octavia_ovn.adapters.northbound.tables import CHECK_COLUMNS, CHECKS, TABLE
from octavia_ovn.adapters.ovsdb import wire
from octavia_ovn.adapters.ovsdb.selects import Selects
from octavia_ovn.adapters.ovsdb.session import OvsdbSession
from octavia_ovn.core import codec
from octavia_ovn.core.codec import keys as k
from octavia_ovn.core.codec import neutron
from octavia_ovn.core.request.sharing import PortUsers
from octavia_ovn.core.rows import HealthCheck, Operation, Row
from octavia_ovn.core.topology import Subnet, switch_name

_COLUMNS = ("_uuid", "name", "protocol", "external_ids", "selection_fields", "options")
_LEGACY_COLUMNS = (*_COLUMNS, "vips", "health_check")
_MAX_POOLS = 10_000

Json = dict[str, Any]


class IntentRows:
    """The rows; see :class:`octavia_ovn.controller.record.Rows`.

    :param session: the process's connection to the Northbound database
    """

    def __init__(self, session: OvsdbSession) -> None:
        self._session = session
        self._selects = Selects(session)
        self._lb_of: dict[str, str] = {}
        """Pool → load balancer, as last seen: a pool never moves, so it can only be gone."""

    def ping(self) -> None:
        """Return if the database answers; raise Unavailable otherwise."""
        self._session.select("NB_Global", (), ["_uuid"])

    def rows(self, lb_id: str, deadline: float) -> list[Row]:
        """Return the rows of a load balancer."""
        return self._select([["name", "==", lb_id]], deadline)

    def load_balancers(self) -> Mapping[str, list[str]]:
        """Return the UUIDs of the rows of all load balancers. For comparisons, not for requests."""
        uuids: dict[str, list[str]] = {}
        for row in self._session.select(TABLE, (), ["name", "_uuid"]):
            uuids.setdefault(row["name"], []).append(row["_uuid"])
        return uuids

    def read(self, uuids: Collection[str]) -> list[Row]:
        """Return the rows with these UUIDs, as far as they exist."""
        return self._rows(lambda columns: self._selects.with_uuid(TABLE, uuids, columns))

    def rows_with_pool(self, pool_id: str, deadline: float) -> list[Row]:
        """Return the rows of the load balancer that has a pool; none when there is no such pool."""
        lb_id = self._lb_of.get(pool_id)
        rows = self.rows(lb_id, deadline) if lb_id else []
        if any(k.POOL_MARK + pool_id in row.external_ids for row in rows):
            return rows
        lb_id = self._find_lb(pool_id, deadline)
        if lb_id is None:
            return []
        if len(self._lb_of) >= _MAX_POOLS:
            self._lb_of.clear()
        self._lb_of[pool_id] = lb_id
        return self.rows(lb_id, deadline)

    def _find_lb(self, pool_id: str, deadline: float) -> str | None:
        """Return the id of the load balancer that has a pool.

        The server finds rows of this driver by the pool's mark. Rows that another driver has
        written and the agent has not taken over yet have none: only then all rows are read.
        """
        mark = [["external_ids", "includes", wire.ovs_map({k.POOL_MARK + pool_id: k.MARKED})]]
        found = self._session.select(TABLE, mark, ["name"], deadline)
        if not found:
            rows = self._session.select(TABLE, (), ["name", "external_ids"], deadline)
            wanted = {k.POOL + pool_id, k.POOL + pool_id + k.DISABLED}
            found = [row for row in rows if not wanted.isdisjoint(row["external_ids"])]
        return str(found[0]["name"]) if found else None

    def rows_on_port(self, port_id: str, deadline: float) -> list[Row]:
        """Return name, protocol and external_ids of the rows whose VIP has a Neutron port."""
        found = self._session.select(TABLE, _on_port(port_id), SHARED, deadline)
        return [
            Row(row["name"], next(iter(row["protocol"]), ""), row["external_ids"]) for row in found
        ]

    def commit(
        self,
        rows: Sequence[Row],
        operations: Sequence[Operation],
        deadline: float,
        users: PortUsers | None = None,
    ) -> None:
        """Write operations if neither the rows of the load balancer nor its port's have changed."""
        waits = [] if users is None else [unchanged_where(_on_port(users.port_id), users.rows)]
        self._session.transact([*waits, *guarded(rows, operations)], deadline)

    def hashes_ipv6(self, deadline: float) -> bool:
        """Whether this OVN can select a backend by a hash of IPv6 addresses."""
        return "ipv6_src" in self._session.schema(deadline).enum(TABLE, "selection_fields")

    def announces(self, mark: str, deadline: float) -> bool:
        """Whether `NB_Global` has a mark of what programs on chassis do."""
        rows = self._session.select("NB_Global", (), ["external_ids"], deadline)
        return any(row["external_ids"].get(mark) == k.ANNOUNCED for row in rows)

    def _select(
        self, where: Sequence[Sequence[object]], deadline: float | None = None
    ) -> list[Row]:
        return self._rows(
            lambda columns: self._session.select(TABLE, where, columns, deadline), deadline
        )

    def _rows(
        self, select: Callable[[Sequence[str]], list[Json]], deadline: float | None = None
    ) -> list[Row]:
        """Return rows; of those that another driver has written more columns are read."""
        found = [row for row in select(_COLUMNS) if _is_ours(row)]
        if all(k.LOAD_BALANCER in row["external_ids"] for row in found):
            return list(map(tables.row, found))
        complete = [row for row in select(_LEGACY_COLUMNS) if _is_ours(row)]
        wanted = {each for row in complete for each in row["health_check"]}
        checks = self._checks(wanted, deadline) if wanted else {}
        return [
            tables.row(row, (checks[each] for each in row["health_check"] if each in checks))
            for row in complete
        ]

    def _checks(self, uuids: Iterable[str], deadline: float | None) -> dict[str, HealthCheck]:
        """Return health checks by uuid."""
        schema = self._session.schema(deadline)
        select = {"op": "select", "table": CHECKS, "columns": ["_uuid", *CHECK_COLUMNS]}
        operations = [{**select, "where": [["_uuid", "==", wire.ovs_uuid(each)]]} for each in uuids]
        results = self._session.transact(operations, deadline)
        rows = [schema.decode_row(CHECKS, row) for result in results for row in result["rows"]]
        return {row["_uuid"]: tables.check(row) for row in rows}

    def router_subnets(self, network_ids: Iterable[str], deadline: float) -> Iterator[Subnet | str]:
        """Yield the subnets of the routers of networks; an id alone where its CIDR is not clear."""
        routers = {
            port["external_ids"].get(neutron.ROUTER, "")
            for network_id in network_ids
            for port in self._router_ports(neutron.NETWORK, switch_name(network_id), deadline)
        }
        for router in sorted(routers - {""}):
            for port in self._router_ports(neutron.ROUTER, router, deadline):
                yield from _subnets(port)

    def _router_ports(self, key: str, value: str, deadline: float) -> list[Json]:
        where = [["external_ids", "includes", wire.ovs_map({key: value})]]
        columns = ["name", "networks", "external_ids"]
        return self._session.select("Logical_Router_Port", where, columns, deadline)


def _on_port(port_id: str) -> list[list[object]]:
    return [["external_ids", "includes", wire.ovs_map({k.VIP_PORT: port_id})]]


def _subnets(row: Json) -> Iterator[Subnet | str]:
    """Yield the subnets of a router's interface, except of its gateway."""
    port = neutron.router_port(row["name"], row["networks"], row["external_ids"])
    if port is None or port.gateway:
        return
    # Which address belongs to which subnet is lost in a set of several.
    yield from port.subnets or neutron.subnet_ids(row["external_ids"])


def _is_ours(row: Json) -> bool:
    """Whether a row belongs to a load balancer of Octavia, even if its external_ids are empty.

    Rows of others have other names, or say in external_ids whose they are.
    """
    if row["external_ids"]:
        return codec.is_ours(row["external_ids"])
    return neutron.is_uuid(row["name"])
