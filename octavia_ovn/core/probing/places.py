# SPDX-License-Identifier: Apache-2.0
"""The chassis where switch ports are, and how each of them probes a member there."""

from __future__ import annotations

from dataclasses import replace

from octavia_ovn.core.probing.plan import Target


class Places:
    """Switch port → chassis: one, or two while a machine migrates from the first to the second."""

    def __init__(self) -> None:
        self._chassis: dict[str, tuple[str, ...]] = {}

    def of(self, port: str) -> tuple[str, ...]:
        """Return the chassis of a port, none of one that is on no chassis or not known."""
        return self._chassis.get(port, ())

    def set(self, port: str, chassis: tuple[str, ...]) -> None:
        """Set the chassis of a port."""
        if chassis:
            self._chassis[port] = chassis
        else:
            self._chassis.pop(port, None)

    def target(self, target: Target, chassis: str) -> Target:
        """Return how one of the chassis is to probe a member.

        Where a machine is expected, one success means that it is there: it was DOWN before it came.
        """
        if self.of(target.port)[0] == chassis:
            return target
        return replace(target, probe=replace(target.probe, rise=1))
