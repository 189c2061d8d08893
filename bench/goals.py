# SPDX-License-Identifier: Apache-2.0
"""What was to be reached, and what a run has reached."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from bench.results import Results, number

_VERBS = ("create", "update", "delete")
LIGHT = tuple(f"{kind} {verb}" for kind in ("listener", "pool") for verb in _VERBS)
HEAVY = (
    "LB create",
    "LB update",
    *(f"member {verb}" for verb in _VERBS),
    "HM create",
    "HM delete",
    "populated create, 2x2x10",
    "cascade delete, small",
    "cascade delete, 2x2x10",
)
MAKE_PORTS = ("LB create", "populated create, 2x2x10")
CALLS = tuple(name for name in (*LIGHT, *HEAVY) if name not in MAKE_PORTS)
OTHERS = "an empty cloud"
_TWO_DIGITS = 10
_CLOUD = re.compile(r"(\d+) ports, (\d+) LBs")


@dataclass(frozen=True)
class Outcome:
    """One line: what was to be reached, what was, and whether that is enough."""

    measure: str
    wanted: str
    reached: str
    enough: bool


class Judge:
    """Compares the last driver of some results with the first one, and with what was wanted."""

    def __init__(self, results: Results) -> None:
        self._results = results
        self._theirs, self._ours = results.drivers[0], results.drivers[-1]
        self._clouds = sorted(
            (tuple(map(int, match.groups())), match[0])
            for match in map(_CLOUD.fullmatch, results.cases())
            if match
        )

    def outcomes(self) -> Iterator[Outcome]:
        """Yield all that can be said."""
        for judge in (
            self._operations,
            self._flatness,
            self._start,
            self._memory,
            self._many,
            self._agent,
            self._neutron,
        ):
            yield from judge()

    # --- each kind of measure

    def _operations(self) -> Iterator[Outcome]:
        small = self._clouds[0][1] if self._clouds else ""
        for text, names, least in (
            ("request to ACTIVE: listener, pool", LIGHT, 2.5),
            ("request to ACTIVE: load balancer, member, monitor, cascade", HEAVY, 8),
        ):
            ratios = self._ratios(small, [f"{name}: done" for name in names])
            yield from self._at_least(text, least, ratios)
        metrics = [f"{name}: in driver" for name in CALLS]
        yield from self._at_least("driver call", 4, self._ratios(small, metrics))
        bare = self._our(small, "bare: transaction, python-ovs")
        if bare:
            times = [value / bare for value in self._ours_of(small, metrics)]
            yield from self._at_most(
                "driver call over a bare python-ovs transaction", 3, times, "x"
            )

    def _flatness(self) -> Iterator[Outcome]:
        if len(self._clouds) < 2:
            return
        metrics = [f"{name}: done" for name in (*LIGHT, *HEAVY)]
        small = self._ours_of(self._clouds[0][1], metrics)
        for _, cloud in self._clouds[1:]:
            large = self._ours_of(cloud, metrics)
            times = [one / other for one, other in zip(large, small, strict=False)]
            yield from self._at_most(
                f"request to ACTIVE, {cloud}, over the small cloud", 1.3, times, "x"
            )

    def _start(self) -> Iterator[Outcome]:
        metric = "worker: start to first ACTIVE"
        small = self._our(self._clouds[0][1], metric) if self._clouds else None
        for _, cloud in self._clouds[1:]:
            ratios = self._ratios(cloud, [metric])
            yield from self._at_least(f"worker start to first ACTIVE, {cloud}", 20, ratios)
            ours = self._our(cloud, metric)
            if ours and small:
                text = f"worker start to first ACTIVE, {cloud}, over the empty cloud"
                yield from self._at_most(text, 1.3, [ours / small], "x")
        for _, cloud in self._clouds:
            found = self._ours_of(cloud, ["agent: start to a waiting request ACTIVE"])
            seconds = [value / 1000 for value in found]
            yield from self._at_most(f"agent start to working, {cloud}", 3, seconds, "s")

    def _memory(self) -> Iterator[Outcome]:
        for _, cloud in self._clouds:
            bare = self._our(cloud, "worker: RSS without driver")
            full = self._our(cloud, "worker: RSS at the end")
            if bare and full:
                text = f"API worker, over one without driver, {cloud}"
                yield from self._at_most(text, 20, [full - bare], "MiB")
            agent = self._ours_of(cloud, ["agent: RSS at the end"])
            yield from self._at_most(f"agent, {cloud}", 60, agent, "MiB")

    def _many(self) -> Iterator[Outcome]:
        for name, least in (
            ("batch of 500 members", 100),
            ("populated create, 5x5x20", 40),
            ("router interface, 100 LBs", 10),
        ):
            yield from self._at_least(name, least, self._ratios(OTHERS, [f"{name}: done"]))
            counts = self._ours_of(OTHERS, [f"{name}: NB transactions until done"])
            yield from self._at_most(f"{name}: transactions", 2, counts, "")
        ratios = self._ratios(OTHERS, ["operations of 4 clients, 2 workers"])
        rates = [1 / ratio for ratio in ratios]
        yield from self._at_least("operations a second, 4 clients, 2 workers", 8, rates)

    def _agent(self) -> Iterator[Outcome]:
        name = "sync of LBs that are right"
        yield from self._at_least(f"{name}, each", 50, self._ratios(OTHERS, [f"{name}: each"]))
        yield from self._at_most(f"{name}, 1,000", 10, self._ours_of(OTHERS, [f"{name}: all"]), "s")
        writes = self._ours_of(OTHERS, [f"{name}: NB transactions"])
        yield from self._at_most(f"{name}: transactions", 0, writes, "")
        for _, cloud in self._clouds:
            metrics = ("check offline to ERROR in Octavia", "check online to ONLINE in Octavia")
            found = self._ours_of(cloud, metrics)
            yield from self._at_most(f"health event to status, {cloud}", 50, found, "ms")

    def _neutron(self) -> Iterator[Outcome]:
        small = self._clouds[0][1] if self._clouds else ""
        names = [*LIGHT, *(f"member {verb}" for verb in _VERBS)]
        counts = self._ours_of(small, [f"{name}: Neutron requests" for name in names])
        yield from self._at_most("Neutron requests: listener, pool, member", 0, counts, "")
        batch = self._ours_of(OTHERS, ["batch of 500 members: Neutron requests"])
        yield from self._at_most("Neutron requests: batch of 500 members", 1, batch, "")

    # --- helpers

    def _our(self, case: str, metric: str) -> float | None:
        return self._results.median(self._ours, case, metric)

    def _ours_of(self, case: str, metrics: Iterable[str]) -> list[float]:
        found = (self._our(case, metric) for metric in metrics)
        return [value for value in found if value is not None]

    def _ratios(self, case: str, metrics: Iterable[str]) -> list[float]:
        pairs = (
            (self._results.median(self._theirs, case, metric), self._our(case, metric))
            for metric in metrics
        )
        return [theirs / ours for theirs, ours in pairs if theirs is not None and ours]

    @staticmethod
    def _at_least(text: str, wanted: float, ratios: Sequence[float]) -> Iterator[Outcome]:
        if ratios:
            reached = f"{_range(ratios)} times"
            yield Outcome(text, f"at least {wanted:g} times", reached, min(ratios) >= wanted)

    @staticmethod
    def _at_most(text: str, wanted: float, values: Sequence[float], unit: str) -> Iterator[Outcome]:
        if values:
            suffix = f" {unit}".rstrip()
            outcome = Outcome(
                text,
                f"at most {wanted:g}{suffix}",
                f"{_range(values)}{suffix}",
                max(values) <= wanted,
            )
            yield outcome


def _range(values: Sequence[float]) -> str:
    low, high = (
        f"{each:.2g}" if abs(each) < _TWO_DIGITS else number(round(each))
        for each in (min(values), max(values))
    )
    return low if low == high else f"{low} to {high}"


def table(results: Results) -> str:
    """Return the table of what was to be reached, for people and for Markdown."""
    lines = ["| measure | to reach | reached | |", "| --- | --- | --- | --- |"]
    for each in Judge(results).outcomes():
        verdict = "yes" if each.enough else "**no**"
        lines.append(f"| {each.measure} | {each.wanted} | {each.reached} | {verdict} |")
    return "\n".join(lines) + "\n"
