# SPDX-License-Identifier: Apache-2.0
"""Which reports Octavia has accepted."""

from octavia_ovn.controller.reported import ReportedStatus, ReportKey

ONE = ReportKey(("r1",), {"m1": "ONLINE"}, {"pools": [{"id": "p1"}]})
OTHER_MESSAGE = ReportKey(ONE.requests, ONE.statuses, {"pools": [{"id": "p2"}]})


def test_knows_what_is_under_way():
    ledger = ReportedStatus()
    assert not ledger.is_under_way("lb1", ONE)

    ledger.sent("lb1", ONE)

    assert ledger.is_under_way("lb1", ONE)
    assert not ledger.is_under_way("lb1", OTHER_MESSAGE)
    assert not ledger.is_under_way("lb2", ONE)


def test_knows_what_octavia_has_accepted():
    ledger = ReportedStatus()
    assert ledger.accepted("lb1") == ReportKey(())

    ledger.sent("lb1", ONE)
    ledger.accept("lb1", ONE)

    assert ledger.accepted("lb1") == ONE
    assert not ledger.is_under_way("lb1", ONE)


def test_a_later_report_stays_under_way_when_the_earlier_one_is_accepted():
    ledger = ReportedStatus()
    later = ReportKey(("r1", "r2"))
    ledger.sent("lb1", ONE)
    ledger.sent("lb1", later)
    ledger.accept("lb1", ONE)

    assert ledger.is_under_way("lb1", later)


def test_forgets_one_or_all():
    ledger = ReportedStatus()
    for lb_id in ("lb1", "lb2", "lb3"):
        ledger.sent(lb_id, ONE)
        ledger.accept(lb_id, ONE)
        ledger.sent(lb_id, ONE)

    ledger.forget("lb1")

    assert ledger.accepted("lb1") == ReportKey(())
    assert not ledger.is_under_way("lb1", ONE)
    assert ledger.accepted("lb2") == ONE

    ledger.clear()

    assert ledger.accepted("lb2") == ReportKey(())
    assert not ledger.is_under_way("lb2", ONE)
