# SPDX-License-Identifier: Apache-2.0
"""What packets show beside what a trace says: connections and datagrams to a listener."""

from __future__ import annotations

import collections
import enum
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from octavia_ovn.core import codec
from octavia_ovn.core.diagnosis import codes
from octavia_ovn.core.diagnosis.findings import Check, Finding, Severity
from octavia_ovn.core.diagnosis.trace import Explanation

_ENTRY = re.compile(
    r"(?P<protocol>\w+),orig=\(src=(?P<source>[^,]+),dst=(?P<destination>[^,]+),"
    r"sport=(?P<source_port>\d+),dport=(?P<port>\d+)[^)]*\),"
    r"reply=\(src=(?P<member>[^,]+),dst=[^,]+,sport=(?P<member_port>\d+),"
)
_NOUNS = {"tcp": ("connections", "accepted"), "udp": ("datagrams", "answered")}
_THROUGH = (Severity.OK, Severity.WARNING)
_STOPPING = (Severity.FAULT, Severity.UNCLEAR)
_SETTINGS = 2
"""The area of codes about what the tenant has set."""
_RULES = {
    codes.RULES_UNCLEAR,
    codes.CLIENT_RULES_FORBID,
    codes.MEMBER_RULES_FORBID,
    codes.NETWORK_RULES_FORBID,
    codes.CLIENT_NOT_ALLOWED,
    codes.VIP_GROUPS_FORBID,
    codes.LIMIT_REACHED,
}
"""What may stop this client, and no other."""
_CLIENT = "client-port"
"""The check of the client itself."""


class Outcome(str, enum.Enum):
    """How an attempt ended."""

    ANSWERED = "answered"
    """The connection was accepted, or the datagram answered."""
    FAILED = "failed"
    SILENT = "silent"
    """Nothing came back for a datagram, which a server need not answer."""
    NOT_TRIED = "not tried"
    """Nothing could be sent."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A connection, or a datagram.

    :param reason: why it failed
    :param seconds: until the answer
    :param source_port: of the client
    :param member: the member that OVN chose, as `address:port`; empty where that is not known
    """

    outcome: Outcome
    reason: str = ""
    seconds: float = 0.0
    source_port: int = 0
    member: str = ""


@dataclass(frozen=True, slots=True)
class Live:
    """An explanation, and the attempts on the same path; there are none without a port to try."""

    explanation: Explanation
    attempts: tuple[Attempt, ...]

    @property
    def answered(self) -> int:
        """How many attempts were answered."""
        return sum(each.outcome is Outcome.ANSWERED for each in self.attempts)

    @property
    def excuse(self) -> str:
        """Why it says nothing about the data path if this client is not served; empty if nothing.

        Rules of access may stop it alone, or the tenant may want that nothing is served.
        """
        found = self.explanation.findings
        return next((each.sentence for check, each in found if _excuses(check, each)), "")

    @property
    def availability(self) -> float | None:
        """The share of attempts that were answered; None where it is not known what that means."""
        sent = [each for each in self.attempts if each.outcome is not Outcome.NOT_TRIED]
        if not sent or (self.answered < len(sent) and self.excuse):
            return None
        return self.answered / len(sent)

    @property
    def observed(self) -> Severity:
        """What the attempts show: OK, FAULT or UNCLEAR."""
        outcomes = {each.outcome for each in self.attempts}
        if outcomes == {Outcome.ANSWERED}:
            return Severity.OK
        if Outcome.FAILED in outcomes or Outcome.ANSWERED in outcomes:
            return Severity.FAULT
        expected = self.explanation.severity
        silent = Outcome.SILENT in outcomes
        return Severity.FAULT if silent and expected is Severity.FAULT else Severity.UNCLEAR

    @property
    def agrees(self) -> bool | None:
        """Whether trace and packets agree; None where one of them cannot tell."""
        said = self.explanation.severity
        if Severity.UNCLEAR in (said, self.observed):
            return None
        if said is Severity.WARNING:
            return self.answered > 0
        return self.observed is Severity.OK if said is Severity.OK else not self.answered

    @property
    def severity(self) -> Severity:
        """What both together say; packets are believed, and a contradiction is a fault."""
        if not self.attempts:
            return self.explanation.severity
        return Severity.FAULT if self.agrees is False else self.observed

    @property
    def sentence(self) -> str:
        """What happened, beside what the trace says."""
        if not self.attempts:
            return "There is no listener to try."
        return ", ".join(filter(None, (self._happened(), self._compared()))) + "."

    def _happened(self) -> str:
        noun, verb = _NOUNS.get(self.explanation.path.protocol, ("attempts", "answered"))
        total = f"of {len(self.attempts)} {noun}"
        good = [each for each in self.attempts if each.outcome is Outcome.ANSWERED]
        parts = []
        if good:
            members = _counted(each.member for each in good)
            by = f" by {members}" if members else ""
            parts.append(f"{len(good)} {total} {verb} in {_times(good)} ms{by}")
        bad = [_words(each) for each in self.attempts if each.outcome is not Outcome.ANSWERED]
        parts += [f"{count} {total}: {words}" for words, count in collections.Counter(bad).items()]
        return "; ".join(parts)

    def _compared(self) -> str:
        if self.explanation.severity is Severity.UNCLEAR:
            return "which the trace could not tell"
        if self.agrees is None:
            return ""
        if self.agrees:
            return "as the trace says"
        does = "" if self.explanation.severity in _THROUGH else "do not "
        return f"although the trace says that packets {does}get through"


def _excuses(check: Check, finding: Finding) -> bool:
    code = finding.code
    if code is None:
        return False
    stops = finding.severity in _STOPPING and (
        check.name == _CLIENT or code.number // 100 == _SETTINGS
    )
    return stops or code in _RULES


def _words(attempt: Attempt) -> str:
    return f"{attempt.reason} ({attempt.member})" if attempt.member else attempt.reason


def _times(attempts: Sequence[Attempt]) -> str:
    """Return the shortest and the longest time in milliseconds."""
    seconds = sorted(each.seconds for each in attempts)
    shown = [f"{each * 1000:.1f}" for each in (seconds[0], seconds[-1])]
    return shown[0] if shown[0] == shown[1] else " to ".join(shown)


def _counted(members: Iterable[str]) -> str:
    """Return members and how often each was chosen, the most frequent first."""
    counter = collections.Counter(filter(None, members))
    return ", ".join(f"{member} ({count})" for member, count in counter.most_common())


def with_members(live: Live, lines: Iterable[str]) -> Live:
    """Return the attempts with the members that OVN chose for them.

    :param lines: entries of the connection tracker of the client's chassis
    """
    path = live.explanation.path
    chosen = {}
    for line in lines:
        found = _ENTRY.match(line)
        if found is None or found["member"] == path.destination:
            continue
        ends = found["protocol"], found["source"], found["destination"], found["port"]
        if ends == (path.protocol, path.source, path.destination, str(path.port)):
            member = codec.endpoint(found["member"], int(found["member_port"]))
            chosen[int(found["source_port"])] = member
    attempts = (replace(a, member=chosen.get(a.source_port, "")) for a in live.attempts)
    return replace(live, attempts=tuple(attempts))
