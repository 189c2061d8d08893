# SPDX-License-Identifier: Apache-2.0
"""Status updates for Octavia, their cost, and how they are divided into messages.

Octavia processes a message record by record, each in a transaction of its own. Measured with
MariaDB: 3 ms for a record that changes a status; for one that deletes an object, whose quota is
counted down, 15 ms and 0.35 ms more for each object of its load balancer, all of which Octavia
loads. A message of thousands of deletions takes many minutes, so large updates are sent in parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from octavia_ovn.core.pending import Final, Kind
from octavia_ovn.core.status import Message, Record

K = TypeVar("K")

BUDGET = 2.0
"""Estimated seconds of Octavia's work in a message about several load balancers."""
PART = 5.0
"""The same in a message about a part of a large one: with more, others wait longer; with less, the
0.2 s that each message takes by itself, seconds on a busy host, count too much."""
_CHANGE = 0.004
"""Seconds for a record that deletes nothing."""
_DELETION = 0.02
"""Seconds for a record that deletes an object."""
_NEIGHBOUR = 0.0004
"""Seconds that a deletion takes longer for each object of the load balancer."""
NOT_ASKED = -1


@dataclass(frozen=True, slots=True)
class StatusUpdate(Generic[K]):
    """The statuses of one load balancer and its objects.

    :param key: passed on when Octavia has accepted the update; None when it is sent once more
    :param message: the records to send
    :param resend: those to send once more after that
    :param due: when to send it, in seconds of the reporter's clock
    :param failures: attempts that have failed in a row
    :param isolate: whether to send it in a message of its own
    :param verified: whether Octavia has been asked which records of a second sending are needed
    :param since: when the reporter received it, in seconds of its clock
    :param pace: seconds that Octavia takes for a deletion; None before the first
    :param cost: seconds that Octavia takes for all records, estimated
    :param doubt: the number of deletions that Octavia had not done when it was last asked, after a
        message that it did not answer; :data:`NOT_ASKED` before that, None when there is no doubt
    """

    lb_id: str
    key: K | None
    message: Message
    resend: Message = field(default_factory=dict)
    due: float = 0.0
    failures: int = 0
    isolate: bool = False
    verified: bool = False
    since: float = 0.0
    pace: float | None = None
    cost: float = 0.0
    doubt: int | None = None


def priced(update: StatusUpdate[K]) -> StatusUpdate[K]:
    """Return an update with its cost."""
    pace = _pace(update)
    return replace(update, cost=sum(_price(each, pace) for _, each in _records(update.message)))


def cut(update: StatusUpdate[Any]) -> tuple[Message, Message]:
    """Return the records for the next message, one at least, and the rest.

    They keep Octavia's order: the load balancer itself comes last, so it stays immutable until
    Octavia knows everything.
    """
    pace, left = _pace(update), PART
    now: Message = {}
    rest: Message = {}
    for kind, record in _records(update.message):
        price = _price(record, pace)
        if rest or (now and price > left):
            rest.setdefault(kind, []).append(record)
        else:
            now.setdefault(kind, []).append(record)
            left -= price
    return now, rest


def advanced(update: StatusUpdate[K], sent: Message, rest: Message, took: float) -> StatusUpdate[K]:
    """Return what is left of an update after a message.

    :param took: seconds that Octavia took for the message
    """
    count = sum(_deletes(each) for _, each in _records(sent))
    # One quick answer, perhaps about records that were deleted before, proves little.
    pace = max(took / count, _pace(update) / 2) if count else update.pace
    return priced(replace(update, message=rest, pace=pace, failures=0, isolate=False))


def deletions(message: Message) -> frozenset[str]:
    """Return the ids of the objects that Octavia removes; it keeps load balancers."""
    return frozenset(
        each["id"]
        for kind, each in _records(message)
        if _deletes(each) and kind != Kind.LOAD_BALANCER.value
    )


def ids(message: Message) -> frozenset[str]:
    """Return the ids of all objects in a message."""
    return frozenset(record["id"] for records in message.values() for record in records)


def merge(messages: Iterable[Message]) -> Message:
    """Return one message with the records of several, in Octavia's order of kinds."""
    merged: Message = {kind.value: [] for kind in Kind}
    for message in messages:
        for kind, records in message.items():
            merged[kind].extend(records)
    return {kind: records for kind, records in merged.items() if records}


def without(message: Message, object_ids: frozenset[str | None] | frozenset[str]) -> Message:
    """Return a message without the records of some objects."""
    kept = {
        kind: [record for record in records if record["id"] not in object_ids]
        for kind, records in message.items()
    }
    return {kind: records for kind, records in kept.items() if records}


def _records(message: Message) -> Iterator[tuple[str, Record]]:
    for kind in Kind:
        for record in message.get(kind.value, ()):
            yield kind.value, record


def _deletes(record: Record) -> bool:
    return record.get("provisioning_status") == Final.DELETED.value


def _pace(update: StatusUpdate[Any]) -> float:
    if update.pace is not None:
        return update.pace
    count = sum(_deletes(each) for _, each in _records(update.message))
    return _DELETION + _NEIGHBOUR * count


def _price(record: Record, pace: float) -> float:
    return pace if _deletes(record) else _CHANGE
