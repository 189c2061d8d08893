"""What a collector's parts do that no test with packets has the time to wait for."""

import math

from octavia_ovn.collector import Schedule, Silence


def test_what_happens_now_and_then():
    schedule = Schedule(10.0)

    assert schedule.strikes(100.0)
    assert not schedule.strikes(109.0)
    assert schedule.strikes(110.0)
    schedule.put_off(125.0)
    assert not schedule.strikes(124.0)
    assert schedule.strikes(125.0)


def test_what_never_happens():
    schedule = Schedule(0.0)

    assert not schedule.strikes(1e9)
    assert schedule.due == math.inf


def test_silence_is_complained_of_once_and_its_end_is_told(caplog):
    caplog.set_level("INFO")
    silence = Silence()
    silence.broken()
    for now in (0.0, 30.0, 61.0, 120.0):
        silence.lasts(now)
    assert [each.levelname for each in caplog.records] == ["WARNING"]

    silence.broken()
    silence.lasts(130.0)
    assert [each.levelname for each in caplog.records] == ["WARNING", "INFO"]
