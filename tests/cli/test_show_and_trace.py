# SPDX-License-Identifier: Apache-2.0
"""The commands that show one load balancer: what they print and return."""

import dataclasses
import itertools
import json
import re
import sys
import types
from xml.etree import ElementTree

import pytest

from octavia_ovn import wiring
from octavia_ovn.adapters.inspection.snapshot import SnapshotReader
from octavia_ovn.cli import live as live_traces
from octavia_ovn.cli import picture, sources
from octavia_ovn.cli.main import main
from octavia_ovn.core import model
from octavia_ovn.core.diagnosis.live import Attempt, Live, Outcome
from octavia_ovn.core.diagnosis.overview import overview
from octavia_ovn.core.diagnosis.path import paths
from octavia_ovn.core.diagnosis.snapshot import ObjectStatus, Snapshot, Switch
from octavia_ovn.core.diagnosis.trace import explain
from octavia_ovn.core.pending import Kind
from octavia_ovn.errors import NotFound, Refused, Unavailable
from tests.cli.command_line import runner
from tests.core.builders import VIP, balancer, listener, member, monitor, pool, web
from tests.core.diagnosis.snapshots import (
    FAR,
    FIP,
    LB,
    NEAR,
    NET1,
    OUTSIDE,
    R1,
    checked,
    client,
    snapshot,
    with_ports,
    with_rows,
)

LB_ID = "11111111-2222-3333-4444-555555555555"


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run a command on a snapshot."""
    conf = tmp_path / "octavia.conf"
    conf.write_text("[ovn]\n")

    def run(found, *words):
        def read(text, sender=None):
            return found, client(found, sender) if sender else None

        monkeypatch.setattr(sources, "build", lambda _: types.SimpleNamespace(snapshot=read))
        return runner().invoke(main, [*words, "--config-file", str(conf)])

    return run


def test_show(run):
    result = run(snapshot(), "show", "web")
    assert result.exit_code == 0
    for words in (
        "load balancer web",
        "ACTIVE ONLINE",
        "└ listener l1",
        "● attached",
        "10.0.0.1:80",
    ):
        assert words in result.stdout
    assert "○ not attached, as it should be" in result.stdout


def test_show_what_is_wrong(run):
    found = snapshot(octavia=web(member(1), member(2, weight=7)), notes=("No answer.",))
    result = run(with_rows(found, switches=frozenset({NET1})), "show", "web")
    assert result.exit_code == 1
    assert "≠ weight is 7 in Octavia, 1 in the rows" in result.stdout
    assert "✗ not attached" in result.stdout
    assert "! No answer." in result.stdout


def test_show_json(run):
    result = run(checked("10.0.0.1", statuses={}), "show", "web", "--json")
    answer = json.loads(result.stdout)
    assert result.exit_code == 1
    assert not answer["right"]
    (a_listener,) = answer["load_balancer"]["children"]
    (a_pool,) = a_listener["children"]
    assert [each["state"] for each in a_pool["children"]] == ["good", "bad", "attention"]
    assert a_pool["children"][1]["octavia"] == ""
    assert {each["label"]: each["attached"] for each in answer["places"]}["net1-name"]


def test_show_of_rows_without_content(run):
    result = run(Snapshot("lb1", problems=("no row names a VIP",)), "show", "lb1")
    assert result.exit_code == 2
    assert "no row names a VIP" in result.stderr


def test_pictures(run, tmp_path):
    files = [tmp_path / "lb.svg", tmp_path / "lb.html"]
    result = run(snapshot(), "show", "web", "--svg", str(files[0]), "--html", str(files[1]))
    assert result.exit_code == 0
    assert ElementTree.fromstring(files[0].read_text()).tag.endswith("svg")
    assert files[0].read_text().strip() in files[1].read_text()
    result = run(snapshot(), "show", "web", "--svg", str(tmp_path / "no" / "lb.svg"))
    assert result.exit_code == 2
    assert "--svg" in result.stderr


def test_trace(run):
    result = run(snapshot(), "trace", "web", "--from", FAR)
    assert result.exit_code == 0
    assert "From port far-name (far), 10.0.1.7 to tcp 10.0.0.100:80" in result.stdout
    assert "✓ Packets get through." in result.stdout


def test_trace_names_the_fault_and_the_way_out(run):
    result = run(snapshot(notes=("No answer.",)), "trace", "web", "--from", OUTSIDE)
    assert result.exit_code == 1
    assert (
        "the VIP has no floating IP: clients outside cannot reach it. [OVNLB-402]" in result.stdout
    )
    assert "→ openstack floating ip create --port vip-port" in result.stdout
    assert "✗ Packets do not get through." in result.stdout
    assert "! No answer." in result.stdout


def test_trace_json(run):
    lb = balancer([listener(), listener("l2", 443, enabled=False)], LB.pools)
    result = run(snapshot(lb, fips={VIP: FIP}), "trace", "web", "--from", OUTSIDE, "--json")
    assert result.exit_code == 1
    answers = json.loads(result.stdout)
    assert [(each["port"], each["gets_through"]) for each in answers] == [(80, True), (443, False)]
    assert answers[0]["destination"] == FIP
    assert {"check": "listener", "code": "OVNLB-203", "verdict": "fault"}.items() <= next(
        each for each in answers[1]["findings"] if each["verdict"] == "fault"
    ).items()
    result = run(snapshot(lb, fips={VIP: FIP}), "trace", "web", "--from", OUTSIDE, "--port", "80")
    assert result.exit_code == 0


def test_trace_that_cannot_tell(run):
    found = snapshot()
    found = with_ports(found, dataclasses.replace(found.ports[NEAR], chassis=None))
    result = run(found, "trace", "web", "--from", NEAR)
    assert result.exit_code == 2
    assert "It is not known whether packets get through" in result.stdout


def test_trace_of_an_address_that_it_has_not(run):
    result = run(snapshot(), "trace", "web", "--from", NEAR, "--to", "10.0.0.99")
    assert result.exit_code == 2
    assert "no address 10.0.0.99" in result.stderr


# --- pictures


def drawn(found):
    return ElementTree.fromstring(picture.svg(overview(found)))


def texts(root):
    return [each.text or "" for each in root.iter("{http://www.w3.org/2000/svg}text")]


def test_a_picture_refers_to_nothing_outside():
    for text in (picture.svg(overview(snapshot())), picture.html(overview(snapshot()))):
        assert set(re.findall(r"https?://[^\"]*", text)) == {"http://www.w3.org/2000/svg"}
        assert not re.search(r"<script|<link|<image|url\(|@import", text)
        assert "prefers-color-scheme:dark" in text


def test_names_are_no_markup():
    statuses = {(Kind.LOAD_BALANCER, "lb1"): ObjectStatus("<script>&", "ACTIVE", "ONLINE")}
    found = overview(snapshot(statuses=statuses))
    assert "<script>&" in texts(ElementTree.fromstring(picture.svg(found)))
    assert "<script" not in picture.html(found)


HOSTILE = "\x1b[2J\x07\x9b31m[bold]\u202e:smile:\r\n$(reboot)"


def hostile():
    """A snapshot in which tenants have named everything so that a terminal does something."""
    found = snapshot(
        fips={VIP: FIP},
        statuses={
            key: ObjectStatus(HOSTILE, "ACTIVE", "ONLINE")
            for key in (
                (Kind.LOAD_BALANCER, "lb1"),
                (Kind.LISTENER, "l1"),
                (Kind.POOL, "p1"),
                (Kind.MEMBER, "m1"),
            )
        },
        octavia=web(member(1), member(2, weight=7)),
        notes=(HOSTILE,),
        routers={R1: HOSTILE},
    )
    switches = {
        name: dataclasses.replace(each, label=HOSTILE) for name, each in found.switches.items()
    }
    ports = {name: dataclasses.replace(each, label=HOSTILE) for name, each in found.ports.items()}
    return dataclasses.replace(found, switches=switches, ports=ports)


@pytest.mark.parametrize("command", [("show", "web"), ("trace", "web", "--from", FAR)])
def test_a_terminal_obeys_no_name(run, command):
    printed = run(hostile(), *command).stdout
    assert r"\x1b[2J\x07\x9b31m[bold]\u202e:smile:\r\n$(reboot)" in printed
    assert all(line.isprintable() for line in printed.split("\n"))


def test_no_name_is_part_of_a_command_to_copy(run):
    provider = {NET1: Switch(NET1, HOSTILE, "physnet1")}
    found = with_rows(snapshot(switches=provider, router_ports=()), routers=frozenset())
    printed = run(found, "trace", "web", "--from", NEAR).stdout
    assert "openstack router set --external-gateway net1 ROUTER" in printed
    assert "$(reboot)" not in "".join(line for line in printed.splitlines() if "→" in line)


def test_pictures_of_hostile_names():
    found = overview(hostile())
    assert any(r"\x1b[2J" in each for each in texts(ElementTree.fromstring(picture.svg(found))))
    assert all(line.isprintable() for line in picture.html(found).split("\n"))


def test_errors_are_only_seen(run, monkeypatch, tmp_path):
    def fail(_):
        raise NotFound(f"There is no {HOSTILE}.")

    monkeypatch.setattr(sources, "build", fail)
    conf = tmp_path / "octavia.conf"
    conf.write_text("[ovn]\n")
    result = runner().invoke(main, ["show", "web", "--config-file", str(conf)])
    assert result.exit_code == 2
    assert all(line.isprintable() for line in result.stderr.split("\n"))
    assert str(NotFound(HOSTILE)).isprintable()


def test_cards_do_not_overlap():
    pools = [pool(f"p{each}", [member(each * 10 + n) for n in range(1, 5)]) for each in range(1, 5)]
    lb = balancer([listener(f"l{each}", each, f"p{each % 3 + 1}") for each in range(1, 7)], pools)
    cards = [
        [float(each.get(name)) for name in ("x", "y", "width", "height")]
        for each in drawn(snapshot(lb)).iter("{http://www.w3.org/2000/svg}rect")
        if "card" in each.get("class")
    ]
    assert len(cards) == 1 + 6 + 4 + 16 + 4
    for (x, y, width, height), (left, top, _, _) in itertools.permutations(cards, 2):
        inside = x <= left < x + width and y <= top < y + height
        assert not inside


def test_many_networks_are_drawn_in_rows_with_their_routers_named():
    few = drawn(snapshot())
    names = frozenset(f"neutron-x{number}" for number in range(9))
    many = drawn(with_rows(snapshot(), switches=names))
    wires = [
        [each for each in root.iter() if each.get("class") == "link w"] for root in (few, many)
    ]
    assert [len(each) for each in wires] == [3, 0]
    assert "on r1-name" in texts(many)


def test_long_names_are_cut_and_whole_in_the_tooltip():
    name = "a-very-long-name-of-a-member-that-is-hard-to-remember"
    root = drawn(snapshot(statuses={(Kind.MEMBER, "m1"): ObjectStatus(name, "ACTIVE", "ERROR")}))
    assert name not in texts(root)
    assert name in [each.text for each in root.iter("{http://www.w3.org/2000/svg}title")]


def test_what_is_wrong_is_drawn():
    found = with_rows(snapshot(octavia=web(member(1))), switches=frozenset({NET1}))
    root = drawn(found)
    assert "≠ not in Octavia" in texts(root)
    assert [each for each in root.iter() if "missing" in each.get("class", "")]
    assert "attached wrongly" in " ".join(
        texts(drawn(with_rows(snapshot(), switches=frozenset({"neutron-old"}))))
    )
    free = balancer([], [pool(members=[member(1)], monitor=monitor())])
    assert "checked: TCP, every 5 s" in texts(drawn(snapshot(free)))
    different = snapshot(octavia=dataclasses.replace(LB, enabled=False), notes=("No answer.",))
    assert {"≠ admin_state_up is False in Octavia, True in the rows", "No answer."} <= set(
        texts(drawn(different))
    )


def test_a_picture_of_little():
    nowhere = balancer([], vips=(model.Vip(VIP, None),))
    assert texts(drawn(snapshot(nowhere, rows=(), router_ports=(), statuses={})))


# --- where it comes from


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


@pytest.fixture
def live(run, monkeypatch):
    """Run a live trace that sees these attempts on the path of NEAR."""

    def run_live(attempts, *words):
        (path,) = paths(snapshot(), client(snapshot(), NEAR))
        seen = [Live(explain(path), attempts)]
        monkeypatch.setattr(live_traces, "observe", lambda *_: (seen, ("No answer.",)))
        return run(snapshot(), "trace", "web", "--live", *words)

    return run_live


ANSWERED = Attempt(Outcome.ANSWERED, seconds=0.0012, member="10.0.0.1:80")


def test_live_trace(live):
    result = live((ANSWERED, ANSWERED))
    assert result.exit_code == 0
    assert "✓ Packets get through." in result.stdout
    sentence = "2 of 2 connections accepted in 1.2 ms by 10.0.0.1:80 (2), as the trace says."
    assert f"✓ Live: {sentence}" in result.stdout
    assert "! No answer." in result.stdout


def test_live_trace_that_disagrees(live):
    result = live((Attempt(Outcome.FAILED, "connection refused"),))
    assert result.exit_code == 1
    assert "✗ Live: 1 of 1 connections: connection refused, although" in result.stdout


def test_live_trace_json(live):
    result = live((ANSWERED, Attempt(Outcome.SILENT, "no answer in 3 s")), "--json")
    assert result.exit_code == 1
    (answer,) = json.loads(result.stdout)
    assert answer["verdict"] == "ok"
    assert (answer["live"]["severity"], answer["live"]["agrees"]) == ("fault", False)
    assert answer["live"]["attempts"][0] == {
        "outcome": "answered",
        "reason": "",
        "milliseconds": 1.2,
        "member": "10.0.0.1:80",
    }


@pytest.mark.parametrize("words", [(), ("--from", NEAR, "--live")])
def test_a_trace_is_of_a_client_or_live(run, words):
    result = run(snapshot(), "trace", "web", *words)
    assert result.exit_code == 2
    assert "--from, or use --live" in result.stderr


def test_live_trace_without_open_vswitch(run, tmp_path):
    result = run(snapshot(), "trace", "web", "--live", "--ovs-rundir", str(tmp_path / "no"))
    assert result.exit_code == 2
    assert "There is no Open vSwitch in" in result.stderr


def test_live_trace_without_its_packages(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "octavia_ovn.adapters.probing.live", None)
    result = run(snapshot(), "trace", "web", "--live", "--ovs-rundir", str(tmp_path))
    assert result.exit_code == 2
    assert "install octavia-ovn[health]" in result.stderr
