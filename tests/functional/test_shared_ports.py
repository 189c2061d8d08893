# SPDX-License-Identifier: Apache-2.0
"""Two load balancers on one user-provided port, against a real database server."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import pytest

from octavia_ovn.adapters.northbound.intents import IntentRows
from octavia_ovn.adapters.ovsdb.session import OvsdbSession
from octavia_ovn.controller.record import Recorder
from octavia_ovn.core.request import changes
from octavia_ovn.core.request.admission import Admission
from octavia_ovn.errors import Conflict
from tests.core.builders import balancer, listener, vip
from tests.functional.ovsdb.server import DATABASE, endpoint


def recorder(server):
    """An API worker's."""
    rows = IntentRows(OvsdbSession(endpoint(server.unix), DATABASE, 5, 0))
    return Recorder(rows, 5.0, lambda _: None, Admission())


def shared(lb_id, *listeners):
    lb = balancer(listeners, vips=(vip(user_port=True),))
    return dataclasses.replace(lb, id=lb_id)


def create(worker, lb):
    worker.record(changes.CreateLoadBalancer(lb), lb_id=lb.id)


def put(worker, lb_id, given):
    worker.record(changes.PutListener(given), lb_id=lb_id)


def served(server):
    return sorted(
        (row["name"], key)
        for row in server.rows()
        for key, _ in row["external_ids"][1]
        if key.startswith("listener_")
    )


def test_the_second_is_refused_and_nothing_is_written(server):
    worker = recorder(server)
    create(worker, shared("lb1", listener("l1")))
    create(worker, shared("lb2", listener("l2", port=81)))
    before = served(server)

    with pytest.raises(Conflict, match="TCP port 80"):
        put(worker, "lb2", listener("l3"))
    with pytest.raises(Conflict, match="TCP port 81"):
        create(worker, shared("lb3", listener("l4", port=82), listener("l5", port=81)))

    assert served(server) == before
    put(worker, "lb2", listener("l3", port=83))
    assert len(served(server)) == len(before) + 1


def test_of_two_at_once_one_is_refused(server):
    """Both read before either writes."""
    workers = [recorder(server), recorder(server)]
    for number, worker in enumerate(workers):
        create(worker, shared(f"lb{number}"))

    for port in range(1, 30):

        def ask(number, port=port):
            try:
                put(workers[number], f"lb{number}", listener(f"l{number}-{port}", port=port))
            except Conflict:
                return 0
            return 1

        with ThreadPoolExecutor(2) as pool:
            assert sum(pool.map(ask, (0, 1))) == 1

    assert len(served(server)) == 29
