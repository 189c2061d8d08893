# SPDX-License-Identifier: Apache-2.0
"""Decides what to do about one load balancer, given everything that is known now.

It has no effects itself and may be repeated at any time: it decides the same as long as nothing has
changed, and nothing once everything is as it should be.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from octavia_ovn.controller import corruption
from octavia_ovn.controller.corruption import CorruptRows, Problems
from octavia_ovn.controller.deletions import Answer, Deletions, log_foreign, without
from octavia_ovn.controller.effects import Effect, Effects
from octavia_ovn.controller.facts import FactFinder, Known
from octavia_ovn.controller.member_health import Missing
from octavia_ovn.controller.port_releases import PortReleases
from octavia_ovn.controller.protocols import Neutron, Northbound, Octavia
from octavia_ovn.controller.reported import ReportedStatus, ReportKey
from octavia_ovn.controller.status_updates import StatusUpdate
from octavia_ovn.controller.vip_groups import UpdatedGroups
from octavia_ovn.core import codec, model, status
from octavia_ovn.core.dependencies import Dependency
from octavia_ovn.core.desired import access_control, draining, responder
from octavia_ovn.core.desired.load_balancer import Facts, deleting, desired
from octavia_ovn.core.diff import diff
from octavia_ovn.core.pending import Kind, Pending
from octavia_ovn.core.probing.plan import Probes
from octavia_ovn.core.request import changes, record
from octavia_ovn.core.rows import DeleteRow, Operation, Row
from octavia_ovn.observer import SILENT, Drift, Observer

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The work that a load balancer needs.

    :param operations: to be committed
    :param report: to be sent to Octavia after that
    :param waiting: whether requests wait for their end
    :param dependencies: what the load balancer depends on; None while that is not known
    :param former: what one that is leaving has used until now, as its rows say
    :param again: whether to reconcile again once the operations are committed
    :param due: in how many seconds to reconcile again, without an event; None for no such moment
    :param probes: what chassis are to probe; None while that is not known, or it is leaving
    :param questions: background calls that start before the commit
    :param effects: to be carried out in order once the operations are committed: background calls,
        results to forget, metrics, log lines
    """

    operations: tuple[Operation, ...] = ()
    report: StatusUpdate[ReportKey] | None = None
    waiting: bool = False
    dependencies: frozenset[Dependency] | None = None
    former: frozenset[Dependency] = frozenset()
    again: bool = False
    due: float | None = None
    probes: Probes | None = None
    questions: tuple[Effect, ...] = ()
    effects: tuple[Effect, ...] = ()

    def ask(self) -> None:
        """Start the questions."""
        for question in self.questions:
            question()


NOTHING = Outcome()
GONE = Outcome(dependencies=frozenset())


class Reconciler:
    """Reconciles load balancers."""

    def __init__(  # noqa: PLR0913 - it stands where everything meets
        self,
        nb: Northbound,
        finder: FactFinder,
        neutron: Neutron,
        octavia: Octavia,
        effects: Effects,
        reported: ReportedStatus,
        observer: Observer = SILENT,
    ) -> None:
        self._deletions = Deletions(effects, octavia)
        self._ports = PortReleases(neutron, effects)
        self._nb = nb
        self._finder = finder
        self._neutron = neutron
        self._octavia = octavia
        self._effects = effects
        self._reported = reported
        self._observer = observer
        self._corrupt_rows = CorruptRows(octavia, effects, observer)
        self._updated_groups = UpdatedGroups(effects, octavia)

    def reconcile(self, lb_id: str) -> Outcome:
        """Decide what to do about a load balancer; has no effects itself."""
        self._effects.begin()
        outcome = self._outcome(lb_id)
        return replace(outcome, questions=self._effects.questions(), effects=self._effects.end())

    def _outcome(self, lb_id: str) -> Outcome:
        rows = tuple(self._nb.rows(lb_id))
        if not rows:
            self._effects.later(self._reported.forget, lb_id)
            self._corrupt_rows.forget(lb_id)
            self._deletions.forget(lb_id)
            self._ports.keep(lb_id)
            self._effects.later(self._observer.vanishes, lb_id)
            return self._vanished(lb_id)
        pending = codec.pending(rows)
        ended = self._reported.accepted(lb_id).requests
        open_requests = pending.requests if pending else ()
        waiting = tuple(each for each in open_requests if each not in ended)
        # At once, unlike other effects: a request also waits while a defect prevents a decision.
        self._observer.waits(lb_id, waiting)
        return replace(self._decide(lb_id, rows, pending), waiting=bool(waiting))

    def _decide(self, lb_id: str, rows: tuple[Row, ...], pending: Pending | None) -> Outcome:
        answer = self._answer(lb_id, pending)
        if pending is not None and answer.foreign:
            confirmed = without(pending, answer.foreign)
            self._effects.later(log_foreign, lb_id, answer.foreign)
            return Outcome(diff(rows, record.with_pending(rows, confirmed)), again=True)
        if pending is not None and pending.groups and not pending.deleting:
            return self._with_groups(lb_id, rows, pending)
        outcome = self._realise_rows(lb_id, rows, pending, goes=answer.goes)
        return replace(outcome, report=None) if answer.foreign is None else outcome

    def _with_groups(self, lb_id: str, rows: tuple[Row, ...], pending: Pending) -> Outcome:
        """Make the security groups of the VIP what Octavia says; the request does not end before.

        What else the rows ask for does not wait for that, nor does the repair of damaged rows.
        """
        wanted = self._updated_groups.settled(lb_id, rows, pending)
        if wanted is not None:
            return Outcome(diff(rows, wanted), again=True)
        return replace(self._realise_rows(lb_id, rows, pending, goes=False), report=None)

    def _answer(self, lb_id: str, pending: Pending | None) -> Answer:
        """Return what Octavia says about deletions, unless it has been told that they are done."""
        if pending is None or self._reported.accepted(lb_id).ends(pending):
            self._deletions.forget(lb_id)
            return Answer(goes=True)
        return self._deletions.answer(lb_id, pending)

    def _realise_rows(
        self, lb_id: str, rows: tuple[Row, ...], pending: Pending | None, *, goes: bool
    ) -> Outcome:
        """Decide what the rows ask for.

        :param goes: whether Octavia has confirmed that the load balancer is to go: what cannot be
            undone waits for that
        """
        if pending is not None and pending.deleting:
            return self._delete(lb_id, rows, pending, goes=goes)
        self._ports.keep(lb_id)
        if pending is not None and pending.resync:
            return self._resync(lb_id, rows, pending)
        decoded, problems = corruption.read(rows)
        if problems:
            repaired = self._repair(lb_id, rows, problems, pending)
            if repaired is not None:
                return repaired
        else:
            self._corrupt_rows.recovered(lb_id)
        return self._realise(rows, decoded) if decoded is not None else GONE

    def _vanished(self, lb_id: str) -> Outcome:
        """Remove access control and responder of a load balancer that has no rows.

        A row with empty external_ids may still serve, and will be restored.
        """
        gone = not self._nb.has_row(lb_id)
        operations = (
            self._remove_access_control(lb_id) + self._remove_responder(lb_id) if gone else ()
        )
        return Outcome(operations, dependencies=frozenset())

    def _remove_access_control(self, lb_id: str) -> tuple[Operation, ...]:
        return access_control.difference(self._nb.access(lb_id), access_control.Access())

    def _repair(
        self, lb_id: str, rows: tuple[Row, ...], problems: Problems, pending: Pending | None
    ) -> Outcome | None:
        """Restore damaged rows from Octavia; None when that changes nothing.

        Until then the rows stay as they are: realising what can be read would stop the rest.
        """
        done = self._corrupt_rows.octavia_state(lb_id, problems, pending)
        if done is None:
            return NOTHING
        if done.value is None:
            return None
        operations = restore(rows, done.value, pending)
        return Outcome(operations, again=True) if operations else None

    def _realise(self, rows: tuple[Row, ...], decoded: codec.Decoded) -> Outcome:
        accepted = self._reported.accepted(decoded.lb.id)
        pending = _unanswered(decoded.pending, accepted)
        shown = {**decoded.member_status, **status.member_statuses(accepted.statuses or {})}
        try:
            known = self._finder.find(decoded, draining.separate(rows)[0])
        except Missing as missing:
            return Outcome(missing.operations, dependencies=missing.dependencies or None)
        key = (Kind.LOAD_BALANCER, known.lb.id)
        lost = bool(known.facts.lost)
        statuses = status.tree(known.lb, known.facts.health, known.failed, lost=lost)
        known = replace(
            known, facts=_marked(known.facts, (accepted.statuses or {}).get(key), statuses[key])
        )
        lost_before = codec.read_lost_vips(rows) or {}
        self._effects.later(self._note_vips, decoded.lb, known, lost_before)
        facts = replace(known.facts, member_status=shown)
        wanted = record.with_pending(desired(known.lb, rows, facts), pending)
        restrictions = access_control.difference(
            self._nb.access(known.lb.id), access_control.wanted(known.lb, facts)
        )
        operations = diff(rows, wanted) + restrictions + known.operations
        if not operations:
            self._centralise(known)
        return Outcome(
            operations=operations,
            report=self._report(known, statuses, pending, shown, accepted.statuses),
            dependencies=known.dependencies,
            due=draining.due(wanted, known.lb.flavor, facts.now),
            probes=known.probes,
        )

    def _note_vips(
        self, before: model.LoadBalancer, known: Known, lost_before: Mapping[str, str]
    ) -> None:
        """Log which VIPs have been lost, and which have got another port, since the last time."""
        for address, why in (known.facts.lost or {}).items():
            if address not in lost_before:
                if why != known.excess:
                    self._observer.finds(Drift.VIP_PORT)
                LOG.error("VIP %s of load balancer %s is not served: %s", address, before.id, why)
        for old, new in zip(before.vips, known.lb.vips, strict=True):
            if old.port_id != new.port_id:
                self._observer.finds(Drift.VIP_PORT)
                self._observer.repairs(Drift.VIP_PORT)
                LOG.warning(
                    "Port %s of VIP %s of load balancer %s was deleted in Neutron; %s is in its"
                    " place. Octavia still shows the former",
                    old.port_id,
                    old.address,
                    before.id,
                    new.port_id,
                )

    def _centralise(self, known: Known) -> None:
        """Have Neutron see that a floating IP belongs to a member now, once its rows say so.

        While the VIP has a floating IP too, the router's gateway must translate both: the reply of
        a member comes through there. Neutron lets go of the member's as soon as the VIP has none.
        """
        for fip_id, distributed in known.member_fips:
            if distributed and known.facts.floating_ips:
                touch = functools.partial(self._neutron.touch_floating_ip, fip_id)
                self._effects.get(("centralise", fip_id), touch, known.lb.id)
            else:
                self._effects.forget(("centralise", fip_id))

    def _report(
        self,
        known: Known,
        statuses: dict[tuple[Kind, str], status.Operating],
        pending: Pending | None,
        shown: dict[str, str],
        reported_before: status.Tree | None,
    ) -> StatusUpdate[ReportKey] | None:
        self._effects.later(self._observer.shows, known.lb.id, statuses)
        marked = known.facts.lost is not None
        report = status.report(
            known.lb, statuses, pending, shown, known.failed, reported_before, marked
        )
        requests = pending.requests if pending else ()
        key = ReportKey(requests, statuses, report.message)
        update = self._update(known.lb.id, key, report)
        if update is not None:
            self._effects.later(_log_obstacles, known, shown)
        return update

    def _update(
        self, lb_id: str, key: ReportKey, report: status.Report
    ) -> StatusUpdate[ReportKey] | None:
        """Return what to send, unless there is nothing or it is being sent."""
        if not report.message or self._reported.is_under_way(lb_id, key):
            return None
        return StatusUpdate(lb_id, key, report.message, report.first, report.new)

    def _delete(
        self, lb_id: str, rows: tuple[Row, ...], pending: Pending, *, goes: bool
    ) -> Outcome:
        """Stop serving, delete the ports, report to Octavia and then delete the rows.

        While Neutron refuses, Octavia shows ERROR and the rows stay: without them, a comparison
        would restore what the tenant wants to delete.
        """
        operations = (
            diff(rows, deleting(rows))
            + self._remove_access_control(lb_id)
            + self._remove_responder(lb_id)
        )
        former = self._used(rows)
        if not goes:
            self._ports.look(lb_id, pending.requests, rows)
        if operations:
            return Outcome(operations, dependencies=former, again=True)
        if not goes:
            return replace(GONE, former=former)
        accepted = self._reported.accepted(lb_id)
        reported = _unanswered(pending, accepted) is None
        if reported and not accepted.failed:
            return self._gone(lb_id, rows, pending)
        done = self._ports.release(lb_id, pending.requests, rows)
        ended = [each for each in done if each is not None]
        refused = any(each.refusal for each in ended)
        if len(ended) < len(done) or (reported and refused):
            return replace(GONE, former=former)
        report = status.final(pending, frozenset(pending.objects if refused else ()))
        if not report.message:
            return self._gone(lb_id, rows, pending)
        return Outcome(
            report=self._update(lb_id, ReportKey(pending.requests, {}, report.message), report),
            dependencies=frozenset(),
            former=former,
        )

    def _gone(self, lb_id: str, rows: tuple[Row, ...], pending: Pending) -> Outcome:
        self._ports.forget(lb_id, pending.requests, rows)
        return Outcome(tuple(DeleteRow(row) for row in rows), dependencies=frozenset())

    def _used(self, rows: tuple[Row, ...]) -> frozenset[Dependency]:
        """Return what a load balancer has used, even if this agent has never reconciled it."""
        try:
            return self._finder.used(codec.decode(rows).lb, rows)
        except codec.Undecodable:
            return frozenset()

    def _remove_responder(self, lb_id: str) -> tuple[Operation, ...]:
        """Return what removes the responder of the VIPs."""
        return tuple(responder.operations(lb_id, self._nb.answers(lb_id), {}))

    def _resync(self, lb_id: str, rows: tuple[Row, ...], pending: Pending) -> Outcome:
        """Make the intent what Octavia says; the rest follows next time."""
        key = ("octavia", lb_id, pending.requests)
        done = self._effects.get(key, functools.partial(self._octavia.tree, lb_id), lb_id)
        if done is None:
            return NOTHING
        self._effects.forget(key)
        settled = replace(pending, resync=False)
        if done.value is None:
            reason = done.refusal or "Octavia does not know it"
            self._effects.later(
                LOG.warning, "The rows of load balancer %s stay as they are: %s", lb_id, reason
            )
            return Outcome(diff(rows, record.with_pending(rows, settled)), again=True)
        return Outcome(restore(rows, done.value, settled), again=True)


def restore(
    rows: Sequence[Row], lb: model.LoadBalancer, pending: Pending | None
) -> tuple[Operation, ...]:
    """Return the operations that make the intent in the rows what Octavia says."""
    try:
        before = codec.decode(rows).lb if rows else None
    except codec.Undecodable:
        before = None
    applied = changes.apply(before, record.with_groups(changes.Restore(lb), rows))
    return diff(rows, record.with_pending(record.rows_of(applied.lb, rows), pending))


def _marked(facts: Facts, shown: status.Operating | None, now: status.Operating) -> Facts:
    """Remove the mark of a lost VIP from the rows once Octavia has accepted that none is."""
    return replace(facts, lost=None) if facts.lost == {} and shown is now else facts


def _log_obstacles(known: Known, shown: Mapping[str, str]) -> None:
    """Log why members get no connections when they are about to be reported in ERROR."""
    for member_id, why in known.obstacles.items():
        if shown.get(member_id) != status.Operating.ERROR.value:
            LOG.warning("Member %s of load balancer %s %s", member_id, known.lb.id, why)


def _unanswered(pending: Pending | None, accepted: ReportKey) -> Pending | None:
    """Return what Octavia still waits for."""
    if pending is None or set(pending.requests) <= set(accepted.requests):
        return None
    return pending
