# SPDX-License-Identifier: Apache-2.0
"""Counts of successes and failures of a probe, and what follows from them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from octavia_ovn.core.health import HealthState


@dataclass(frozen=True, slots=True)
class Tally:
    """The state of a member and the results in a row that speak against it.

    :param state: UNKNOWN until enough results agree, UP or DOWN afterwards
    :param reason: of the last failure, for people; empty after a success
    """

    state: HealthState = HealthState.UNKNOWN
    successes: int = 0
    failures: int = 0
    reason: str = ""

    def after(self, reason: str | None, rise: int, fall: int) -> Tally:
        """Return the tally after another result.

        :param reason: why the probe failed; None for a success
        :param rise: successes in a row that make a member UP
        :param fall: failures in a row that make it DOWN
        """
        if reason is None:
            count = min(self.successes + 1, rise)
            state = HealthState.UP if count >= rise else self.state
            return Tally(state, successes=count)
        count = min(self.failures + 1, fall)
        state = HealthState.DOWN if count >= fall else self.state
        return replace(self, state=state, successes=0, failures=count, reason=reason)
