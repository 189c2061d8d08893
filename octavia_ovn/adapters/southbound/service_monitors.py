# SPDX-License-Identifier: Apache-2.0
"""The agent's replica of the Southbound database: the results of OVN's health checks.

Where chassis check members, it has the chassis as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ovs.poller

from octavia_ovn.adapters.ovsdb.channel import MAX_BACKOFF
from octavia_ovn.adapters.ovsdb.endpoint import Endpoint
from octavia_ovn.adapters.ovsdb.idl import DELETE
from octavia_ovn.adapters.ovsdb.replica import Replica, fetch_schema
from octavia_ovn.adapters.ovsdb.wire import Schema
from octavia_ovn.adapters.southbound import address_sets
from octavia_ovn.adapters.southbound.address_sets import AddressSets
from octavia_ovn.adapters.southbound.chassis import TABLES as CHASSIS_TABLES
from octavia_ovn.adapters.southbound.chassis import ChassisRows
from octavia_ovn.core.dependencies import Dependency, Resource
from octavia_ovn.core.health import HealthState
from octavia_ovn.core.ip import canonical_address
from octavia_ovn.core.multimap import Indexed

_DATABASE = "OVN_Southbound"
TABLE = "Service_Monitor"
COLUMNS = ("ip", "port", "protocol", "logical_port", "status", "type")
_STATES = {"online": HealthState.UP, "offline": HealthState.DOWN, "error": HealthState.DOWN}
_FOR_LOAD_BALANCERS = "load-balancer"

Key = tuple[str, str, int, str]


class Southbound:
    """Health states by switch port, address, port and protocol.

    Load balancers without checks do not need it, so the agent works while it is not connected.

    :param changed: called with a dependency when a health state has changed
    :param timeout: seconds that fetching the schema may take
    :param probe_interval: milliseconds; see :class:`Replica`, and so is `max_backoff`
    :param chassis: follows the chassis; None when OVN checks members itself
    """

    def __init__(  # noqa: PLR0913 - by keyword
        self,
        endpoint: Endpoint,
        *,
        changed: Callable[[Dependency], None],
        timeout: float,
        probe_interval: int,
        max_backoff: int = MAX_BACKOFF,
        chassis: ChassisRows | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._changed = changed
        self._timeout = timeout
        self._probe_interval = probe_interval
        self._max_backoff = max_backoff
        self._chassis = chassis
        self._states: Indexed[Key, tuple[Key, HealthState]] = Indexed(lambda state: state[:1])
        self._replica: Replica | None = None
        self._schema: Schema | None = None
        self._sets = AddressSets(self._open_sets, changed)

    def fetch_schema(self) -> Schema:
        """Read the server's schema; takes time, so not called from the main loop.

        :raises Unavailable: when no server answers
        """
        return fetch_schema(self._endpoint, _DATABASE, self._timeout)

    def open(self, schema: Schema) -> None:
        """Start to replicate."""
        self._schema = schema
        self._replica = Replica(
            self._endpoint,
            _DATABASE,
            schema,
            {TABLE: COLUMNS, **(CHASSIS_TABLES if self._chassis else {})},
            conditions=self._chassis.conditions() if self._chassis else {},
            probe_interval=self._probe_interval,
            max_backoff=self._max_backoff,
            on_change=self._event,
        )
        if self._chassis is not None:
            self._chassis.open(self._replica)

    def _open_sets(self, on_change: Callable[[str, str, Any, Any], None]) -> Replica | None:
        if self._schema is None:
            return None
        return Replica(
            self._endpoint,
            _DATABASE,
            self._schema,
            address_sets.TABLES,
            conditions=address_sets.NOTHING,
            probe_interval=self._probe_interval,
            max_backoff=self._max_backoff,
            on_change=on_change,
        )

    def address_set(self, name: str) -> frozenset[str] | None:
        """Return what an address set holds, nothing if there is none; None while it is fetched."""
        return self._sets.addresses(name)

    def forget_address_set(self, name: str) -> None:
        """Follow an address set no longer; no load balancer depends on it."""
        self._sets.forget(name)

    def run(self) -> None:
        """Process what the server has sent."""
        if self._replica is not None:
            self._replica.run()
            self._sets.run()

    def wait(self, poller: ovs.poller.Poller) -> None:
        """Have the poller return when there is something to process."""
        if self._replica is not None:
            self._replica.wait(poller)
            self._sets.wait(poller)

    def close(self) -> None:
        """Disconnect."""
        if self._replica is not None:
            self._replica.close()
            self._sets.close()

    @property
    def is_open(self) -> bool:
        """Whether it replicates, or tries to connect."""
        return self._replica is not None

    @property
    def connected(self) -> bool:
        """Whether the database is being followed now."""
        return self._replica is not None and self._replica.connected

    @property
    def ready(self) -> bool:
        """Whether the contents are known."""
        return self._replica is not None and self._replica.synced

    def health_state(self, switch_port: str, address: str, port: int, protocol: str) -> HealthState:
        """Return the result of OVN's check of a backend."""
        found = self._states.first((switch_port, address, port, protocol))
        return HealthState.UNKNOWN if found is None else found[1]

    def _event(self, table: str, event: str, row: Any, _: Any) -> None:
        if self._chassis is not None and table != TABLE:
            self._chassis.update(table, event, row)
            return
        state = None if event == DELETE else member_state(row)
        for key, _state in self._states.put(row.uuid, state):
            self._changed(Dependency(Resource.BACKEND, key[1]))


def member_state(row: Any) -> tuple[Key, HealthState] | None:
    """Return the health state of a member; None for a check that belongs to no load balancer.

    :param row: of Service_Monitor, with COLUMNS as attributes as far as the schema has them
    """
    if not _checks_members(row):
        return None
    protocol = next(iter(row.protocol), "tcp")
    status = next(iter(row.status), "")
    key = (row.logical_port, canonical_address(row.ip), row.port, protocol)
    return key, _STATES.get(status, HealthState.UNKNOWN)


def _checks_members(row: Any) -> bool:
    """Whether the row belongs to a load balancer; newer OVN has checks of other kinds as well."""
    kind = getattr(row, "type", None) or _FOR_LOAD_BALANCERS
    return (kind if isinstance(kind, str) else kind[0]) == _FOR_LOAD_BALANCERS
