# SPDX-License-Identifier: Apache-2.0
"""Health checks that OVN cannot make, asked of a worker with a real database server."""

import pytest

from octavia_ovn.adapters.northbound.intents import IntentRows
from octavia_ovn.adapters.ovsdb.session import OvsdbSession
from octavia_ovn.controller.record import Recorder
from octavia_ovn.core.request import changes, limits
from octavia_ovn.core.request.admission import Admission
from tests.core.builders import balancer, monitor, pool
from tests.functional.ovsdb.server import DATABASE, endpoint

REPORTS = ["map", [["other", "key"], ["octavia-ovn-probes", "true"]]]
REQUEST = changes.CreateLoadBalancer(balancer(pools=[pool(monitor=monitor("HTTP"))]))


def test_are_recorded_while_a_program_on_a_chassis_reports(server):
    """The agent writes it into the only row of NB_Global; there is none in a new database."""
    rows = IntentRows(OvsdbSession(endpoint(server.unix), DATABASE, 5, 0))
    worker = Recorder(rows, 5.0, lambda _: None, Admission(probes=True))
    everywhere = {"table": "NB_Global", "where": []}
    for operation in (
        {"op": "select", **everywhere},
        {"op": "insert", "table": "NB_Global", "row": {}},
        {"op": "update", **everywhere, "row": {"external_ids": ["map", [["other", "true"]]]}},
    ):
        server.transact(operation)
        with pytest.raises(limits.Unsupported, match="none reports to the agent"):
            worker.record(REQUEST, lb_id="lb1")
    assert server.rows() == []

    server.transact({"op": "update", **everywhere, "row": {"external_ids": REPORTS}})
    assert worker.record(REQUEST, lb_id="lb1")
    assert len(server.rows()) == 1
