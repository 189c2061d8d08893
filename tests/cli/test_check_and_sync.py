# SPDX-License-Identifier: Apache-2.0
"""The commands: what they accept, print and return."""

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import types

import pytest
from oslo_config import cfg

from octavia_ovn import wiring
from octavia_ovn.cli import db_sync, logs, output, settings
from octavia_ovn.cli.main import main
from octavia_ovn.controller.drift.compare import DriftState, Repair
from octavia_ovn.core.pending import Final, Kind
from octavia_ovn.core.statistics.keys import chassis_key
from octavia_ovn.errors import BadConfiguration, Unavailable
from tests.cli.command_line import runner
from tests.controller.drift.databases import WEB, Octavia, Store, named
from tests.core.builders import member, web


class Cloud:
    """What a runtime needs, in memory."""

    def __init__(self):
        self.store = Store()
        self.octavia = Octavia()
        self.parts = types.SimpleNamespace(
            octavia=self.octavia,
            repair=lambda: Repair(self.store, self.octavia, self.octavia, patience=0.0),
        )


@pytest.fixture
def cloud(monkeypatch):
    cloud = Cloud()
    monkeypatch.setattr(wiring, "build", lambda _: cloud.parts)
    return cloud


@pytest.fixture
def conf(tmp_path):
    path = tmp_path / "octavia.conf"
    path.write_text("[ovn]\novn_nb_connection = tcp:192.0.2.1:6641\n")
    return str(path)


@pytest.fixture
def run(conf):
    def run(*arguments):
        return runner().invoke(main, [*arguments, "--config-file", conf])

    return run


def test_right(cloud, run):
    cloud.store.put(WEB)
    cloud.octavia.has(WEB)
    result = run("check")
    assert result.exit_code == 0
    assert result.stdout == "1 load balancer: 1 right\n"
    assert "lb1" in run("check", "--all").stdout


def test_no_load_balancers(cloud, run):
    result = run("check")
    assert (result.exit_code, result.stdout) == (0, "0 load balancers\n")


def test_differences(cloud, run):
    cloud.octavia.has(WEB)
    before = cloud.store.database.all()
    for command in (["check"], ["sync", "--dry-run"]):
        result = run(*command)
        assert result.exit_code == 1
        assert "lb1" in result.stdout
        assert "missing" in result.stdout
        assert "1 load balancer: 1 missing" in result.stdout
    assert cloud.store.database.all() == before


def test_a_terminal_obeys_no_text(cloud, run):
    cloud.octavia.has(WEB)
    cloud.octavia.trees["lb1"] = Unavailable("[red]\x1b[2J\n\u202e")
    result = run("check")
    assert r"[red]\x1b[2J\n\u202e" in result.stdout


def test_json(cloud, run):
    cloud.store.put(WEB)
    cloud.octavia.has(WEB)
    cloud.octavia.has(named(WEB, "lb2"))
    found = json.loads(run("check", "--json").stdout)
    assert found["summary"] == {"missing": 1, "right": 1}
    assert found["load_balancers"] == [
        {"id": "lb1", "finding": "right", "code": "", "detail": ""},
        {"id": "lb2", "finding": "missing", "code": "OVNLB-101", "detail": "it has no rows"},
    ]


def test_each_difference_has_a_code(cloud, run):
    assert output.CODES.keys() == set(DriftState) - {DriftState.RIGHT}
    cloud.octavia.has(WEB)
    assert re.search(r"lb1 +│ missing +│ OVNLB-101 +│ it has no rows", run("check").stdout)


def test_sync(cloud, run):
    cloud.octavia.has(WEB)
    result = run("sync")
    assert result.exit_code == 0
    assert "1 being repaired" in result.stdout
    assert cloud.store.lb() == WEB
    found = json.loads(run("sync", "--json").stdout)
    assert found["load_balancers"][0]["action"] == "nothing"


def test_sync_of_some(cloud, run):
    for number in range(1, 4):
        cloud.octavia.has(named(WEB, f"lb{number}"), project_id=f"project{number}")
    assert run("sync", "--project", "project1", "--project", "project2").exit_code == 0
    assert cloud.store.database.names() == {"lb1", "lb2"}
    assert run("sync", "--loadbalancer", "lb3").exit_code == 0
    assert cloud.store.database.names() == {"lb1", "lb2", "lb3"}


def test_a_selected_load_balancer_is_compared_in_depth(cloud, run):
    cloud.store.put(WEB)
    cloud.octavia.has(WEB, objects={(Kind.MEMBER, "m1"): Final.ACTIVE})
    assert run("check").exit_code == 0
    result = run("check", "--loadbalancer", "lb1")
    assert result.exit_code == 1
    assert "member in PENDING" in result.stdout


def test_check_asks_octavia_only_for_what_differs(cloud, run):
    """Each question costs octavia-driver-agent a process; the first one is whether it is there."""
    for number in range(30):
        cloud.store.put(named(WEB, f"lb{number}"))
        cloud.octavia.has(named(WEB, f"lb{number}"))
    assert run("check").exit_code == 0
    assert len(cloud.octavia.asked) == 1

    cloud.octavia.has(named(WEB, "lost"))
    assert run("check").exit_code == 1
    assert cloud.octavia.asked[2:] == ["lost"]


@pytest.mark.parametrize("command", [["check", "--deep"], ["sync", "--dry-run"]])
def test_deep_comparisons_find_what_lists_do_not_show(cloud, run, command):
    cloud.store.put(web(member(1)))
    cloud.octavia.has(WEB)
    assert run("check").exit_code == 0
    result = run(*command)
    assert result.exit_code == 1
    assert "pool p1 different" in result.stdout


def test_unknown_load_balancer(cloud, run):
    result = run("check", "--loadbalancer", "lb9")
    assert result.exit_code == 2
    assert "--loadbalancer: Octavia lists no load balancer lb9" in result.stderr


def test_a_project_without_load_balancers_is_named(cloud, run):
    """Its name instead of its id selects none, which looks as if all were well."""
    cloud.store.put(WEB)
    cloud.octavia.has(WEB, project_id="project1")
    result = run("check", "--project", "project1", "--project", "demo")
    assert result.exit_code == 0
    assert "no load balancer of provider ovn in project demo; projects are named" in result.stderr
    assert "project1" not in result.stderr
    assert run("check", "--project", "project1").stderr == ""


def test_one_that_cannot_be_compared(cloud, run):
    cloud.octavia.has(WEB)
    cloud.octavia.has(named(WEB, "lb2"))
    cloud.octavia.trees["lb1"] = Unavailable("[no] answer")
    result = run("check")
    assert result.exit_code == 2
    assert "[no] answer" in result.stdout
    assert "1 missing, 1 unclear" in result.stdout
    assert run("sync").exit_code == 2
    assert cloud.store.lb("lb2")


def test_one_that_cannot_be_repaired(cloud, run):
    cloud.octavia.has(WEB)
    cloud.store.fails = Unavailable("the database is gone")
    result = run("sync")
    assert result.exit_code == 1
    assert "failed: the database is gone" in result.stdout


def test_octavia_that_does_not_answer(cloud, run):
    def fail(_):
        raise Unavailable("no socket")

    cloud.octavia.tree = fail
    result = run("check")
    assert result.exit_code == 2
    assert "no socket. Run this command where octavia-driver-agent runs" in result.stderr


@pytest.mark.parametrize("command", ["check", "sync"])
def test_help_teaches(command):
    text = runner().invoke(main, [command, "--help"]).stdout
    for word in ("Exit status", "Examples", "--config-file", "--project", "--loadbalancer"):
        assert word in text


@pytest.mark.parametrize("option", ["--config-file", "--config-dir"])
def test_configuration_that_is_not_there(option):
    result = runner().invoke(main, ["check", option, "/nowhere"])
    assert result.exit_code == 2
    assert option in result.stderr


def test_configuration_that_is_wrong(tmp_path):
    path = tmp_path / "octavia.conf"
    path.write_text("[ovn]\novn_nb_connection = nonsense\n")
    result = runner().invoke(main, ["check", "--config-file", str(path)])
    assert result.exit_code == 2
    assert "ovn_nb_connection" in result.stderr
    path.write_text("nonsense\n")
    with pytest.raises(BadConfiguration, match="cannot be read"):
        settings.load([str(path)])


def test_configuration_folder(tmp_path, conf):
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "more.conf").write_text("[ovn]\nsync_interval = 7\n")
    assert settings.load([conf], [str(tmp_path / "more")]).sync_interval == 7


def test_logs(cloud, caplog):
    caplog.set_level("INFO")
    cloud.octavia.has(WEB)
    assert logs.run(cloud.parts, dry_run=True) == 1
    assert cloud.store.database.names() == set()
    assert logs.run(cloud.parts) == 0
    assert "Load balancer lb1: missing: it has no rows (being repaired)" in caplog.text
    caplog.clear()
    assert logs.run(cloud.parts) == 0
    assert caplog.messages == ["1 load balancer: 1 right"]
    cloud.octavia.trees["lb1"] = Unavailable("no answer")
    assert logs.run(cloud.parts) == 1


def test_db_sync_util_logs_what_is_wrong(capfd):
    assert db_sync.main(["--config-file", "/nowhere"]) == 2
    assert "/nowhere" in capfd.readouterr().err


def test_keys_of_chassis(tmp_path):
    path = tmp_path / "octavia.conf"
    path.write_text(f"[ovn_statistics]\nmaster_key = {'m' * 32}\n")
    result = runner().invoke(main, ["statistics-key", "one", "two", "--config-file", str(path)])

    assert result.exit_code == 0
    assert result.stdout.split() == [chassis_key("m" * 32, name) for name in ("one", "two")]


@pytest.mark.parametrize("key", ["", "short"])
def test_no_keys_of_chassis_without_a_good_master_key(tmp_path, key):
    path = tmp_path / "octavia.conf"
    path.write_text(f"[ovn_statistics]\nmaster_key = {key}\n")
    result = runner().invoke(main, ["statistics-key", "one", "--config-file", str(path)])

    assert result.exit_code == 2
    assert "[ovn_statistics] master_key" in result.stderr


def test_db_sync_util_without_configuration_fails_without_a_call(capfd, monkeypatch):
    monkeypatch.setattr(wiring, "build", lambda _: pytest.fail("no database is named"))
    monkeypatch.setattr(cfg, "find_config_files", lambda *_: [])
    assert db_sync.main([]) == 2
    out, err = capfd.readouterr()
    assert (out + err).count("name the configuration with --config-file") == 1


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("octavia_ovn.cli.main", "octavia-ovn"),
        ("octavia_ovn.cli.db_sync", "octavia-ovn-db-sync-util"),
        ("octavia_ovn.chassis", "octavia-ovn-chassis"),
        ("octavia_ovn.chassis", "octavia-ovn-stats"),
    ],
)
def test_version_without_warnings(module, name):
    """Of libraries that warn, as eventlet does of itself, operators see nothing."""
    program = (
        "import sys, warnings; warnings.simplefilter('default');"
        f"from {module} import main; sys.argv[0] = '{name}'; main()"
    )
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONWARNINGS"}
    done = subprocess.run(
        [sys.executable, "-c", program, "--version"],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    version = importlib.metadata.version("octavia-ovn")
    assert (done.returncode, done.stdout) == (0, f"{name} {version}\n")
    assert "Eventlet" not in done.stderr
