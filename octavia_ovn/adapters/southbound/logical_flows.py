# SPDX-License-Identifier: Apache-2.0
"""The logical flows of the Southbound database that count traffic of load balancers.

A replica of the IDL takes some ten times the memory of what is kept here, which a chassis needs for
other things; the connection is the IDL's, see :mod:`octavia_ovn.adapters.ovsdb.channel`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import ovs.jsonrpc
import ovs.poller

from octavia_ovn.adapters.ovsdb.channel import Channel
from octavia_ovn.adapters.ovsdb.endpoint import Endpoint
from octavia_ovn.adapters.ovsdb.wire import decode
from octavia_ovn.core.codec.keys import LIMITED, LIMITED_VALUE, PROJECT, RECORDED, RECORDED_VALUE
from octavia_ovn.core.statistics import logical_flows
from octavia_ovn.core.statistics.flow_records import Recorded
from octavia_ovn.core.statistics.logical_flows import STAGE_NAME, STAGES, LogicalFlow
from octavia_ovn.core.statistics.traffic import ROW_UUID_PREFIX_DIGITS, Balancer
from octavia_ovn.errors import Unavailable

_DATABASE = "OVN_Southbound"
_FLOWS, _BALANCERS = "Logical_Flow", "Load_Balancer"
_NB_UUID = "lb_id"
_ID = "octavia-ovn-stats"
_LIMITS, _RECORDS = "octavia-ovn-limits", "octavia-ovn-records"
_MARKS = {_LIMITS: (LIMITED, LIMITED_VALUE), _RECORDS: (RECORDED, RECORDED_VALUE)}
"""Monitor → the option that its load balancers have."""
_GRACE = 10.0
"""Seconds without a connection that are not reported: another server takes over."""


class SouthboundFlows:
    """Cookie → logical flow, kept up to date with the database.

    :param endpoint: the servers; any member of a cluster will do
    :param probe_interval: milliseconds of silence after which the server is probed
    :param with_names: whether to follow the names of load balancers, too
    :param with_limits: whether to follow which load balancers limit connections
    :param with_records: whether to follow which load balancers have their connections recorded
    :param with_backends: whether to follow the backends of flows, too
    """

    def __init__(  # noqa: PLR0913 - a flag for each thing that may be left out
        self,
        endpoint: Endpoint,
        probe_interval: int,
        *,
        with_names: bool,
        with_limits: bool = False,
        with_records: bool = False,
        with_backends: bool = False,
    ) -> None:
        self._channel = Channel(endpoint, probe_interval)
        self._tables = [_FLOWS, *([_BALANCERS] if with_names else [])]
        wanted = {_LIMITS: with_limits, _RECORDS: with_records}
        self._marked: dict[str, dict[str, Mapping[str, Any]]] = {
            monitor: {} for monitor, each in wanted.items() if each
        }
        """Monitor → UUID → load balancer with its mark."""
        self._mark_requests: dict[object, str] = {}
        self._columns = ["match", "external_ids", *(["actions"] if with_backends else [])]
        self._seqno = -1
        self._request: object = None
        self._followed = -1
        """The connection on which the database is followed."""
        self._refused = ""
        """Why a server refuses the subscription."""
        self._balancers: dict[str, tuple[str, Balancer]] = {}
        self._lost: float | None = None
        """Since when there is no connection, in seconds of the monotonic clock."""
        self.flows: dict[int, LogicalFlow] = {}
        self.synced = False

    @property
    def balancers(self) -> dict[str, Balancer]:
        """The load balancers by `row_uuid_prefix`; safe to read from other threads."""
        return dict(list(self._balancers.values()))

    @property
    def limited(self) -> frozenset[str]:
        """The `row_uuid_prefix` of load balancers of which a listener limits connections."""
        return frozenset(_prefix(*each) for each in self._marked.get(_LIMITS, {}).items())

    @property
    def recorded(self) -> dict[str, Recorded]:
        """The load balancers whose connections are recorded, by `row_uuid_prefix`."""
        return {
            _prefix(uuid, row): Recorded(
                row.get("name", ""), decode(row["options"]).get(PROJECT, "")
            )
            for uuid, row in self._marked.get(_RECORDS, {}).items()
        }

    def run(self) -> set[int]:
        """Process what the server has sent; return the cookies that are new."""
        added: set[int] = set()
        self._channel.run()
        if self._channel.get_seqno() != self._seqno:
            self._seqno = self._channel.get_seqno()
            if self._channel.is_connected():
                self._subscribe()
        try:
            while (message := self._channel.recv()) is not None:
                self._take(message, added)
        # The message may be processed in part: connect again, and replicate from the start.
        except Exception:
            self._channel.hang_up("a message could not be processed")
            raise
        return added

    def check(self, now: float) -> None:
        """Check that the database is followed; the connection may change servers meanwhile.

        :param now: seconds of the monotonic clock
        :raises Unavailable: when it has not been for some seconds
        """
        connected = self._channel.is_connected()
        if connected and self._followed == self._channel.get_seqno():
            self._lost = None
            return
        self._lost = now if self._lost is None else self._lost
        if now - self._lost >= _GRACE:
            silent = f"{self._channel.get_name()} has not answered yet"
            reason = silent if connected else f"{self._channel.last_error}"
            raise Unavailable(self._refused or reason)

    def wait(self, poller: ovs.poller.Poller) -> None:
        """Have the poller return when there is something to process."""
        self._channel.wait(poller)
        self._channel.recv_wait(poller)

    def close(self) -> None:
        """Disconnect."""
        self._channel.close()

    def _subscribe(self) -> None:
        wanted = [["external_ids", "includes", ["map", [[STAGE_NAME, each]]]] for each in STAGES]
        requests: dict[str, object] = {
            _FLOWS: [{"columns": self._columns, "where": wanted}],
            _BALANCERS: [{"columns": ["name", "protocol", "external_ids"]}],
        }
        params = [_DATABASE, _ID, {table: requests[table] for table in self._tables}]
        message = ovs.jsonrpc.Message.create_request("monitor_cond", params)
        self._request = message.id
        self._channel.send(message)
        self._mark_requests = {}
        for monitor in self._marked:
            wanted = [["options", "includes", ["map", [_MARKS[monitor]]]]]
            balancers = {"columns": ["name", "options", "external_ids"], "where": wanted}
            params = [_DATABASE, monitor, {_BALANCERS: [balancers]}]
            message = ovs.jsonrpc.Message.create_request("monitor_cond", params)
            self._mark_requests[message.id] = monitor
            self._channel.send(message)

    def _take(self, message: Any, added: set[int]) -> None:
        if message.type == message.T_REPLY and message.id == self._request:
            known, self.flows = self.flows, {}
            self._balancers = {}
            self._update(message.result, set())
            added |= self.flows.keys() - known.keys()
            self.synced, self._refused = True, ""
            self._followed = self._channel.get_seqno()
        elif message.type == message.T_REPLY and message.id in self._mark_requests:
            monitor = self._mark_requests[message.id]
            self._marked[monitor] = {}
            self._mark(monitor, message.result)
        elif message.type == message.T_NOTIFY and message.method == "update2":
            if message.params[0] in self._marked:
                self._mark(message.params[0], message.params[1])
            else:
                self._update(message.params[1], added)
        elif message.type == message.T_ERROR:
            # Such as a relay that does not have the database yet; the channel tries again.
            self._refused = f"{self._channel.get_name()}: the server answers {message.error}"
            self._channel.hang_up(self._refused)

    def _update(self, updates: Mapping[str, Any], added: set[int]) -> None:
        for uuid, row in _rows(updates, _FLOWS):
            self._flow(uuid, row, added)
        for uuid, row in _rows(updates, _BALANCERS):
            self._name(uuid, row)

    def _flow(self, uuid: str, row: Mapping[str, Any] | None, added: set[int]) -> None:
        cookie = logical_flows.cookie(uuid)
        if row is None:
            self.flows.pop(cookie, None)
            return
        external_ids = decode(row.get("external_ids", ["map", []]))
        found = logical_flows.parse(external_ids, row.get("match", ""), row.get("actions", ""))
        if found is not None:
            self.flows[cookie] = found
            added.add(cookie)

    def _mark(self, monitor: str, updates: Mapping[str, Any]) -> None:
        for uuid, row in _rows(updates, _BALANCERS):
            if row is None:
                self._marked[monitor].pop(uuid, None)
            else:
                self._marked[monitor][uuid] = row

    def _name(self, uuid: str, row: Mapping[str, Any] | None) -> None:
        if row is None:
            self._balancers.pop(uuid, None)
            return
        protocol = row.get("protocol", "tcp")
        self._balancers[uuid] = (
            _prefix(uuid, row),
            # An optional column that is not set arrives as an empty set.
            Balancer(row.get("name", ""), protocol if isinstance(protocol, str) else "tcp"),
        )


def _prefix(uuid: str, row: Mapping[str, Any]) -> str:
    """Return the beginning of the UUID that a load balancer has in the Northbound database.

    Newer versions of OVN give the row in this database the same UUID.
    """
    found: str = decode(row.get("external_ids", ["map", []])).get(_NB_UUID, uuid)
    return found[:ROW_UUID_PREFIX_DIGITS]


def _rows(updates: Mapping[str, Any], table: str) -> Iterable[tuple[str, Mapping[str, Any] | None]]:
    """Yield rows that are new, and None for those that are gone; changed rows do not matter."""
    for uuid, update in updates.get(table, {}).items():
        if "delete" in update:
            yield uuid, None
        elif "modify" not in update:
            yield uuid, update["initial"] if "initial" in update else update["insert"]
