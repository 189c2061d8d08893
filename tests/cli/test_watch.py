# SPDX-License-Identifier: Apache-2.0
"""`octavia-ovn watch`: which VIPs are probed, what is printed, and what is exported."""

import contextlib
import sys
import types

import prometheus_client
import pytest

from octavia_ovn.adapters.metrics import exporter
from octavia_ovn.adapters.metrics.data_path import DataPaths
from octavia_ovn.cli import live, sources, watch
from octavia_ovn.cli.main import main
from octavia_ovn.core.diagnosis.live import Attempt, Live, Outcome
from octavia_ovn.errors import NotFound, Refused, Unavailable
from tests.cli.command_line import runner
from tests.core.builders import balancer
from tests.core.diagnosis.snapshots import ACLS, GUARDED, RESTRICTED, snapshot, trace, with_ports

ANSWERED = Attempt(Outcome.ANSWERED, seconds=0.001)
LOST = Attempt(Outcome.FAILED, "no answer in 3 s")
UNTRIED = Attempt(Outcome.NOT_TRIED, "Cannot assign requested address")
RIGHT = trace(snapshot())
FORBIDDEN = trace(with_ports(snapshot(acls=(*ACLS, RESTRICTED)), *GUARDED))
NAME = "Listener l1 at 10.0.0.100:80"


class World:
    """Octavia's answer, and what happens to packets to each load balancer."""

    def __init__(self):
        self.flavored = ("lb1",)
        self.plays = {"lb1": [Live(RIGHT, (ANSWERED,))]}
        self.cleared = 0
        self.trouble = None
        self.paths = DataPaths(60.0)
        listing = types.SimpleNamespace(flavored=self._flavored)
        found = types.SimpleNamespace(parts=types.SimpleNamespace(listing=listing))
        stage = types.SimpleNamespace(play=self._play, clear=self._clear)
        self.watcher = watch.Watcher(found, stage, self.paths)

    def _flavored(self, key):
        assert key == "data_path_probe"
        return _or_raise(self.flavored)

    def _play(self, lb_id):
        return _or_raise(self.plays[lb_id]), ()

    def _clear(self):
        self.cleared += 1
        if self.trouble:
            raise self.trouble

    def shown(self):
        """Listener → what is exported of it, and how many are not known."""
        self.watcher.round()
        available, unknown = self.paths.collect()
        values = {each.labels["listener"]: each.value for each in available.samples}
        return values, unknown.samples[0].value


def _or_raise(value):
    if isinstance(value, Exception):
        raise value
    return value


@pytest.fixture
def world():
    return World()


def test_changes_are_printed(world, capsys):
    assert world.shown() == ({"l1": 1.0}, 0)
    assert capsys.readouterr().out == ""
    world.plays["lb1"] = [Live(RIGHT, (ANSWERED, LOST))]
    assert world.shown() == ({"l1": 0.5}, 0)
    assert world.shown() == ({"l1": 0.5}, 0)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{NAME}: 1 of 2 connections accepted")
    world.plays["lb1"] = [Live(FORBIDDEN, (LOST, LOST))]
    assert world.shown() == ({}, 1)
    assert f"{NAME}: it is not known: " in capsys.readouterr().out
    world.plays["lb1"] = [Live(RIGHT, (ANSWERED,))]
    assert world.shown() == ({"l1": 1.0}, 0)
    assert capsys.readouterr().out == f"{NAME}: all connections are accepted\n"
    assert world.cleared == 0


def test_of_several_vips_the_worst_counts(world):
    fine, bad = Live(RIGHT, (ANSWERED,)), Live(RIGHT, (LOST,))
    unknown = Live(FORBIDDEN, (LOST,))
    for lives, expected in (
        ([fine, bad], ({"l1": 0.0}, 0)),
        ([bad, fine], ({"l1": 0.0}, 0)),
        ([fine, unknown, fine], ({}, 1)),
    ):
        world.plays["lb1"] = lives
        assert world.shown() == expected


def test_without_listeners_nothing_is_known(world):
    empty = Live(trace(snapshot(balancer())), ())
    world.plays["lb1"] = [empty]
    assert world.shown() == ({}, 0)


def test_what_has_no_flavor_any_more_is_forgotten(world):
    world.flavored = ("lb1", "lb2")
    world.plays["lb2"] = world.plays["lb1"]
    world.shown()
    world.flavored = ("lb2",)
    world.shown()
    assert {key for key, _ in world.paths._results} == {"lb2"}


def test_an_octavia_that_does_not_answer(world, capsys):
    world.shown()
    world.flavored = Unavailable("Octavia answered 503.")
    assert world.shown() == ({"l1": 1.0}, 0)
    assert "those of the round before: Octavia answered 503." in capsys.readouterr().out
    world.flavored = ("lb1",)
    world.shown()
    assert capsys.readouterr().out == "Octavia answers again\n"


def test_an_octavia_that_has_not_answered_yet(world):
    world.flavored = Refused("Octavia answered 403.")
    with pytest.raises(Refused):
        world.watcher.round()


def test_a_port_that_was_lost_is_made_again(world):
    world.plays["lb1"] = [Live(RIGHT, (UNTRIED, UNTRIED))]
    assert world.shown() == ({}, 1)
    assert world.cleared == 1


def test_a_load_balancer_that_cannot_be_probed(world, capsys):
    world.shown()
    world.plays["lb1"] = Unavailable("No Northbound database.")
    world.trouble = Unavailable("No Neutron.")
    # What is known stays until it is out of date.
    assert world.shown() == ({"l1": 1.0}, 0)
    assert world.cleared == 1
    assert capsys.readouterr().out.splitlines() == [
        "Load balancer lb1 is not probed: No Northbound database.",
        "Ports of this command are left: No Neutron.",
    ]
    world.plays["lb1"], world.trouble = NotFound("It has no VIP."), None
    world.shown()
    assert world.cleared == 1
    world.plays["lb1"] = [Live(RIGHT, (ANSWERED,))]
    world.shown()
    assert capsys.readouterr().out == "Load balancer lb1 is probed again\n"


# --- the command


@pytest.fixture
def command(world, monkeypatch, tmp_path):
    """Run the command for two rounds."""
    pauses = []

    def sleep(seconds):
        pauses.append(seconds)
        if len(pauses) == 2:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def staged(_, wanted, __):
        assert (wanted.count, wanted.continual) == (3, True)
        yield world.watcher.stage

    def served(registry, *where):
        served.text, served.where = registry, where
        return contextlib.nullcontext()

    found = types.SimpleNamespace(parts=world.watcher.found.parts, rows=None)
    monkeypatch.setattr(watch.time, "sleep", sleep)
    monkeypatch.setattr(sources, "build", lambda _: found)
    monkeypatch.setattr(live, "staged", staged)
    monkeypatch.setattr(exporter, "served", served)
    conf = tmp_path / "octavia.conf"
    conf.write_text("")

    def run(*words):
        result = runner().invoke(main, ["watch", "--config-file", str(conf), *words])
        return result, pauses, served

    return run


def test_a_signal_ends_it(command):
    result, pauses, served = command("--interval", "30", "--metrics-port", "9999")
    assert (result.exit_code, result.output) == (0, "")
    assert len(pauses) == 2
    assert all(29 < each <= 30 for each in pauses)
    assert served.where[:2] == ("127.0.0.1", 9999)
    text = prometheus_client.generate_latest(served.text).decode()
    assert 'octavia_ovn_data_path_available{listener="l1",loadbalancer="lb1"} 1.0' in text


def test_an_error_at_the_beginning(world, command):
    world.flavored = Refused("Octavia answered 403.")
    result, *_ = command()
    assert result.exit_code == 2
    assert "octavia-ovn: Octavia answered 403." in result.stderr


def test_without_a_package(command, monkeypatch):
    monkeypatch.setitem(sys.modules, "octavia_ovn.adapters.metrics.data_path", None)
    result, *_ = command()
    assert result.exit_code == 2
    assert "install octavia-ovn[health,metrics]" in result.stderr
