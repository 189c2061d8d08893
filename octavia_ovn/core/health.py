# SPDX-License-Identifier: Apache-2.0
"""The health of members, and the switch ports that it depends on."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from octavia_ovn.core import model
from octavia_ovn.core.dependencies import Dependency, Resource


class HealthState(str, enum.Enum):
    """The health of a member, with the effect in OVN."""

    UP = "up"
    """Its check has answered."""
    DOWN = "down"
    """Its check has failed: OVN skips it until the check answers again."""
    UNKNOWN = "unknown"
    """Its check has not answered yet: OVN sends it connections."""
    UNCHECKED = "unchecked"
    """It is not checked, or cannot be: OVN sends it connections."""
    UNREACHABLE = "unreachable"
    """Nothing can answer at its address: it is left out of `vips`."""


Backend = tuple[str, int, str]
"""Address, port, protocol."""

_NOT_SERVING = (HealthState.DOWN, HealthState.UNREACHABLE)


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
class SwitchPort:
    """The properties of a switch port that matter to members.

    :param source_of: the subnet of the members that OVN checks from it
    :param answers: whether OVN knows its addresses, and answers ARP for them
    :param project: the project that it belongs to in Neutron
    :param up: whether a hypervisor has bound it
    :param virtual: whether other ports share its addresses, as allowed address pairs
    :param probe_source_of: the subnet of the members that chassis probe from it
    :param mac: its MAC address, as far as OVN knows it
    """

    name: str
    addresses: tuple[str, ...]
    source_of: str | None
    answers: bool
    project: str
    up: bool
    virtual: bool
    probe_source_of: str | None = None
    mac: str = ""

    def dependencies(self) -> Iterator[Dependency]:
        """Yield the dependencies that change with the port."""
        yield from (Dependency(Resource.BACKEND, address) for address in self.addresses)
        if self.source_of:
            yield Dependency(Resource.MONITORED, self.source_of)
        if self.probe_source_of:
            yield Dependency(Resource.PROBED, self.probe_source_of)


@dataclass(frozen=True, slots=True)
class Health:
    """The health of the members of a load balancer.

    :param backends: results of the checks of backends
    :param members: member id → health that overrides its check
    :param probed: pools that chassis check instead of OVN: OVN skips none of their members, so
        `vips` holds only those that serve
    :param first: members that serve until the first result of their check, for a limited time
    :param weights: member id → weight that the member itself has said
    """

    backends: Mapping[Backend, HealthState] = field(default_factory=dict)
    members: Mapping[str, HealthState] = field(default_factory=dict)
    probed: frozenset[str] = frozenset()
    first: frozenset[str] = frozenset()
    weights: Mapping[str, int] = field(default_factory=dict)

    def of(self, pool: model.Pool, member: model.Member) -> HealthState:
        """Return the health of a member."""
        known = self.members.get(member.id)
        if known is not None:
            return known
        if not pool.monitored:
            return HealthState.UNCHECKED
        backend = (member.address, member.port, pool.protocol.value)
        return self.backends.get(backend, HealthState.UNKNOWN)

    def weight(self, member: model.Member) -> int:
        """Return the weight of a member: what itself has said, unless it is drained."""
        return self.weights.get(member.id, member.weight) if member.weight else 0

    def may_serve(self, pool: model.Pool, member: model.Member) -> bool:
        """Whether OVN sends connections to a member that is in `vips`."""
        return self.of(pool, member) not in _NOT_SERVING
