from octavia_ovn.core.statistics.watchlist import RESCAN, Watchlist

ALL = (1, 2, 3)


def test_all_are_asked_for_now_and_then_and_those_that_are_there_always():
    watchlist = Watchlist()
    assert watchlist.due(ALL, 0.0) == [1, 2, 3]
    watchlist.seen(ALL, [2])

    assert watchlist.due(ALL, 1.0) == [2]
    assert watchlist.due(ALL, RESCAN) == [1, 2, 3]
    assert watchlist.present == {2}


def test_new_ones_are_asked_for_until_they_come_or_it_takes_too_long():
    watchlist = Watchlist()
    watchlist.due((), 0.0)
    watchlist.added([7, 8], 1.0)
    assert watchlist.due(ALL, 2.0) == [7, 8]

    watchlist.seen([7, 8], [8])
    watchlist.due(ALL, RESCAN)

    assert watchlist.due(ALL, RESCAN + 2.0) == [8]


def test_what_is_gone_is_not_asked_for():
    watchlist = Watchlist()
    watchlist.due(ALL, 0.0)
    watchlist.seen(ALL, ALL)
    watchlist.seen(ALL, [1])

    assert watchlist.due(ALL, 1.0) == [1]
