# SPDX-License-Identifier: Apache-2.0
"""Rows of the Southbound Logical_Flow table whose flows count traffic of load balancers.

Stages are known by name: their numbers differ between versions of OVN, and so does much of the
text of matches. What is read of a match, the VIP and its port, is written alike from 23.03 to
26.03, but for protocol and port, which newer versions compare in a register.
"""

from __future__ import annotations

import enum
import ipaddress
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass

STAGE_NAME, STAGE_HINT = "stage-name", "stage-hint"
_ADDRESS = re.compile(r"\bip[46]\.dst == ([0-9A-Fa-f.:]+)")
_PROTOCOL = re.compile(r"\b(tcp|udp|sctp)\b|\breg\d+\[16\.\.23\] == (\d+)")
_PROTOCOLS = {"6": "tcp", "17": "udp", "132": "sctp"}
_PORT = re.compile(r"\b(?:(?:tcp|udp|sctp)\.dst|reg\d+\[0\.\.15\]) == (\d+)")
_BACKENDS = re.compile(r"\bct_lb\w*\(backends=([^;)]+)")
_BACKEND = re.compile(r"[^,\s]+")
COOKIE_DIGITS = 8
"""The first digits of a logical flow's UUID are the cookie of its OpenFlow flows."""


class Meaning(enum.Enum):
    """The packets that a flow counts."""

    CONNECTIONS = enum.auto()
    """The first packet of each connection to a listener."""
    BYTES = enum.auto()
    """All packets to a listener, of clients on a switch with the load balancer."""
    ADDRESS_BYTES = enum.auto()
    """All packets to a VIP, on any port, of clients beyond a router."""


STAGES = {
    "ls_in_lb": Meaning.CONNECTIONS,
    "lr_in_dnat": Meaning.CONNECTIONS,
    "ls_in_pre_stateful": Meaning.BYTES,
    "lr_in_defrag": Meaning.ADDRESS_BYTES,
}


@dataclass(frozen=True, slots=True)
class LogicalFlow:
    """A flow that counts something of a load balancer.

    :param row_uuid_prefix: see :class:`~octavia_ovn.core.statistics.traffic.Key`
    :param address: the VIP, packed: 4 or 16 bytes
    :param protocol: `tcp`, `udp` or `sctp`; empty where the flow knows none
    :param port: of the listener; 0 where the flow knows none
    :param routed: whether it belongs to a router
    :param backends: what its packets are distributed to, one for each bucket of its group
    """

    meaning: Meaning
    row_uuid_prefix: str
    address: bytes
    protocol: str
    port: int
    routed: bool
    backends: tuple[str, ...] = ()


def parse(external_ids: Mapping[str, str], match: str, actions: str = "") -> LogicalFlow | None:
    """Return the logical flow of a row; None when it counts no traffic of a load balancer.

    :param external_ids: of the row
    :param match: of the row
    :param actions: of the row; without them nothing is known of backends
    """
    stage = external_ids.get(STAGE_NAME, "")
    meaning, hint = STAGES.get(stage), external_ids.get(STAGE_HINT)
    address, port = _ADDRESS.search(match), _PORT.search(match)
    if meaning is None or not hint or address is None:
        return None
    if port is None and meaning is not Meaning.ADDRESS_BYTES:
        return None
    packed = _packed(address[1])
    if packed is None:
        return None
    return LogicalFlow(
        meaning,
        hint,
        packed,
        _protocol(match),
        int(port[1]) if port is not None else 0,
        stage.startswith("lr_"),
        _backends(actions),
    )


def _backends(actions: str) -> tuple[str, ...]:
    found = _BACKENDS.search(actions)
    return tuple(map(sys.intern, _BACKEND.findall(found[1]))) if found is not None else ()


def _packed(address: str) -> bytes | None:
    try:
        return ipaddress.ip_address(address).packed
    except ValueError:
        return None


def _protocol(match: str) -> str:
    found = _PROTOCOL.search(match)
    return found[1] or _PROTOCOLS.get(found[2], "") if found is not None else ""


def cookie(uuid: str) -> int:
    """Return the cookie that the flows of a row have."""
    return int(uuid[:COOKIE_DIGITS], 16)
