"""What Octavia has been told and has accepted: kept in memory, lost without harm.

After a restart everything that Octavia waits for is told again.
"""

from __future__ import annotations

from dataclasses import dataclass, field

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


class ReportedStatus:
    """The last report sent and the last one accepted, for each load balancer."""

    def __init__(self) -> None:
        self._sent: dict[str, ReportKey] = {}
        self._accepted: dict[str, ReportKey] = {}

    def is_under_way(self, lb_id: str, ticket: ReportKey) -> bool:
        """Whether this very report has been handed to the reporter."""
        sent = self._sent.get(lb_id)
        return sent is not None and sent == ticket and sent.message == ticket.message

    def sent(self, lb_id: str, ticket: ReportKey) -> None:
        """Note a report that was handed to the reporter."""
        self._sent[lb_id] = ticket

    def accept(self, lb_id: str, ticket: ReportKey) -> tuple[str, ...]:
        """Note that Octavia has accepted a report; return the requests that have ended with it."""
        before = self.accepted(lb_id).requests
        self._accepted[lb_id] = ticket
        if self._sent.get(lb_id) == ticket:
            del self._sent[lb_id]
        return tuple(each for each in ticket.requests if each not in before)

    def accepted(self, lb_id: str) -> ReportKey:
        """Return the last report that Octavia has accepted."""
        return self._accepted.get(lb_id, ReportKey(()))

    def clear(self) -> None:
        """Drop everything: somebody else may have reported in the meantime."""
        self._sent.clear()
        self._accepted.clear()

    def forget(self, lb_id: str) -> None:
        """Drop what concerns a load balancer that is gone."""
        self._sent.pop(lb_id, None)
        self._accepted.pop(lb_id, None)
