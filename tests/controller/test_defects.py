# SPDX-License-Identifier: Apache-2.0
"""A defect that one load balancer brings out, in any step, does not delay others."""

import pytest

from octavia_ovn.adapters.metrics import agent
from octavia_ovn.controller import loop
from octavia_ovn.controller.reported import ReportKey
from octavia_ovn.controller.status_updates import StatusUpdate
from octavia_ovn.errors import Refused, Unavailable
from octavia_ovn.observer import Defect
from tests.controller.agent import Agent
from tests.controller.test_loop import SITE

NAMES = [f"lb{number}" for number in range(1, 41)]
VICTIM = "lb17"
OTHERS = set(NAMES) - {VICTIM}


@pytest.fixture
def metrics():
    made = agent.Metrics()
    made.leads(is_leader=True)
    return made


@pytest.fixture
def bench(metrics):
    return Agent(observer=metrics)


class Broken:
    """Has a step raise for some load balancers until `repaired` is set."""

    def __init__(self, step, *victims):
        self.step = step
        self.victims = victims
        self.repaired = False
        self.count = 0

    def __call__(self, named, function, *args, **kwargs):
        if named in self.victims and not self.repaired:
            self.count += 1
            raise KeyError(f"a defect of {named}")
        return function(*args, **kwargs)

    def install(self, bench):
        getattr(self, f"_in_{self.step.value}")(bench)

    def _in_reconcile(self, bench):
        rows = bench.nb.rows
        bench.nb.rows = lambda lb_id: self(lb_id, rows, lb_id)

    def _in_commit(self, bench):
        """As what makes transactions of operations could."""
        commit = bench.nb.commit

        def spoilt(plan):
            operations = tuple(plan())
            named = self.named(bench, operations)
            return self(named, commit, lambda: operations)

        bench.nb.commit = spoilt

    def _in_result(self, bench):
        send = bench.controller._reporter.send
        bench.controller._reporter.send = lambda parcel: self(parcel.lb_id, send, parcel)

    def _in_report(self, bench):
        update = bench.octavia.update_status

        def spoilt(message):
            reported = {each["id"] for each in message.get("loadbalancers", ())}
            named = next(iter(reported & set(self.victims)), None)
            return self(named, update, message)

        bench.octavia.update_status = spoilt

    def named(self, bench, operations):
        uuids = {getattr(each, "uuid", None) for each in operations}
        rows = [(lb_id, row) for lb_id in self.victims for row in bench.db.of(lb_id)]
        return next((lb_id for lb_id, row in rows if row.uuid in uuids), None)


def value(metrics, name, **labels):
    return metrics.registry.get_sample_value(f"octavia_ovn_{name}", labels)


@pytest.mark.parametrize("step", [Defect.RECONCILE, Defect.COMMIT, Defect.RESULT, Defect.REPORT])
def test_the_others_continue_and_it_is_shown_until_it_is_over(bench, metrics, step, caplog):
    broken = Broken(step, VICTIM)
    bench.created(SITE, *NAMES)
    broken.install(bench)
    bench.until(lambda: bench.octavia.provisioning.keys() >= OTHERS)

    assert VICTIM not in bench.octavia.provisioning
    bench.until(lambda: value(metrics, "defects_total", step=step.value))
    bench.until(lambda: value(metrics, "defective_load_balancers") == 1)
    tracebacks = [each for each in caplog.records if each.exc_info]
    assert any(f"a defect of {VICTIM}" in str(each.exc_info[1]) for each in tracebacks)

    broken.repaired = True
    bench.until(lambda: VICTIM in bench.octavia.provisioning)
    bench.until(lambda: value(metrics, "defective_load_balancers") == 0)


@pytest.mark.parametrize("victims", [1, 2, 20])
def test_a_load_balancer_that_fails_a_transaction_is_found_by_halves(bench, victims):
    chosen = NAMES[7 : 7 + victims]
    broken = Broken(Defect.COMMIT, *chosen)
    bench.created(SITE, *NAMES)
    broken.install(bench)
    for _ in range(1000):
        bench.controller.turn()
        if not bench.controller._parts:
            break
    assert {each for each in NAMES if bench.db.vips(each)} == set(NAMES) - set(chosen)
    if victims == 1:
        assert broken.count <= 7


@pytest.mark.parametrize("error", [KeyError("a defect"), Refused("a constraint")])
def test_a_load_balancer_that_failed_a_transaction_does_not_fail_the_next(bench, error):
    spoilt = []
    commit = bench.nb.commit

    def one_is_refused(plan):
        operations = tuple(plan())
        rows = {row.uuid for row in bench.db.of(VICTIM)}
        if any(getattr(each, "uuid", None) in rows for each in operations):
            spoilt.append(operations)
            raise error
        return commit(lambda: operations)

    bench.nb.commit = one_is_refused
    bench.created(SITE, *NAMES)
    bench.until(lambda: bench.octavia.provisioning.keys() >= OTHERS)
    spoilt.clear()
    for lb_id in NAMES:
        bench.controller.enqueue(lb_id)
    bench.until(lambda: len(spoilt) >= 3)
    # One row is one load balancer's: it was reconciled alone each time.
    assert {len({each.uuid for each in operations}) for operations in spoilt} == {1}


def test_a_database_that_is_away_is_not_asked_for_each_half(bench):
    """Each attempt could take its whole time-out, in which the loop does nothing else."""
    answers = [KeyError("a defect"), Unavailable("no answer in time")]
    asked = []

    def commit(plan):
        tuple(plan())
        asked.append(plan)
        raise answers[min(len(asked), 2) - 1]

    bench.nb.commit = commit
    bench.created(SITE, *NAMES)
    bench.controller.turn()
    assert len(asked) == 1
    bench.controller.turn()
    assert len(asked) == 2
    assert not bench.controller._parts
    assert len(bench.controller.queue) == len(NAMES)


def test_halves_do_not_keep_back_what_is_new(bench):
    broken = Broken(Defect.COMMIT, *NAMES)
    bench.created(SITE, *NAMES)
    broken.install(bench)
    bench.controller.turn()
    assert bench.controller._parts
    bench.created(SITE, "new")
    bench.controller.turn()
    assert bench.db.vips("new")


def test_a_result_that_cannot_be_used_does_not_end_the_loop(bench, metrics):
    def broken():
        raise KeyError("a defect")

    bench.controller.post(broken)
    bench.created(SITE, "lb1")
    bench.until(lambda: bench.ended("lb1"))
    assert value(metrics, "defects_total", step="result") == 1


def test_batches_are_as_large_as_tested():
    assert len(NAMES) <= loop.BATCH


def test_rows_that_cannot_be_read_hold_no_report_up(bench, metrics):
    bench.created(SITE)
    Broken(Defect.RECONCILE, "lb1").install(bench)
    bench.controller._reporter.send(StatusUpdate("lb1", ReportKey(()), {}))
    bench.controller._reporter.run()
    assert len(bench.sender) == 1
    assert value(metrics, "defects_total", step="report") == 1
