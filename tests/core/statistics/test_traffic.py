# SPDX-License-Identifier: Apache-2.0

from octavia_ovn.core.statistics.traffic import Key, listeners

HINT = "aaaaaaaa"


def test_listeners_of_a_row():
    row = {"listener_web": "80:pool_p1", "listener_tls:D": "443:", "pool_p1": ""}

    assert listeners(HINT, [row]) == {Key(HINT, 80): "web", Key(HINT, 443): "tls"}


def test_of_two_rows_with_one_hint_only_ports_that_differ_are_clear():
    rows = [{"listener_a": "80:"}, {"listener_b": "80:", "listener_c": "53:"}]

    assert listeners(HINT, rows) == {Key(HINT, 53): "c"}


def test_no_row():
    assert listeners(HINT, []) == {}
