"""The logical flows that count something of load balancers, as the Southbound database has them.

A replica in the memory of the IDL takes some ten times as much as what is kept here, and a chassis
has better uses for it; the connection is the IDL's, see :mod:`octavia_ovn.adapters.ovsdb_channel`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

import ovs.jsonrpc
import ovs.poller

from octavia_ovn.adapters.ovsdb_channel import Channel
from octavia_ovn.adapters.ovsdb_endpoint import Endpoint
from octavia_ovn.adapters.ovsdb_wire import decode
from octavia_ovn.core.statistics import logical_flows
from octavia_ovn.core.statistics.logical_flows import STAGE_NAME, STAGES, LogicalFlow
from octavia_ovn.core.statistics.traffic import HINT_DIGITS

LOG = logging.getLogger(__name__)

_DATABASE = "OVN_Southbound"
_FLOWS, _BALANCERS = "Logical_Flow", "Load_Balancer"
_NB_UUID = "lb_id"
_ID = "octavia-ovn-stats"


class SouthboundFlows:
    """What each cookie counts; follows the database for ever.

    :param endpoint: the servers; any member of a cluster will do
    :param probe_interval: milliseconds of silence after which the server is probed
    :param with_names: whether to follow the names of load balancers, too
    """

    def __init__(self, endpoint: Endpoint, probe_interval: int, *, with_names: bool) -> None:
        self._channel = Channel(endpoint, probe_interval)
        self._tables = [_FLOWS, *([_BALANCERS] if with_names else [])]
        self._seqno = -1
        self._request: object = None
        self._names: dict[str, tuple[str, str]] = {}
        self.flows: dict[int, LogicalFlow] = {}
        self.synced = False

    @property
    def names(self) -> dict[str, str]:
        """The names of load balancers by hint; of ours, it is the id that Octavia knows."""
        return dict(self._names.values())

    def run(self) -> set[int]:
        """Process what the server has sent; return the cookies that are new."""
        added: set[int] = set()
        self._channel.run()
        if self._channel.get_seqno() != self._seqno:
            self._seqno = self._channel.get_seqno()
            if self._channel.is_connected():
                self._subscribe()
        while (message := self._channel.recv()) is not None:
            self._take(message, added)
        return added

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
            _FLOWS: [{"columns": ["match", "external_ids"], "where": wanted}],
            _BALANCERS: [{"columns": ["name", "external_ids"]}],
        }
        params = [_DATABASE, _ID, {table: requests[table] for table in self._tables}]
        message = ovs.jsonrpc.Message.create_request("monitor_cond", params)
        self._request = message.id
        self._channel.send(message)

    def _take(self, message: Any, added: set[int]) -> None:
        if message.type == message.T_REPLY and message.id == self._request:
            known, self.flows = self.flows, {}
            self._names = {}
            self._update(message.result, set())
            added |= self.flows.keys() - known.keys()
            self.synced = True
        elif message.type == message.T_NOTIFY and message.method == "update2":
            self._update(message.params[1], added)
        elif message.type == message.T_ERROR:
            LOG.error("%s will not be followed: %s", _DATABASE, message.error)

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
        found = logical_flows.parse(decode(row.get("external_ids", ["map", []])), row["match"])
        if found is not None:
            self.flows[cookie] = found
            added.add(cookie)

    def _name(self, uuid: str, row: Mapping[str, Any] | None) -> None:
        if row is None:
            self._names.pop(uuid, None)
            return
        hint = decode(row.get("external_ids", ["map", []])).get(_NB_UUID, "")[:HINT_DIGITS]
        self._names[uuid] = (hint, row.get("name", ""))


def _rows(updates: Mapping[str, Any], table: str) -> Iterable[tuple[str, Mapping[str, Any] | None]]:
    """Yield rows that are new, and None for those that are gone; others change nothing of ours."""
    for uuid, update in updates.get(table, {}).items():
        if "delete" in update:
            yield uuid, None
        elif "modify" not in update:
            yield uuid, update["initial"] if "initial" in update else update["insert"]
