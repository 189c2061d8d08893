# SPDX-License-Identifier: Apache-2.0
"""Decisions of port groups' ACLs about a packet: security groups and access-control rules."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from octavia_ovn.core.diagnosis.match import Packet, Sets, matches

FROM_PORT, TO_PORT = "from-lport", "to-lport"
VIP_GROUPS = "security groups of the VIP"
"""The owner of rules that deny clients because of them."""
_STATELESS = "allow-stateless"
_ALLOWING = frozenset({"allow", "allow-related", _STATELESS})
_PASS = "pass"  # noqa: S105 - a keyword of OVN's


class Answer(enum.Enum):
    """The decision about the packet."""

    ALLOWED = "allowed"
    STATELESS = "stateless"
    """Allowed, and not tracked: a switch does not balance such a packet."""
    DENIED = "denied"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Acl:
    """A row of ACL and the port group that it belongs to.

    :param owner: words for whom it was made for
    :param listener: the listener whose allowed CIDRs it enforces, empty for other rules
    """

    group: str
    direction: str
    priority: int
    match: str
    action: str
    tier: int = 0
    owner: str = ""
    listener: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer and the rule that gave it; without one nothing forbids the packet."""

    answer: Answer
    acl: Acl | None = None


def decide(acls: Iterable[Acl], direction: str, packet: Packet, sets: Sets) -> Decision:
    """Return what the ACLs of one direction decide.

    Rules are evaluated by tier and priority; the first that matches decides, at the same priority
    one that allows. Connection tracking comes before all of them: a stateless rule that
    matches bypasses it, also when another rule decides.
    """
    rules = [each for each in acls if each.direction == direction]
    decision = _decided(rules, packet, sets)
    if decision.answer is not Answer.ALLOWED:
        return decision
    stateless = (each for each in rules if each.action == _STATELESS)
    untracked = next((each for each in stateless if matches(each.match, packet, sets)), None)
    return Decision(Answer.STATELESS, untracked) if untracked else decision


def _decided(rules: Iterable[Acl], packet: Packet, sets: Sets) -> Decision:
    skipped: int | None = None
    for acl in sorted(rules, key=_order):
        if acl.tier == skipped:
            continue
        matching = matches(acl.match, packet, sets)
        if matching is None:
            return Decision(Answer.UNCLEAR, acl)
        if matching and acl.action == _PASS:
            skipped = acl.tier
        elif matching:
            return Decision(Answer.ALLOWED if acl.action in _ALLOWING else Answer.DENIED, acl)
    return Decision(Answer.ALLOWED)


def _order(acl: Acl) -> tuple[int, int, bool]:
    return acl.tier, -acl.priority, acl.action not in _ALLOWING
