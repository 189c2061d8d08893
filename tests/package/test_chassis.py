# SPDX-License-Identifier: Apache-2.0
"""The program on a chassis: what its options start, and what they need."""

import signal
import subprocess
import sys
import threading
import time
import types

import pytest
from oslo_config import cfg

from octavia_ovn import chassis
from octavia_ovn.adapters.probing import job
from octavia_ovn.adapters.probing.job import HealthJob
from tests.adapters.probing.members import free_port

KEY = "0123456789abcdef" * 4


@pytest.fixture
def config(tmp_path):
    """A function that writes a configuration file; returns the arguments that name it."""

    def write(health=""):
        path = tmp_path / "chassis.conf"
        path.write_text(
            f"[ovn]\novn_sb_connection = tcp:127.0.0.1:{free_port()}\n"
            f"[ovn_statistics]\nkey = {KEY}\ncontrollers = 127.0.0.1:{free_port()}\n"
            f"ovs_rundir = {tmp_path}\nstate_file = {tmp_path}/state.json\n{health}",
            encoding="utf-8",
        )
        return ["--config-file", str(path)]

    return write


class Collecting:
    """Stands for the job `statistics`."""

    def __init__(self, settings):
        pass

    def run(self, running):
        pass


@pytest.fixture
def jobs(monkeypatch):
    """The jobs `health` that are made, with what happens to them."""
    made = []

    class Job:
        def __init__(self, *arguments):
            self.steps = []
            made.append(self)

        def start(self):
            self.steps.append("start")

        def close(self, timeout):
            self.steps.append("close")

    monkeypatch.setattr(chassis, "Collector", Collecting)
    monkeypatch.setattr(job, "HealthJob", Job)
    handlers = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    yield made
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("health", ["", "[ovn_health]\nenabled = False\n"])
def test_health_checks_are_off_by_default(config, jobs, health):
    assert chassis.main(config(health)) == 0
    assert jobs == []


def test_health_checks_begin_and_end_with_the_program(config, jobs):
    assert chassis.main(config("[ovn_health]\nenabled = True\n")) == 0
    assert [each.steps for each in jobs] == [["start", "close"]]


def test_without_health_checks_their_packages_are_not_needed(config):
    program = (
        "import sys; sys.modules['h11'] = sys.modules['pyroute2'] = None\n"
        "from octavia_ovn import chassis\n"
        "chassis.Collector.run = lambda self, running: None\n"
        "sys.exit(chassis.main(sys.argv[1:]))"
    )
    argv = [sys.executable, "-c", program]

    assert subprocess.run([*argv, *config()], check=False).returncode == 0
    enabled = config("[ovn_health]\nenabled = True\n")
    done = subprocess.run([*argv, *enabled], check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert "install octavia-ovn[health], or set enabled to False" in done.stdout + done.stderr


def test_clean_needs_open_vswitch_and_says_so(config, monkeypatch, capfd):
    monkeypatch.setattr(chassis, "_TIMEOUT", 0.2)
    assert chassis.main([*config(), "--clean"]) == 1
    out, err = capfd.readouterr()
    assert "db.sock cannot be reached in time" in out + err


@pytest.mark.parametrize(
    ("there", "project"),
    [
        (set(), "octavia-ovn-chassis"),
        ({"octavia-ovn-stats"}, "octavia-ovn-stats"),
        ({"octavia-ovn-chassis", "octavia-ovn-stats"}, "octavia-ovn-chassis"),
    ],
)
def test_the_old_name_of_the_configuration_is_still_read(monkeypatch, there, project):
    monkeypatch.setattr(cfg, "find_config_files", lambda name: [name] if name in there else [])
    assert chassis._project() == project


# --- the job


class Ports:
    def names(self):
        return []


def made(name=lambda: "one"):
    return HealthJob([("127.0.0.1", free_port())], KEY, name, Ports(), 500)


def test_the_job_ends_when_it_is_closed():
    health = made()
    health.start()
    time.sleep(0.3)
    assert not health.connected
    assert health.sources == {True: 0, False: 0}
    began = time.monotonic()
    health.close(5.0)
    assert time.monotonic() - began < 2.0
    assert not health._thread.is_alive()


def test_a_job_that_is_closed_before_it_runs_ends():
    health = made()
    health._stopped = True
    health.start()
    health._thread.join(5.0)
    assert not health._thread.is_alive()
    assert (health.connected, health.states["up"]) == (False, 0)


def test_a_crash_of_the_job_is_logged_and_it_runs_again(monkeypatch, caplog):
    again = threading.Event()
    calls = []

    async def run(self):
        calls.append(self)
        if len(calls) == 1:
            raise ZeroDivisionError
        again.set()

    monkeypatch.setattr(job.Channel, "run", run)
    health = made()
    health.start()
    assert again.wait(5.0)
    health.close(5.0)
    assert "The thread health crashed" in caplog.text


@pytest.mark.parametrize(
    ("limits", "wanted"),
    [
        ((1024, 524288), (8192, 524288)),
        ((1024, 4096), (4096, 4096)),
        ((1024, -1), (8192, -1)),
        ((65536, 524288), None),
        ((-1, -1), None),
    ],
)
def test_open_files_suffice_for_all_probes_at_once(monkeypatch, limits, wanted):
    found = []
    fake = types.SimpleNamespace(
        RLIMIT_NOFILE=7,
        RLIM_INFINITY=-1,
        getrlimit=lambda _: limits,
        setrlimit=lambda _, value: found.append(value),
    )
    monkeypatch.setattr(job, "resource", fake)
    job._allow_files()
    assert found == ([] if wanted is None else [wanted])
