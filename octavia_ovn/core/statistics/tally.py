# SPDX-License-Identifier: Apache-2.0
"""Attribution of the growth of flows to listeners."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from octavia_ovn.core.statistics.logical_flows import LogicalFlow, Meaning
from octavia_ovn.core.statistics.meter import Growth
from octavia_ovn.core.statistics.openflow import FlowCounters
from octavia_ovn.core.statistics.traffic import Key, Traffic, add

_Place = tuple[int | None, bytes]
"""A VIP in a router: the datapath and the packed address."""
_Entry = tuple[int | None, bytes, str, int]
"""A listener at a VIP in a switch: the datapath, the packed address, protocol and port."""


def serves(logical: LogicalFlow | None, flow: FlowCounters) -> bool:
    """Whether a flow of a bridge is one of a load balancer.

    Cookies have 32 bits: among a million flows some share one by chance.
    """
    return logical is not None and flow.address == logical.address


def attribute(
    catalog: Mapping[int, LogicalFlow], flows: Collection[FlowCounters], grown: Iterable[Growth]
) -> dict[Key, Traffic]:
    """Return what listeners have carried.

    Clients beyond a router reach a VIP through a flow that knows no port. If several listeners
    share the address, its bytes are divided in proportion to the connections that they have had.
    On switches, flows that count bytes may name a row that is gone: OVN keeps them as they are when
    another row has the same listener. Those that choose a member name the right one.

    :param catalog: logical flows by cookie
    :param flows: a reading; all of it is in the catalog
    :param grown: those of it that have grown
    """
    shares, owners = _shares(catalog, flows), _owners(catalog, flows)
    sums: dict[Key, Traffic] = {}
    for growth in grown:
        logical = catalog[growth.flow.cookie]
        key = Key(logical.row_uuid_prefix, logical.port)
        if logical.meaning is Meaning.CONNECTIONS:
            add(sums, {key: Traffic(connections=growth.packets)})
        elif logical.meaning is Meaning.BYTES:
            owner = owners.get(_entry(growth.flow, logical), key)
            add(sums, {owner: Traffic(bytes_in=growth.bytes)})
        else:
            place = (growth.flow.datapath, logical.address)
            add(sums, _divide(growth.bytes, shares.get(place, {})))
    return sums


def _owners(catalog: Mapping[int, LogicalFlow], flows: Iterable[FlowCounters]) -> dict[_Entry, Key]:
    """Return the listeners of switches."""
    found = ((flow, catalog[flow.cookie]) for flow in flows)
    return {
        _entry(flow, logical): Key(logical.row_uuid_prefix, logical.port)
        for flow, logical in found
        if logical.meaning is Meaning.CONNECTIONS and not logical.routed
    }


def _entry(flow: FlowCounters, logical: LogicalFlow) -> _Entry:
    return flow.datapath, logical.address, logical.protocol, logical.port


def _shares(
    catalog: Mapping[int, LogicalFlow], flows: Iterable[FlowCounters]
) -> dict[_Place, dict[Key, int]]:
    """Return the listeners at each VIP of a router with what each has carried, never nothing."""
    shares: dict[_Place, dict[Key, int]] = {}
    for flow in flows:
        logical = catalog[flow.cookie]
        if logical.routed and logical.meaning is Meaning.CONNECTIONS:
            weights = shares.setdefault((flow.datapath, logical.address), {})
            key = Key(logical.row_uuid_prefix, logical.port)
            weights[key] = weights.get(key, 1) + flow.packets
    return shares


def _divide(octets: int, shares: Mapping[Key, int]) -> dict[Key, Traffic]:
    """Divide bytes without losing one; bytes without a listener are left out."""
    divided = {}
    weights = sum(shares.values())
    for key, weight in shares.items():
        part = octets * weight // weights
        divided[key] = Traffic(bytes_in=part)
        octets, weights = octets - part, weights - weight
    return divided
