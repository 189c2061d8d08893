# SPDX-License-Identifier: Apache-2.0
"""What an agent keeps in rows for the next one, beside the intent."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping

from octavia_ovn.core import ip, model
from octavia_ovn.core.codec import keys as k
from octavia_ovn.core.codec import write
from octavia_ovn.core.codec.attributes import UNREADABLE, texts
from octavia_ovn.core.rows import Flow, Row


def lost_vips(rows: Iterable[Row]) -> dict[str, str] | None:
    """Return the VIPs that are not served because Neutron gave them to others: address → reason.

    None when no row records it since the last report to Octavia; see `Facts.lost`.
    """
    marks = [row.external_ids[k.LOST_VIPS] for row in rows if k.LOST_VIPS in row.external_ids]
    try:
        return texts(json.loads(marks[0])) if marks else None
    except UNREADABLE:
        return {}


def draining(rows: Iterable[Row]) -> dict[Flow, int]:
    """Return the deadlines of what has left `vips`, as far as they can be read."""
    found: dict[Flow, int] = {}
    for row in rows:
        with contextlib.suppress(*UNREADABLE):
            found |= _deadlines(json.loads(row.external_ids.get(k.DRAINING, "{}")))
    return found


def _deadlines(value: Mapping[str, Mapping[str, Mapping[str, object]]]) -> dict[Flow, int]:
    return {
        Flow(protocol, vip, backend): deadline
        for protocol, vips in value.items()
        for vip, backends in vips.items()
        for backend, deadline in backends.items()
        if isinstance(deadline, int) and is_flow(Flow(protocol, vip, backend))
    }


def is_flow(flow: Flow) -> bool:
    """Whether OVN can read an entry of `vips` that consists of this."""
    try:
        families = {ip.family(address(each)) for each in (flow.vip, flow.backend)}
        model.Protocol(flow.protocol)
    except ValueError:
        return False
    return len(families) == 1


def address(endpoint: str) -> str:
    """Return the address of an `address:port`.

    :raises ValueError: unless it is written as OVN writes it
    """
    text, _, port = endpoint.rpartition(":")
    found = ip.canonical_address(text.strip("[]"))
    if endpoint != write.endpoint(found, int(port)):
        msg = f"{endpoint!r} is no address with a port"
        raise ValueError(msg)
    return found


def first_checks(rows: Iterable[Row]) -> frozenset[str]:
    """Return the members that serve until the first result of their check; none if unreadable."""
    found: set[str] = set()
    for row in rows:
        with contextlib.suppress(*UNREADABLE):
            found.update(map(str, json.loads(row.external_ids.get(k.FIRST_CHECKS, "[]"))))
    return frozenset(found)


def endpoint_weights(rows: Iterable[Row]) -> dict[str, int]:
    """Return the weights that members have said: member id → weight; none if unreadable."""
    found: dict[str, int] = {}
    for row in rows:
        with contextlib.suppress(*UNREADABLE):
            said = json.loads(row.external_ids.get(k.ENDPOINT_WEIGHTS, "{}"))
            found.update({key: each for key, each in said.items() if _is_weight(each)})
    return found


def _is_weight(value: object) -> bool:
    return type(value) is int and value >= 0
