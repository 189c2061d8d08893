# SPDX-License-Identifier: Apache-2.0
"""The commands that show one load balancer: what they print and return."""

import dataclasses
import json
import sys
import types
from xml.etree import ElementTree

import pytest

from octavia_ovn.cli import live as live_traces
from octavia_ovn.cli import sources
from octavia_ovn.cli.main import main
from octavia_ovn.core.diagnosis.live import Attempt, Live, Outcome
from octavia_ovn.core.diagnosis.path import paths
from octavia_ovn.core.diagnosis.snapshot import Snapshot, Switch
from octavia_ovn.core.diagnosis.trace import explain
from octavia_ovn.errors import NotFound
from tests.cli.command_line import runner
from tests.cli.hostile import HOSTILE, hostile
from tests.core.builders import VIP, balancer, listener, member, web
from tests.core.diagnosis.snapshots import (
    FAR,
    FIP,
    LB,
    NEAR,
    NET1,
    OUTSIDE,
    checked,
    client,
    snapshot,
    with_ports,
    with_rows,
)


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


def test_trace_without_a_listener_invents_no_port(run):
    result = run(snapshot(balancer()), "trace", "web", "--from", NEAR)
    assert result.exit_code == 1
    assert result.stdout.startswith(f"From port near-name (near), 10.0.0.7 to {VIP}\n")
    result = run(snapshot(balancer()), "trace", "web", "--from", NEAR, "--port", "81")
    assert f"to tcp {VIP}:81\n" in result.stdout


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


# --- names that tenants chose


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


# --- live


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
