# SPDX-License-Identifier: Apache-2.0
"""Which reports Octavia has accepted: kept in memory only.

After a restart everything that Octavia waits for is reported again.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from octavia_ovn.core.pending import Final, Kind, Pending
from octavia_ovn.core.request.events import Event, events
from octavia_ovn.core.status import Message, Tree


@dataclass(frozen=True, slots=True)
class ReportKey:
    """One report: the requests that it answers and the statuses of all objects at that time."""

    requests: tuple[str, ...]
    statuses: Tree | None = None
    message: Message = field(default_factory=dict, compare=False)

    @property
    def failed(self) -> bool:
        """Whether it says that an object has ended in ERROR."""
        records = (record for each in self.message.values() for record in each)
        return any(record.get("provisioning_status") == "ERROR" for record in records)

    def ends(self, pending: Pending | None) -> bool:
        """Whether all has ended well, if Octavia has accepted it, that rows ask for.

        Rows that others have written may name a request that has ended otherwise.
        """
        if pending is None:
            return True
        records = self.message.get(Kind.LOAD_BALANCER.value, ())
        gone = any(each.get("provisioning_status") == Final.DELETED.value for each in records)
        return self.answers(pending) and not self.failed and (gone or not pending.deleting)

    def answers(self, pending: Pending | None) -> bool:
        """Whether it answers all requests of which rows say that they have not ended.

        Octavia accepts a request only after those before it have ended: their report would end it,
        too.
        """
        return pending is None or set(pending.requests) <= set(self.requests)

    def events_since(self, before: ReportKey) -> tuple[Event, ...]:
        """Return the events of its requests, without those of the report before it.

        A deletion that was refused ends a second time, without an error, when it is reported again.
        """
        known = events(before.requests, before.message)
        now = events(self.requests, self.message)
        return tuple(event for request, event in now.items() if request not in known)


class ReportedStatus:
    """The last report sent and the last one accepted, for each load balancer."""

    def __init__(self) -> None:
        self._sent: dict[str, ReportKey] = {}
        self._accepted: dict[str, ReportKey] = {}

    def is_under_way(self, lb_id: str, key: ReportKey) -> bool:
        """Whether the reporter has this very report."""
        sent = self._sent.get(lb_id)
        return sent is not None and sent == key and sent.message == key.message

    def sent(self, lb_id: str, key: ReportKey) -> None:
        """Note that the reporter has a report."""
        self._sent[lb_id] = key

    def confirm(self, lb_id: str, key: ReportKey, pending: Pending | None) -> bool:
        """Return whether a report must still be sent; otherwise note that the reporter drops it.

        :param pending: what rows say of the load balancer now
        """
        wanted = key.answers(pending)
        if not wanted and self._sent.get(lb_id) == key:
            del self._sent[lb_id]
        return wanted

    def accept(self, lb_id: str, key: ReportKey) -> tuple[str, ...]:
        """Note that Octavia has accepted a report; return the requests that have ended with it."""
        before = self.accepted(lb_id).requests
        self._accepted[lb_id] = key
        if self._sent.get(lb_id) == key:
            del self._sent[lb_id]
        return tuple(each for each in key.requests if each not in before)

    def accepted(self, lb_id: str) -> ReportKey:
        """Return the last report that Octavia has accepted."""
        return self._accepted.get(lb_id, ReportKey(()))

    def clear(self) -> None:
        """Drop everything: another agent may have reported in the meantime."""
        self._sent.clear()
        self._accepted.clear()

    def forget(self, lb_id: str) -> None:
        """Drop the reports of a load balancer that is gone."""
        self._sent.pop(lb_id, None)
        self._accepted.pop(lb_id, None)
