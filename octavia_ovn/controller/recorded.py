# SPDX-License-Identifier: Apache-2.0
"""What the rows of a load balancer say of members that chassis check."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from octavia_ovn.core import codec, model
from octavia_ovn.core.pending import Kind
from octavia_ovn.core.rows import Row
from octavia_ovn.core.status import Operating

_UNCHECKED = Operating.NO_MONITOR.value


@dataclass(frozen=True, slots=True)
class Recorded:
    """What another agent may have written.

    :param statuses: id → operating status in Octavia of members, and of monitors in ERROR
    :param first: members that serve until the first result of their check
    :param weights: member id → weight that the member itself has said
    """

    statuses: Mapping[str, str]
    first: frozenset[str]
    weights: Mapping[str, int]
    _serving: frozenset[str]
    _pending: Collection[tuple[Kind, str]]

    @classmethod
    def of(cls, rows: Sequence[Row], statuses: Mapping[str, str]) -> Recorded:
        """Read the rows."""
        values = {value for row in rows for value in row.vips.values()}
        pending = codec.pending(rows)
        return cls(
            statuses,
            codec.first_checks(rows),
            codec.endpoint_weights(rows),
            frozenset(backend for value in values for backend in codec.endpoints(value)),
            pending.objects.keys() if pending else (),
        )

    def is_serving(self, member: model.Member) -> bool:
        """Whether a member receives connections."""
        return codec.endpoint(member.address, member.port) in self._serving

    def begins(self, pool: model.Pool, member: model.Member, *, known: bool) -> bool:
        """Whether a member that no check has been made of until now serves, and should continue.

        :param known: whether this agent has seen its load balancer before; otherwise its check may
            have begun long ago
        """
        if self.statuses.get(member.id, _UNCHECKED) != _UNCHECKED:
            return False
        new = member.id in self.first or known or self._is_new(pool.monitor)
        return new and self.is_serving(member)

    def _is_new(self, monitor: model.HealthMonitor | None) -> bool:
        """Whether a monitor is just being made, or could not be made until now."""
        return monitor is not None and (
            (Kind.HEALTH_MONITOR, monitor.id) in self._pending
            or self.statuses.get(monitor.id) == Operating.ERROR.value
        )
