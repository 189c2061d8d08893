# SPDX-License-Identifier: Apache-2.0
"""Where snapshots come from, and how a load balancer is named."""

import types

import pytest

from octavia_ovn import wiring
from octavia_ovn.adapters.inspection.snapshot import SnapshotReader
from octavia_ovn.cli import sources
from octavia_ovn.cli.main import main
from octavia_ovn.core.diagnosis.snapshot import Snapshot
from octavia_ovn.errors import NotFound, Refused, Unavailable
from tests.cli.command_line import runner
from tests.core.diagnosis.snapshots import NEAR, client, snapshot

LB_ID = "11111111-2222-3333-4444-555555555555"


class Parts:
    """A runtime whose Octavia answers, or does not."""

    def __init__(self, *, ids=(), broken=False):
        self._ids = ids
        self._broken = broken
        self.octavia = types.SimpleNamespace(tree=self._answer(None))
        self.listing = types.SimpleNamespace(statuses=self._answer({}), named=self._answer_ids)

    def _answer_ids(self, name):
        return self._ids

    def _answer(self, value):
        def answer(lb_id):
            if self._broken:
                raise Unavailable("no answer")
            return value

        return answer


class Reader(SnapshotReader):
    """Reads one snapshot."""

    def __init__(self, found):
        self.found = found
        self.asked = []

    def client(self, text):
        return client(self.found, text)

    def snapshot(self, lb_id, octavia, sender=None):
        self.asked.append(lb_id)
        return self.found, sender


def test_a_load_balancer_by_id_or_name():
    reader = Reader(snapshot())
    found = sources.Sources(Parts(ids=("lb7",)), reader, None)
    assert found.snapshot("web", NEAR)[1].port.name == NEAR
    found.snapshot(LB_ID)
    assert reader.asked == ["lb7", LB_ID]


@pytest.mark.parametrize(
    ("ids", "error", "words"),
    [
        ((), NotFound, "lists no load balancer named 'web'"),
        (("a", "b"), Refused, "2 load balancers are named 'web'; name an id: a, b"),
    ],
)
def test_names_that_are_not_one(ids, error, words):
    with pytest.raises(error, match=words):
        sources.Sources(Parts(ids=ids), Reader(snapshot()), None).snapshot("web")


def test_without_octavia_the_rows_are_shown():
    found, _ = sources.Sources(Parts(broken=True), Reader(snapshot()), None).snapshot(LB_ID)
    assert found.notes == ("Octavia's side is not known: no answer",) * 2
    with pytest.raises(NotFound, match=r"neither Octavia nor .* no answer"):
        sources.Sources(Parts(broken=True), Reader(Snapshot(LB_ID)), None).snapshot(LB_ID)


def test_nothing_is_connected_before_it_is_needed(monkeypatch, tmp_path):
    conf = tmp_path / "octavia.conf"
    conf.write_text("[ovn]\novn_nb_connection = tcp:192.0.2.1:6641\n")
    built = []
    build = wiring.build
    monkeypatch.setattr(wiring, "build", lambda given: built.append(build(given)) or built[0])
    result = runner().invoke(main, ["trace", LB_ID, "--config-file", str(conf)])
    assert result.exit_code == 2
    assert "--from" in result.stderr
    assert built == []
