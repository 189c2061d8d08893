"""What the health checks of OVN say about members."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from octavia_ovn.core import model


class Verdict(str, enum.Enum):
    """What OVN knows of a backend; UNKNOWN counts as up in the data plane."""

    UP = "up"
    DOWN = "down"
    UNKNOWN = "unknown"


HM_PORT = "ovn-lb-hm-"
"""With a subnet's id the name of the port in Neutron whose address its members are checked from."""

Backend = tuple[str, int, str]
"""Address, port, protocol."""


@dataclass(frozen=True, slots=True)
class Source:
    """A port that checks come from.

    :param port: name of the switch port
    :param answers: whether OVN answers ARP for its address; replies to checks are lost then
    """

    port: str
    address: str
    answers: bool = False


@dataclass(frozen=True, slots=True)
class Health:
    """Verdicts on backends.

    `missing` holds the addresses of monitored members that no switch port has: OVN leaves such a
    member out as soon as the vip has a check.
    """

    verdicts: Mapping[Backend, Verdict] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()

    def of(self, pool: model.Pool, member: model.Member) -> Verdict:
        """Return the verdict on a member of a monitored pool."""
        if member.address in self.missing:
            return Verdict.DOWN
        backend = (member.address, member.port, pool.protocol.value)
        return self.verdicts.get(backend, Verdict.UNKNOWN)

    def may_serve(self, pool: model.Pool, member: model.Member) -> bool:
        """Whether OVN sends connections to a member."""
        return not pool.monitored or self.of(pool, member) is not Verdict.DOWN
