"""Where an API worker records requests: the Northbound database, without a replica of it.

A request reads the rows of its load balancer, decides, and writes in one transaction that holds
only if those rows are still what was read. Nothing here grows with the size of the cloud.
"""

from __future__ import annotations

import contextlib
import pickle
import time
import uuid
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from octavia_ovn.adapters.northbound import tables
from octavia_ovn.adapters.northbound.operations import SHARED, guarded, unchanged_where
from octavia_ovn.adapters.northbound.tables import CHECK_COLUMNS, CHECKS, TABLE
from octavia_ovn.adapters.ovsdb import wire
from octavia_ovn.adapters.ovsdb.session import Changed, OvsdbSession
from octavia_ovn.core import codec, model
from octavia_ovn.core.codec import keys as k
from octavia_ovn.core.codec import neutron
from octavia_ovn.core.request import (
    changes,
    limits,
    patches,
    sharing,
    validation,
)
from octavia_ovn.core.request import (
    names as requests,
)
from octavia_ovn.core.request import (
    record as intent,
)
from octavia_ovn.core.request.admission import Admission
from octavia_ovn.core.rows import HealthCheck, Operation, Row
from octavia_ovn.core.topology import Subnet, switch_name
from octavia_ovn.errors import Conflict, NotFound, Unanswered, Unavailable

_COLUMNS = ("_uuid", "name", "protocol", "external_ids", "selection_fields", "options")
_LEGACY_COLUMNS = (*_COLUMNS, "vips", "health_check")
_REMEMBERED = 10_000

Json = dict[str, Any]


class IntentStore:
    """Records requests on load balancers.

    :param session: the process's connection to the Northbound database
    :param timeout: seconds that recording one request may take
    :param subnet: asks Neutron for a subnet
    :param admission: what tenants may ask for
    """

    def __init__(
        self,
        session: OvsdbSession,
        timeout: float,
        subnet: Callable[[str], Subnet],
        admission: Admission,
    ) -> None:
        self._session = session
        self._timeout = timeout
        self._subnet = subnet
        self._admission = admission
        self._lb_of: dict[str, str] = {}
        """Pool → load balancer, as last seen: a pool never moves, so it can only be gone."""

    def ping(self) -> None:
        """Find out whether requests can be recorded now.

        :raises Unavailable: when the database does not answer in time
        """
        self._session.transact(
            [{"op": "select", "table": "NB_Global", "where": [], "columns": ["_uuid"]}]
        )

    def record(self, request: patches.Request, *, lb_id: str = "", pool_id: str = "") -> bool:
        """Record a request durably, or raise and leave everything as it was.

        :param lb_id: the load balancer; or else
        :param pool_id: a pool of it
        :returns: whether anything had to be written
        :raises Unsupported: when OVN cannot do what is asked
        :raises NotFound: when the database lacks what the request is about
        :raises Conflict: when another load balancer serves the same
        :raises Unanswered: when it may be recorded, and nobody can be asked
        :raises Unavailable: when the database did not answer in time
        :raises Refused: when the database does not accept it
        """
        deadline = time.monotonic() + self._timeout
        name = requests.name(request, uuid.uuid4().hex)
        lost: Unanswered | None = None
        while True:
            try:
                existing = self._find(lb_id, pool_id, deadline)
                plan = self._plan(existing, request, name, deadline)
                if plan:
                    alone = self._alone(existing, request, deadline)
                    self._session.transact([*alone, *guarded(existing, plan)], deadline)
                return bool(plan)
            except (Changed, Unavailable) as error:  # noqa: PERF203 - each attempt may fail
                lost = error if isinstance(error, Unanswered) else lost
                # Somebody else was faster, or nobody knows whether it was done: look again.
                # Recording a request twice changes nothing.
                if isinstance(error, (Changed, Unanswered)) and time.monotonic() <= deadline:
                    continue
                # Whatever comes after a lost answer, the request may be recorded.
                if lost is not None and lost is not error:
                    raise lost from error
                raise

    def plan(self, change: changes.Change, rows: Sequence[Row]) -> tuple[Operation, ...]:
        """Return what recording a change on rows would write; nothing when they say it already.

        :raises Unavailable: when the database did not answer in time
        """
        return self._plan(rows, change, "", time.monotonic() + self._timeout)

    def record_on(self, rows: Sequence[Row], change: changes.Change) -> bool:
        """Record a change on rows that have been read before.

        :returns: whether it was written; False when the rows say it already, or are not the same
            any more
        :raises Unavailable: when the database did not answer in time
        :raises Refused: when the database does not accept it
        """
        deadline = time.monotonic() + self._timeout
        name = requests.name(change, uuid.uuid4().hex)
        plan = self._plan(rows, change, name, deadline)
        try:
            self._session.transact(guarded(rows, plan), deadline)
        except Changed:
            return False
        return bool(plan)

    def rows(self, lb_id: str) -> list[Row]:
        """Return the rows of a load balancer.

        :raises Unavailable: when the database did not answer in time
        """
        return self._by_name(lb_id, time.monotonic() + self._timeout)

    def load_balancers(self) -> Mapping[str, list[Row]]:
        """Return the rows of all load balancers, by id. For comparisons, not for requests.

        They are read row by row, so that nothing else of the process waits long meanwhile, and are
        kept packed: a comparison must not take more memory than all the rest of the agent.
        """
        identities: dict[str, list[str]] = {}
        deadline = time.monotonic() + self._timeout
        for row in self._session.select(TABLE, (), ["name", "_uuid"], deadline):
            identities.setdefault(row["name"], []).append(row["_uuid"])
        items = ((name, self._by_identities(each)) for name, each in identities.items())
        return _Packed((name, rows) for name, rows in items if rows)

    def _by_identities(self, uuids: Iterable[str]) -> list[Row]:
        deadline = time.monotonic() + self._timeout
        conditions = ([["_uuid", "==", wire.ovs_uuid(each)]] for each in uuids)
        return [row for each in conditions for row in self._select(each, deadline)]

    def _plan(
        self, existing: Sequence[Row], request: patches.Request, name: str, deadline: float
    ) -> tuple[Operation, ...]:
        try:
            lb = _known(existing, request)
            change = patches.resolve(request, lb)
            self._admission.check(change, lb)
            change = validation.complete(change, lb, self._networks(deadline))
            if validation.needs_ipv6_hash(change, lb) and not self._hashes_ipv6(deadline):
                raise limits.refuse(limits.IPV6_SOURCE_IP)
            return intent.record(existing, change, name)
        except (changes.UnknownObject, codec.Undecodable) as error:
            raise _lost(str(error)) from error

    def _alone(
        self, existing: Sequence[Row], request: patches.Request, deadline: float
    ) -> list[Json]:
        """Return the condition that what a request would serve is served by nothing else.

        :raises Conflict: when another load balancer on the same port of a user's serves it
        """
        if not isinstance(request, sharing.SERVING):
            return []
        asked = sharing.asked(request, _known(existing, request))
        if asked is None:
            return []
        where = [["external_ids", "includes", wire.ovs_map({k.VIP_PORT: asked.port_id})]]
        rows = self._session.select(TABLE, where, SHARED, deadline)
        for row in rows:
            clash = asked.clash(row["name"], next(iter(row["protocol"]), ""), row["external_ids"])
            if clash is not None:
                raise Conflict(clash)
        return [unchanged_where(where, rows)]

    def _networks(self, deadline: float) -> validation.Networks:
        return validation.Networks(lambda lb: self._around(lb, deadline), self._subnet_if_any)

    def _subnet_if_any(self, subnet_id: str) -> Subnet | None:
        try:
            return self._subnet(subnet_id)
        except NotFound:
            return None

    def _hashes_ipv6(self, deadline: float) -> bool:
        return "ipv6_src" in self._session.schema(deadline).enum(TABLE, "selection_fields")

    def _by_name(self, lb_id: str, deadline: float) -> list[Row]:
        return self._select([["name", "==", lb_id]], deadline)

    def _find(self, lb_id: str, pool_id: str, deadline: float) -> list[Row]:
        return self._by_name(lb_id, deadline) if lb_id else self._of_pool(pool_id, deadline)

    def _of_pool(self, pool_id: str, deadline: float) -> list[Row]:
        """Return the rows of the load balancer that has a pool."""
        lb_id = self._lb_of.get(pool_id)
        rows = self._by_name(lb_id, deadline) if lb_id else []
        if any(k.POOL_MARK + pool_id in row.external_ids for row in rows):
            return rows
        lb_id = self._find_lb(pool_id, deadline)
        if len(self._lb_of) >= _REMEMBERED:
            self._lb_of.clear()
        self._lb_of[pool_id] = lb_id
        return self._by_name(lb_id, deadline)

    def _find_lb(self, pool_id: str, deadline: float) -> str:
        """Return the id of the load balancer that has a pool.

        The server finds rows of ours by the pool's mark. Those that another driver has written and
        the agent has not taken over yet have none: only then all rows are looked at.
        """
        mark = wire.ovs_map({k.POOL_MARK + pool_id: k.MARKED})
        found = self._session.select(
            TABLE, [["external_ids", "includes", mark]], ["name"], deadline
        )
        if not found:
            names = self._session.select(TABLE, (), ["name", "external_ids"], deadline)
            wanted = {k.POOL + pool_id, k.POOL + pool_id + k.DISABLED}
            found = [row for row in names if not wanted.isdisjoint(row["external_ids"])]
        if not found:
            raise _lost(f"pool {pool_id} is not in the Northbound database")
        return str(found[0]["name"])

    def _select(self, where: Sequence[Sequence[object]], deadline: float) -> list[Row]:
        found = self._session.select(TABLE, where, _COLUMNS, deadline)
        found = [row for row in found if _ours(row)]
        if all(k.LOAD_BALANCER in row["external_ids"] for row in found):
            return list(map(tables.row, found))
        complete = self._session.select(TABLE, where, _LEGACY_COLUMNS, deadline)
        complete = [row for row in complete if _ours(row)]
        wanted = {each for row in complete for each in row["health_check"]}
        checks = self._checks(wanted, deadline) if wanted else {}
        return [
            tables.row(row, (checks[each] for each in row["health_check"] if each in checks))
            for row in complete
        ]

    def _checks(self, uuids: Iterable[str], deadline: float) -> dict[str, HealthCheck]:
        """Return health checks by uuid."""
        schema = self._session.schema(deadline)
        select = {"op": "select", "table": CHECKS, "columns": ["_uuid", *CHECK_COLUMNS]}
        operations = [{**select, "where": [["_uuid", "==", wire.ovs_uuid(each)]]} for each in uuids]
        results = self._session.transact(operations, deadline)
        rows = [schema.decode_row(CHECKS, row) for result in results for row in result["rows"]]
        return {row["_uuid"]: tables.check(row) for row in rows}

    def _around(self, lb: model.LoadBalancer, deadline: float) -> Iterable[Subnet]:
        """Yield the subnets of VIPs that are not known yet, and of the routers around them."""
        for vip in lb.vips:
            if vip.subnet_id and not vip.cidr:
                subnet = self._subnet_if_any(vip.subnet_id)
                if subnet is not None:
                    yield subnet
        networks = {vip.network_id for vip in lb.vips if vip.network_id}
        routers = {
            port["external_ids"].get(neutron.ROUTER, "")
            for network_id in networks
            for port in self._router_ports(neutron.NETWORK, switch_name(network_id), deadline)
        }
        for router in sorted(routers - {""}):
            for port in self._router_ports(neutron.ROUTER, router, deadline):
                yield from self._subnets(port)

    def _router_ports(self, key: str, value: str, deadline: float) -> list[Json]:
        where = [["external_ids", "includes", wire.ovs_map({key: value})]]
        columns = ["name", "networks", "external_ids"]
        return self._session.select("Logical_Router_Port", where, columns, deadline)

    def _subnets(self, row: Json) -> Iterable[Subnet]:
        """Yield the subnets of a router's interface."""
        port = neutron.router_port(row["name"], row["networks"], row["external_ids"])
        if port is None or port.gateway:
            return
        if port.subnets:
            yield from port.subnets
        else:
            # Which address belongs to which subnet is lost in a set.
            yield from map(self._subnet, neutron.subnet_ids(row["external_ids"]))


class _Packed(Mapping[str, list[Row]]):
    """Rows by load balancer, each of a tenth of the size until it is asked for."""

    def __init__(self, items: Iterable[tuple[str, list[Row]]]) -> None:
        self._packed = {name: zlib.compress(pickle.dumps(rows), level=1) for name, rows in items}

    def __getitem__(self, name: str) -> list[Row]:
        rows: list[Row] = pickle.loads(zlib.decompress(self._packed[name]))  # noqa: S301 - our own
        return rows

    def __iter__(self) -> Iterator[str]:
        return iter(self._packed)

    def __len__(self) -> int:
        return len(self._packed)


def _ours(row: Json) -> bool:
    """Whether a row belongs to a load balancer, also when somebody has emptied its external_ids.

    Others name their rows otherwise, or say in external_ids whose they are.
    """
    if row["external_ids"]:
        return codec.is_ours(row["external_ids"])
    return neutron.is_uuid(row["name"])


def _lost(what: str) -> NotFound:
    """Return the error for a request on a load balancer whose rows are not what Octavia has."""
    return NotFound(
        f"The request cannot be recorded: {what}. The agent restores what is lost from Octavia: try"
        " again soon. If that does not help, an administrator can have it done by 'openstack"
        " loadbalancer failover' or 'octavia-ovn sync'."
    )


def _known(existing: Sequence[Row], change: patches.Request) -> model.LoadBalancer | None:
    """Return what rows say, as far as a change builds on it.

    :raises Undecodable: when it does and they do not even name a VIP
    :raises Unavailable: when it does and a part of them cannot be read
    """
    if isinstance(change, changes.Restore):
        with contextlib.suppress(codec.Undecodable):
            return codec.decode(existing).lb
    decoded = None if isinstance(change, intent.WHOLE) else intent.read(existing)
    if decoded is not None and decoded.problems:
        # Written back, the rest would look complete, and the agent could not tell any more.
        msg = (
            f"Load balancer {decoded.lb.id} is damaged in the Northbound database"
            f" ({decoded.problems[0]}). The agent restores it from Octavia: try again soon."
        )
        raise Unavailable(msg)
    return decoded.lb if decoded else None
