# SPDX-License-Identifier: Apache-2.0
"""The API worker's reconciler: decides what a request writes; it is written in one transaction.

A request reads the rows of its load balancer, decides, and commits on the condition that those rows
are still what was read; otherwise it starts again. Nothing here grows with the size of the cloud.
"""

from __future__ import annotations

import contextlib
import functools
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from octavia_ovn.core import codec, model
from octavia_ovn.core.codec import keys as k
from octavia_ovn.core.request import (
    changes,
    connection_limits,
    limits,
    names,
    patches,
    record,
    sharing,
    validation,
)
from octavia_ovn.core.request.admission import Admission
from octavia_ovn.core.rows import Operation, Row
from octavia_ovn.core.topology import Subnet
from octavia_ovn.errors import Changed, Conflict, NotFound, Unanswered, Unavailable


class Rows(Protocol):
    """The Northbound database as an API worker uses it: queries and transactions, no replica.

    Deadlines are values of `time.monotonic()`. Each method raises Unavailable when the database
    does not answer in time.
    """

    def ping(self) -> None:
        """Return if the database answers."""

    def load_balancers(self) -> Mapping[str, Collection[str]]:
        """Return the UUIDs of the rows of all load balancers, by load balancer.

        Rows of others may be among them.
        """

    def read(self, uuids: Collection[str]) -> Sequence[Row]:
        """Return the rows with these UUIDs, as far as they exist."""

    def rows(self, lb_id: str, deadline: float) -> Sequence[Row]:
        """Return the rows of a load balancer."""

    def rows_with_pool(self, pool_id: str, deadline: float) -> Sequence[Row]:
        """Return the rows of the load balancer that has a pool; none when there is no such pool."""

    def rows_on_port(self, port_id: str, deadline: float) -> Sequence[Row]:
        """Return name, protocol and external_ids of the rows whose VIP has a Neutron port."""

    def router_subnets(self, network_ids: Iterable[str], deadline: float) -> Iterator[Subnet | str]:
        """Yield the subnets of the routers of networks; an id alone where its CIDR is not clear."""

    def hashes_ipv6(self, deadline: float) -> bool:
        """Whether this OVN can select a backend by a hash of IPv6 addresses."""

    def announces(self, mark: str, deadline: float) -> bool:
        """Whether `NB_Global` has a mark of what programs on chassis do."""

    def commit(
        self,
        rows: Sequence[Row],
        operations: Sequence[Operation],
        deadline: float,
        users: sharing.PortUsers | None = None,
    ) -> None:
        """Write operations if nothing has changed since.

        :param rows: all rows of the load balancer as they were read
        :param users: rows on a VIP port as they were read; None when they do not matter
        :raises Changed: when any of the rows is not what was read
        :raises Unanswered: when the operations may have been written
        :raises Refused: when the database does not accept them
        """


class Recorder:
    """Records requests on load balancers.

    :param rows: the Northbound database
    :param timeout: seconds that recording one request may take
    :param subnet: returns a subnet of Neutron; raises NotFound
    :param admission: what tenants may ask for
    """

    def __init__(
        self, rows: Rows, timeout: float, subnet: Callable[[str], Subnet], admission: Admission
    ) -> None:
        self._rows = rows
        self._timeout = timeout
        self._subnet = subnet
        self._admission = admission
        self.ping = rows.ping
        self.load_balancers = rows.load_balancers
        self.read = rows.read

    def rows(self, lb_id: str) -> Sequence[Row]:
        """Return the rows of a load balancer.

        :raises Unavailable: when the database did not answer in time
        """
        return self._rows.rows(lb_id, self._deadline())

    def record(self, request: patches.Request, *, lb_id: str = "", pool_id: str = "") -> bool:
        """Record a request durably, or raise and leave everything as it was.

        :param lb_id: the load balancer; or else
        :param pool_id: a pool of it
        :returns: whether anything had to be written
        :raises Unsupported: when OVN cannot do what is asked
        :raises NotFound: when the database lacks what the request is about
        :raises Conflict: when another load balancer serves the same
        :raises Unanswered: when it may be recorded, and the database cannot be asked
        :raises Unavailable: when the database did not answer in time
        :raises Refused: when the database does not accept it
        """
        deadline = self._deadline()
        name = names.name(request, uuid.uuid4().hex)
        unanswered: Unanswered | None = None
        while True:
            try:
                return self._attempt(request, lb_id, pool_id, name, deadline)
            except (Changed, Unavailable) as error:  # noqa: PERF203 - each attempt may fail
                unanswered = error if isinstance(error, Unanswered) else unanswered
                # Recording a request twice changes nothing, so both can be retried.
                if isinstance(error, (Changed, Unanswered)) and time.monotonic() <= deadline:
                    continue
                # After an unanswered attempt the request may be recorded, however the last failed.
                if unanswered is not None and unanswered is not error:
                    raise unanswered from error
                raise

    def _attempt(
        self, request: patches.Request, lb_id: str, pool_id: str, name: str, deadline: float
    ) -> bool:
        rows = self._rows.rows(lb_id, deadline) if lb_id else self._pool_rows(pool_id, deadline)
        plan = self._plan(rows, request, name, deadline)
        if plan:
            self._rows.commit(rows, plan, deadline, self._port_users(rows, request, deadline))
        return bool(plan)

    def _pool_rows(self, pool_id: str, deadline: float) -> Sequence[Row]:
        rows = self._rows.rows_with_pool(pool_id, deadline)
        if not rows:
            raise _lost(f"pool {pool_id} is not in the Northbound database")
        return rows

    def plan(self, change: changes.Change, rows: Sequence[Row]) -> tuple[Operation, ...]:
        """Return what recording a change on rows would write; nothing when they say it already.

        :raises Unavailable: when the database did not answer in time
        """
        return self._plan(rows, change, "", self._deadline())

    def record_on(self, rows: Sequence[Row], change: changes.Change) -> bool:
        """Record a change on rows that have been read before.

        :returns: whether it was written; False when the rows say it already, or have changed
        :raises Unavailable: when the database did not answer in time
        :raises Refused: when the database does not accept it
        """
        deadline = self._deadline()
        plan = self._plan(rows, change, names.name(change, uuid.uuid4().hex), deadline)
        try:
            self._rows.commit(rows, plan, deadline)
        except Changed:
            return False
        return bool(plan)

    def _deadline(self) -> float:
        return time.monotonic() + self._timeout

    def _plan(
        self, rows: Sequence[Row], request: patches.Request, name: str, deadline: float
    ) -> tuple[Operation, ...]:
        try:
            lb = _load_balancer(rows, request)
            change = patches.resolve(request, lb)
            self._admission.check(change, lb)
            self._check_chassis(change, lb, deadline)
            change = validation.complete(change, lb, self._networks(deadline))
            if validation.needs_ipv6_hash(change, lb) and not self._rows.hashes_ipv6(deadline):
                raise limits.refuse(limits.IPV6_SOURCE_IP)
            return record.record(rows, change, name)
        except (changes.UnknownObject, codec.Undecodable) as error:
            raise _lost(str(error)) from error

    def _check_chassis(
        self, change: changes.Change, lb: model.LoadBalancer | None, deadline: float
    ) -> None:
        """Refuse what neither OVN nor a program on a chassis would do."""
        if connection_limits.sets(change, lb) and not self._rows.announces(k.COUNTS_MARK, deadline):
            raise limits.refuse(limits.NO_COUNTS)
        beyond_ovn = validation.needs_probes(change, lb)
        if beyond_ovn is None:
            return
        if not self._admission.probes:
            raise beyond_ovn
        if not self._rows.announces(k.PROBES_MARK, deadline):
            raise limits.refuse(limits.NO_PROBES)

    def _port_users(
        self, rows: Sequence[Row], request: patches.Request, deadline: float
    ) -> sharing.PortUsers | None:
        """Return the rows on the VIP port of a request; None when no others can serve the same.

        :raises Conflict: when another load balancer on that port does
        """
        if not isinstance(request, sharing.SERVING):
            return None
        asked = sharing.asked(request, _load_balancer(rows, request))
        if asked is None:
            return None
        users = self._rows.rows_on_port(asked.port_id, deadline)
        clash = next(filter(None, map(asked.clash, users)), None)
        if clash is not None:
            raise Conflict(clash)
        return sharing.PortUsers(asked.port_id, users)

    def _networks(self, deadline: float) -> validation.Networks:
        around = functools.partial(self._subnets_around, deadline=deadline)
        return validation.Networks(around, self._subnet_if_any)

    def _subnet_if_any(self, subnet_id: str) -> Subnet | None:
        try:
            return self._subnet(subnet_id)
        except NotFound:
            return None

    def _subnets_around(self, lb: model.LoadBalancer, deadline: float) -> Iterator[Subnet]:
        """Yield the subnets of VIPs that are not known yet, and of the routers around them."""
        unknown = (vip.subnet_id for vip in lb.vips if vip.subnet_id and not vip.cidr)
        yield from filter(None, map(self._subnet_if_any, unknown))
        networks = {vip.network_id for vip in lb.vips if vip.network_id}
        for each in self._rows.router_subnets(networks, deadline):
            yield each if isinstance(each, Subnet) else self._subnet(each)


def _lost(what: str) -> NotFound:
    """Return the error for a request on a load balancer whose rows are not what Octavia has."""
    return NotFound(
        f"The request cannot be recorded: {what}. The agent restores what is lost from Octavia: try"
        " again soon. If that does not help, an administrator can have it done by 'openstack"
        " loadbalancer failover' or 'octavia-ovn sync'."
    )


def _load_balancer(rows: Sequence[Row], change: patches.Request) -> model.LoadBalancer | None:
    """Return what rows say, as far as a change builds on it.

    :raises Undecodable: when it does and they do not even name a VIP
    :raises Unavailable: when it does and a part of them cannot be read
    """
    if isinstance(change, changes.Restore):
        with contextlib.suppress(codec.Undecodable):
            return codec.decode(rows).lb
    decoded = None if isinstance(change, record.WHOLE) else record.read(rows)
    if decoded is not None and decoded.problems:
        # Written back, the rest would look complete, and the agent would not restore it.
        msg = (
            f"Load balancer {decoded.lb.id} is damaged in the Northbound database"
            f" ({decoded.problems[0]}). The agent restores it from Octavia: try again soon."
        )
        raise Unavailable(msg)
    return decoded.lb if decoded else None
