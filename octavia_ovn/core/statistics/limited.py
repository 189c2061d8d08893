# SPDX-License-Identifier: Apache-2.0
"""Open connections of listeners with a limit: counted on chassis, added up by the agent."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from octavia_ovn.core.statistics.logical_flows import LogicalFlow, Meaning
from octavia_ovn.core.statistics.traffic import Key

_LIMITED = "tcp"
_LINGER = 20
"""Counts until the connections of a listener that is not on the chassis any more are none: OVN
replaces its flows when members change. Without that they would count until all connections are
counted, if ever."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Connections that are open on all chassis.

    :param open: of some listeners
    :param complete: whether all chassis have had the time to report theirs
    :param counting: whether any chassis counts
    """

    open: Mapping[Key, int] = field(default_factory=dict)
    complete: bool = False
    counting: bool = False


def present(rows: Collection[str], logical_flows: Iterable[LogicalFlow]) -> frozenset[Key]:
    """Return the listeners on a chassis whose connections are limited.

    :param rows: the `row_uuid_prefix` of rows of which some listener has a limit
    :param logical_flows: those that are in use on the chassis
    """
    return frozenset(
        Key(each.row_uuid_prefix, each.port)
        for each in logical_flows
        if each.meaning is Meaning.CONNECTIONS
        and each.protocol == _LIMITED
        and each.row_uuid_prefix in rows
    )


class Reported:
    """What a chassis has reported of its limited listeners."""

    def __init__(self) -> None:
        self.open: dict[Key, int] = {}
        self._gone: dict[Key, int] = {}
        """Listeners that are not on the chassis any more → for how many counts."""

    def update(self, limited: Collection[Key], found: Mapping[Key, int]) -> dict[Key, int]:
        """Take a count of open connections; return what should be reported.

        :param limited: the listeners
        :param found: all that were counted; nothing stands for 0
        """
        now = {key: found.get(key, 0) for key in limited}
        gone = [key for key, number in self.open.items() if number and key not in now]
        self._gone = {key: self._gone.get(key, 0) + 1 for key in gone}
        now |= {key: self.open[key] if self._gone[key] < _LINGER else 0 for key in gone}
        changed = {key: number for key, number in now.items() if self.open.get(key) != number}
        self.open = now
        return changed
