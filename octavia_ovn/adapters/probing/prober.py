# SPDX-License-Identifier: Apache-2.0
"""Runs the probes of a plan, each at its pace, and keeps the states that follow from them."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from octavia_ovn.adapters.probing import checks
from octavia_ovn.adapters.probing.checks import MakeSocket
from octavia_ovn.adapters.probing.outcome import Failed, NotDone
from octavia_ovn.adapters.probing.slots import Slots
from octavia_ovn.adapters.probing.sources import Outlet, Sources
from octavia_ovn.core.health import HealthState
from octavia_ovn.core.model import MonitorType
from octavia_ovn.core.probing import pace
from octavia_ovn.core.probing.counters import Counters, Ending
from octavia_ovn.core.probing.messages import Plan, Result
from octavia_ovn.core.probing.spec import Probe
from octavia_ovn.core.probing.tally import Tally

LOG = logging.getLogger(__name__)

_AT_ONCE = 4096
"""Probes at once. More wait for their turn; their timeout begins with it."""
_LATE = 0.25
"""Seconds that this process may be late with a timeout: an answer may wait for it since then, if it
is later."""
_LATE_IN_A_ROW = 3
"""Timeouts that come late until one counts: on a host that is always late, members fail, too."""
_QUIET = 300.0
"""Seconds between two warnings that probes cannot be made, or not as often as they should."""
_STALE = 60.0
"""Seconds without a probe that could be made, after which a member that was UP is not called so."""
_NO_TURN = "too many other probes are under way"
_NOT_DOWN = (HealthState.UP, HealthState.UNKNOWN)
"""What the agent may call UP: it keeps the last result while this program or a probe is new."""
Check = Callable[[Probe, MakeSocket], Awaitable[int | None]]


@dataclass(slots=True)
class _Run:
    """A probe with its state."""

    probe: Probe
    version: str
    outlet: Outlet
    project: str
    """That asks for it; the port of its source where an older agent does not say that."""
    tally: Tally = field(default_factory=Tally)
    done: float = 0.0
    """When it last could be made, in seconds of the loop's clock."""
    late: int = 0
    """Timeouts in a row that came late."""
    weighted: bool = False
    """Whether results to the agent include the weight."""
    weight: int | None = None
    """That the last answer has said."""
    told: tuple[HealthState, int | None] = (HealthState.UNKNOWN, None)
    """State and weight."""
    task: asyncio.Task[None] | None = None

    def result(self) -> Result:
        known = self.weighted and self.tally.state is HealthState.UP
        weight = self.weight if known else None
        return Result(self.probe.id, self.version, self.tally.state, self.tally.reason, weight)


class Prober:
    """The probes of this chassis. It belongs to the running event loop.

    :param sources: where probes come from
    :param changed: is told each result that has changed
    :param rate: probes of a project in a second at most
    :param check: does one probe
    """

    def __init__(
        self,
        sources: Sources,
        changed: Callable[[Result], None],
        counters: Counters,
        rate: int,
        check: Check = checks.check,
    ) -> None:
        self._sources = sources
        self._changed = changed
        self._counters = counters
        self._check = check
        self._loop = asyncio.get_running_loop()
        self._slots = Slots(_AT_ONCE)
        self._budget = pace.Budget(rate)
        self._runs: dict[str, _Run] = {}
        self._quiet_until = 0.0
        self._late_until = 0.0

    def apply(self, plan: Plan) -> None:
        """Begin, replace and end probes. One that does not change keeps its state."""
        for each in plan.drop:
            self._end(each)
        for probe in plan.put:
            project = plan.projects.get(probe.id, probe.source.port)
            self._put(probe, project, weighted=probe.id in plan.weighted)

    def _put(self, probe: Probe, project: str, *, weighted: bool) -> None:
        version = probe.version
        known = self._runs.get(probe.id)
        if known is None or known.version != version:
            # The source first: it stays if the old probe was its last.
            outlet = self._sources.take(probe.source)
            run = _Run(probe, version, outlet, project, done=self._loop.time())
            run.weighted = weighted
            self._end(probe.id)
            self._runs[probe.id] = run
            run.task = self._loop.create_task(self._repeat(run))
            return
        known.project = project
        if known.weighted is not weighted:
            known.weighted = weighted
            self._tell(known)

    def results(self) -> list[Result]:
        """Return the states of all probes."""
        return [each.result() for each in self._runs.values()]

    def states(self) -> dict[str, int]:
        """Return how many members are in each state; for other threads, too."""
        found = dict.fromkeys((each.value for each in HealthState), 0)
        for each in list(self._runs.values()):
            found[each.tally.state.value] += 1
        return found

    def close(self) -> None:
        """End all."""
        for each in list(self._runs):
            self._end(each)

    def _end(self, probe_id: str) -> None:
        run = self._runs.pop(probe_id, None)
        if run is not None:
            run.outlet.users -= 1
            if run.task is not None:
                run.task.cancel()

    async def _repeat(self, run: _Run) -> None:
        probe = run.probe
        due = pace.first(probe.id, probe.delay, self._loop.time())
        # Before Python 3.12 asyncio.wait_for may swallow the cancellation of an ended probe.
        while self._runs.get(probe.id) is run:
            await asyncio.sleep(due - self._loop.time())
            try:
                await self._once(run)
            except NotDone as error:
                self._skipped(run, error)
            except Exception:  # a defect of one probe is not the end of it
                LOG.exception("A probe of type %s failed", probe.type.value)
                self._skipped(run, NotDone("a defect, see the log", usual=True))
            due = pace.following(probe.id, probe.delay, due, self._loop.time())

    async def _once(self, run: _Run) -> None:
        probe, outlet, project = run.probe, run.outlet, run.project
        await self._ready(outlet, probe.delay)
        late = self._loop.call_later(1.1 * _STALE, self._skipped, run, NotDone(_NO_TURN))
        try:
            await self._paced(run)
            await self._slots.take(project)
        finally:
            late.cancel()
        began = self._loop.time()
        try:
            reason = await self._attempt(run)
        finally:
            self._slots.give(project)
        seconds = self._loop.time() - began
        silent = probe.type is MonitorType.UDP_CONNECT
        if (silent or reason is not None) and not outlet.trusted:
            raise NotDone("the port has just been made", usual=True)
        if reason is None and not silent:
            outlet.proven()
        ending = Ending.SUCCESS if reason is None else Ending.FAILURE
        self._counters.count(probe.type.value, ending, seconds)
        run.done = self._loop.time()
        self._turn(run, run.tally.after(reason, probe.rise, probe.fall))

    async def _paced(self, run: _Run) -> None:
        """Wait until the project may have another probe."""
        now = self._loop.time()
        pause = self._budget.book(run.project, now) - now
        if not pause:
            return
        self._counters.delayed += 1
        if pause > run.probe.delay and now >= self._late_until:
            self._late_until = now + _QUIET
            LOG.warning(
                "Project %s asks for more probes than [ovn_health] max_probes_per_project allows:"
                " they come %.0f s later than their delay says", run.project, pause,
            )  # fmt: skip
        await asyncio.sleep(pause)

    async def _attempt(self, run: _Run) -> str | None:
        """Probe a member; return why it failed, None for a success.

        :raises NotDone: when the probe says nothing about the member
        """
        probe, began = run.probe, self._loop.time()
        try:
            weight = await _within(probe.timeout, self._check(probe, run.outlet.socket))
        except asyncio.TimeoutError:
            if self._loop.time() - began > probe.timeout + _LATE:
                run.late += 1
                if run.late < _LATE_IN_A_ROW:
                    raise NotDone("this process was not given time") from None
            reason = f"no answer within {probe.timeout} s"
        except Failed as error:
            reason = str(error)
        else:
            reason, run.weight = "", weight
        run.late = 0
        return reason or None

    async def _ready(self, outlet: Outlet, patience: float) -> None:
        if not outlet.ready.is_set():
            try:
                await asyncio.wait_for(outlet.ready.wait(), patience)
            except asyncio.TimeoutError:
                raise NotDone(outlet.problem, usual=True) from None

    def _skipped(self, run: _Run, reason: NotDone) -> None:
        """A probe could not be made: after a time, a member that was UP is not called so."""
        self._counters.count(run.probe.type.value, Ending.NOT_DONE, 0.0)
        now = self._loop.time()
        if not reason.usual and now >= self._quiet_until:
            self._quiet_until = now + _QUIET
            LOG.warning("Probes cannot be made, such as of %s: %s", run.probe.address, reason)
        if now - run.done > _STALE and run.tally.state in _NOT_DOWN:
            self._turn(run, Tally(HealthState.UNCHECKED, reason=f"not probed: {reason}"))

    def _turn(self, run: _Run, tally: Tally) -> None:
        before, run.tally = run.tally.state, tally
        if self._runs.get(run.probe.id) is not run:
            return
        if tally.state is not before:
            self._counters.changes[tally.state.value] += 1
            LOG.info(
                "Member %s at %s is %s, was %s%s", run.probe.id, run.probe.address,
                tally.state.value, before.value, f": {tally.reason}" if tally.reason else "",
            )  # fmt: skip
        self._tell(run)

    def _tell(self, run: _Run) -> None:
        """Tell a result unless that is known."""
        result = run.result()
        if (result.state, result.weight) != run.told:
            run.told = (result.state, result.weight)
            self._changed(result)


async def _within(seconds: float, check: Awaitable[int | None]) -> int | None:
    """Wait for a check; where Python can do so without a task for it, which costs a tenth more.

    :raises asyncio.TimeoutError: when it takes longer
    """
    if sys.version_info >= (3, 11):
        async with asyncio.timeout(seconds):
            return await check
    return await asyncio.wait_for(check, seconds)
