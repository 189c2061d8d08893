"""What load balancers have to tell Octavia, and how much of it one message takes.

Octavia works through a message record by record, each in a transaction of its own. Measured with
MariaDB: 3 ms for a record that changes a status; for one that deletes an object, whose quota is
counted down, 15 ms and 0.35 ms more for each object of its load balancer, all of which Octavia
loads. A message of thousands of deletions takes many minutes. So what is large is told in parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from octavia_ovn.core.pending import Final, Kind
from octavia_ovn.core.status import Message, Record

BUDGET = 2.0
"""Seconds of Octavia's work, as far as one can tell, in a message about several load balancers."""
PART = 5.0
"""The same in a message about a part of a large one: more, and others wait for it; less, and the
0.2 s count that a message takes of itself, seconds on a busy host."""
_CHANGE = 0.004
"""Seconds for a record that deletes nothing."""
_DELETION = 0.02
"""Seconds for one that does, and how many more for each object of the load balancer."""
_NEIGHBOUR = 0.0004
NOT_ASKED = -1


@dataclass(frozen=True, slots=True)
class StatusUpdate:
    """What one load balancer has to tell.

    :param ticket: handed back when Octavia has accepted it; None for nobody wants to know
    :param late: records to send once more
    :param due: when to send it, of the reporter's clock
    :param asked: whether Octavia has been asked which late records are needed
    :param since: when the reporter took it, of its clock
    :param pace: seconds that Octavia takes for a deletion; None before it has done any
    :param cost: seconds that Octavia takes for all of it, as far as one can tell
    :param doubt: the deletions that Octavia had not done when it was last asked, after a message
        that it did not answer; :data:`NOT_ASKED` before that, None when there is no doubt
    """

    lb_id: str
    ticket: object
    message: Message
    late: Message = field(default_factory=dict)
    due: float = 0.0
    failures: int = 0
    isolate: bool = False
    asked: bool = False
    since: float = 0.0
    pace: float | None = None
    cost: float = 0.0
    doubt: int | None = None


def priced(update: StatusUpdate) -> StatusUpdate:
    """Return a parcel with its cost."""
    pace = _pace(update)
    return replace(update, cost=sum(_price(each, pace) for _, each in _records(update.message)))


def cut(update: StatusUpdate) -> tuple[Message, Message]:
    """Return the records for the next message, one at least, and the rest.

    They keep Octavia's order: first what belongs to a load balancer, in the end itself. So it stays
    immutable until Octavia knows everything.
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


def advanced(update: StatusUpdate, told: Message, rest: Message, took: float) -> StatusUpdate:
    """Return what is left of a parcel after a message.

    :param took: seconds that Octavia took for the message
    """
    count = sum(_deletes(each) for _, each in _records(told))
    # One quick answer, perhaps of records that had been deleted before, does not make all quick.
    pace = max(took / count, _pace(update) / 2) if count else update.pace
    return priced(replace(update, message=rest, pace=pace, failures=0, isolate=False))


def deletions(message: Message) -> frozenset[str]:
    """Return the ids of the objects that Octavia is to remove; it keeps load balancers."""
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


def _pace(update: StatusUpdate) -> float:
    if update.pace is not None:
        return update.pace
    count = sum(_deletes(each) for _, each in _records(update.message))
    return _DELETION + _NEIGHBOUR * count


def _price(record: Record, pace: float) -> float:
    return pace if _deletes(record) else _CHANGE
