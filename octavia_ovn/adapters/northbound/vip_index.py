# SPDX-License-Identifier: Apache-2.0
"""Which VIPs the load balancer rows have, by network and address."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from octavia_ovn.core import codec
from octavia_ovn.core.multimap import MultiMap
from octavia_ovn.core.topology import switch_name

Place = tuple[str, str]
"""Switch and address."""


class VipIndex:
    """The VIPs of all load balancers; a lookup takes constant time."""

    def __init__(self) -> None:
        self._places: dict[uuid.UUID, frozenset[Place]] = {}
        self._rows: MultiMap[Place, uuid.UUID] = MultiMap()

    def update(
        self, identity: uuid.UUID, external_ids: Mapping[str, str] | None
    ) -> frozenset[Place]:
        """Process an event: the keys of a row, None of a deleted one; return the changed places."""
        before = self._places.pop(identity, frozenset())
        after = frozenset(_places(external_ids or {}))
        if after:
            self._places[identity] = after
        for place in before - after:
            self._rows.discard(place, identity)
        for place in after - before:
            self._rows.add(place, identity)
        return before ^ after

    def __contains__(self, place: object) -> bool:
        return place in self._rows


def _places(external_ids: Mapping[str, str]) -> frozenset[Place]:
    return frozenset(
        (switch_name(vip.network_id), vip.address)
        for vip in codec.vips(external_ids)
        if vip.network_id
    )
