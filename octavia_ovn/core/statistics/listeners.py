"""Which listeners the keys of a chassis mean."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping

from octavia_ovn.core import codec
from octavia_ovn.core.statistics.traffic import Key


def listeners(hint: str, rows: Iterable[Mapping[str, str]]) -> dict[Key, str]:
    """Return the ids of listeners by key.

    Where two rows have the same hint and port, a flow does not say whose it is: nobody's.

    :param hint: the beginning of the UUIDs of some rows of Load_Balancer
    :param rows: the external_ids of all of those
    """
    found = [codec.listeners_by_port(external_ids) for external_ids in rows]
    times = collections.Counter(port for by_port in found for port in by_port)
    return {
        Key(hint, port): listener_id
        for by_port in found
        for port, listener_id in by_port.items()
        if times[port] == 1
    }
