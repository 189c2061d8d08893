# SPDX-License-Identifier: Apache-2.0
"""The archive for support: what is in it, what is not, and what stops nothing."""

import json
import stat
import tarfile
import types

import pytest

from octavia_ovn import wiring
from octavia_ovn.cli import archive, sources
from octavia_ovn.cli.main import main
from octavia_ovn.controller.drift.compare import Repair
from octavia_ovn.errors import BadConfiguration, NotFound, Refused, Unavailable
from tests.cli.command_line import runner
from tests.controller.drift.databases import WEB, Octavia, Store, named
from tests.core.diagnosis.snapshots import NEAR, client, snapshot

ONE, TWO, THREE = (f"{digit}1111111-2222-3333-4444-555555555555" for digit in "123")
SECRETS = {
    "service_auth": {"auth_type": "password", "password": "planted-one"},
    "neutron": {"endpoint_override": "https://me:planted-two@neutron:9696"},
    "ovn_statistics": {"master_key": "planted-three" * 4},
    "oslo_messaging_notifications": {"transport_url": "rabbit://me:planted-four@host"},
    "database": {"connection": "mysql://me:planted-five@db/octavia"},
}


class Raw:
    """Rows, and errors instead of them."""

    def __init__(self):
        self.error = None

    def _rows(self, table):
        if self.error is not None:
            raise self.error
        return {table: [{"name": "web", "_uuid": "u1", "tags": {"b", "a"}}]}

    def northbound(self, lb_id):
        return self._rows("Load_Balancer")

    def southbound(self, lb_id, northbound):
        assert northbound == self._rows("Load_Balancer")
        return self._rows("Service_Monitor")

    def northbound_version(self):
        return {"schema": "7.3.0", "northd": "25.03"}

    southbound_version = northbound_version


class Cloud(sources.Sources):
    """Octavia and the databases in memory, with three load balancers."""

    def __init__(self):
        self.store, self.octavia = Store(), Octavia()
        self.ids = {"web": [ONE]}
        self.error = None
        for lb_id in (ONE, TWO, THREE):
            self.put(lb_id)
        repair = Repair(self.store, self.octavia, self.octavia, patience=0.0)
        parts = types.SimpleNamespace(
            octavia=self.octavia,
            listing=types.SimpleNamespace(named=lambda name: self.ids.get(name, ())),
            recorder=self.store,
            repair=lambda: repair,
        )
        for name, value in {"parts": parts, "reader": None, "raw": Raw()}.items():
            object.__setattr__(self, name, value)

    __setattr__ = object.__setattr__

    def put(self, lb_id):
        self.store.put(named(WEB, lb_id))
        self.octavia.has(named(WEB, lb_id))

    def snapshot(self, text, sender=None):
        if self.error is not None:
            raise self.error
        found = snapshot()
        return found, client(found, sender) if sender else None


@pytest.fixture
def cloud(monkeypatch):
    # The class has slots; this one keeps more.
    made = Cloud()
    monkeypatch.setattr(sources, "build", lambda _: made)
    monkeypatch.setattr(wiring, "build", lambda _: pytest.fail("made twice"))
    return made


@pytest.fixture
def conf(tmp_path):
    path = tmp_path / "octavia.conf"
    path.write_text(
        "\n".join(
            "\n".join([f"[{section}]", *(f"{name} = {value}" for name, value in options.items())])
            for section, options in SECRETS.items()
        )
    )
    return path


class Bundle:
    """What the command has written and said."""

    def __init__(self, result, path):
        self.status, self.stdout, self.stderr = result.exit_code, result.stdout, result.stderr
        assert result.exception is None or isinstance(result.exception, SystemExit)
        self.path = path
        self.raw, self.files, self.modes = {}, {}, set()
        if path.exists() and self.status != 2:
            with tarfile.open(path) as tar:
                for member in tar:
                    folder, _, name = member.name.partition("/")
                    assert folder == path.name.removesuffix(".tar.gz")
                    self.raw[name] = tar.extractfile(member).read().decode()
                    self.files[name] = json.loads(self.raw[name])
                    self.modes.add(member.mode)

    @property
    def manifest(self):
        return self.files["manifest.json"]

    @property
    def left_out(self):
        return {each["what"]: each["why"] for each in self.manifest["left_out"]}


@pytest.fixture
def run(conf, tmp_path):
    path = tmp_path / "case.tar.gz"

    def run(*words, file=path):
        arguments = ["bundle", *words, "--output", str(file), "--config-file", str(conf)]
        return Bundle(runner().invoke(main, arguments), file)

    return run


def folder(lb_id):
    names = ("show", "trace-1", "northbound", "southbound")
    return {f"load-balancers/{lb_id}/{name}.json" for name in names}


def test_one_load_balancer_by_name(cloud, run):
    found = run("web")

    common = {"manifest.json", "configuration.json", "versions.json", "check.json"}
    assert found.status == 0
    assert found.files.keys() == common | folder(ONE)
    assert found.manifest["load_balancers"] == [ONE]
    assert found.manifest["left_out"] == []
    assert found.manifest["files"].keys() == found.files.keys() - {"manifest.json"}
    assert found.files["check.json"]["summary"] == {"right": 1}
    assert found.files[f"load-balancers/{ONE}/show.json"]["right"] is True
    (path,) = found.files[f"load-balancers/{ONE}/trace-1.json"]["paths"]
    assert path["client"] == "203.0.113.1, outside"
    rows = found.files[f"load-balancers/{ONE}/northbound.json"]["Load_Balancer"]
    assert rows == [{"name": "web", "_uuid": "u1", "tags": ["a", "b"]}]
    assert found.stdout.splitlines()[0] == f"{found.path}: 8 files, 1 load balancer"


def test_versions(cloud, run):
    found = run("web").files["versions.json"]

    assert found["packages"]["octavia-lib"].count(".") == 2
    assert found["packages"].keys() >= {"octavia-ovn", "ovs"}
    assert found["python"].startswith("3.")
    assert found["databases"]["OVN_Northbound"] == {"schema": "7.3.0", "northd": "25.03"}


def test_only_the_owner_can_read_it(cloud, run):
    found = run("web")

    assert stat.S_IMODE(found.path.stat().st_mode) == 0o600
    assert found.modes == {0o600}


def test_an_existing_file_is_not_overwritten(cloud, run):
    first = run("web")
    before = first.path.read_bytes()
    second = run("web")

    assert second.status == 2
    assert f"--output: {first.path} exists" in second.stderr
    assert first.path.read_bytes() == before


def test_a_file_that_cannot_be_written(cloud, run, tmp_path):
    found = run("web", file=tmp_path / "no" / "case.tar.gz")

    assert found.status == 2
    assert "cannot be written: No such file or directory" in found.stderr


def test_the_default_name(cloud, conf, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = runner().invoke(main, ["bundle", "web", "--config-file", str(conf)])

    assert result.exit_code == 0
    (path,) = tmp_path.glob("octavia-ovn-bundle-*.tar.gz")
    assert result.stdout.startswith(path.name)


def test_all_load_balancers_those_that_differ_first(cloud, run):
    cloud.octavia.trees[THREE] = named(WEB, THREE).__class__(THREE, vips=WEB.vips)
    cloud.octavia.has(cloud.octavia.trees[THREE])
    found = run("--limit", "2")

    assert found.status == 1
    assert found.manifest["load_balancers"] == [THREE, ONE]
    assert found.left_out == {"load balancers beyond the limit": "--limit 2 leaves out 1"}
    assert "! load balancers beyond the limit: --limit 2 leaves out 1" in found.stdout


def test_several_clients(cloud, run):
    found = run("web", "--from", NEAR, "--from", "203.0.113.9")

    traces = [found.files[f"load-balancers/{ONE}/trace-{number}.json"] for number in (1, 2)]
    assert [each["from"] for each in traces] == [NEAR, "203.0.113.9"]
    assert traces[0]["paths"][0]["gets_through"]


def test_a_load_balancer_twice_is_once_in_it(cloud, run):
    found = run("web", ONE)

    assert found.manifest["load_balancers"] == [ONE]
    assert len(found.raw) == 8


# --- what cannot be read


def test_an_unknown_load_balancer_does_not_stop_the_rest(cloud, run):
    found = run("web", "mail")

    assert found.status == 1
    assert found.manifest["load_balancers"] == [ONE]
    assert found.left_out == {"load balancer mail": "Octavia lists no load balancer named 'mail'."}


@pytest.mark.parametrize(
    "error",
    [Unavailable("no answer"), Refused("no"), NotFound("none"), BadConfiguration("wrong")],
)
def test_errors_become_entries_of_the_manifest(cloud, run, error):
    cloud.error = cloud.raw.error = error
    found = run("web")

    assert found.status == 1
    assert found.files.keys().isdisjoint(folder(ONE))
    *reasons, southbound = found.left_out.values()
    assert reasons == [str(error)] * 3
    assert southbound.startswith("the rows in OVN_Northbound")
    assert "show.json: what octavia-ovn show says: " in found.stdout


def test_a_defect_is_one_of_them(cloud, run):
    cloud.error = KeyError("odd\x1b[31m")
    found = run("web")

    why = found.left_out[f"load-balancers/{ONE}/show.json: what octavia-ovn show says"]
    assert why.startswith("a defect: KeyError: 'odd")
    assert "\x1b" not in found.stdout
    assert f"load-balancers/{ONE}/northbound.json" in found.files


def test_without_octavia_the_rows_say_what_there_is(cloud, run):
    def fail(_):
        raise Unavailable("no answer")

    cloud.octavia.reading = fail
    found = run()

    assert found.status == 1
    assert found.manifest["load_balancers"] == [ONE, TWO, THREE]
    assert [*found.left_out] == ["check.json: what octavia-ovn check says"]


def test_a_name_of_a_row_cannot_lead_out_of_the_folder(cloud, run):
    cloud.octavia.reading = lambda _: (_ for _ in ()).throw(Unavailable("no answer"))
    cloud.store.load_balancers = lambda: dict.fromkeys([ONE, "../../../etc/cron.d"])
    found = run()

    assert found.left_out["load balancer ../../../etc/cron.d"] == "that is no id"
    assert found.manifest["load_balancers"] == [ONE]


def test_a_wrong_option_leaves_the_configuration(conf, run):
    conf.write_text("[ovn]\nsync_interval = often\n")
    found = run("web")

    assert found.status == 1
    assert found.files.keys() == {"manifest.json", "configuration.json", "versions.json"}
    assert found.left_out["the databases and services"].startswith("[ovn] sync_interval is wrong")
    assert found.files["configuration.json"]["ovn"]["sync_interval"].startswith("[ovn] sync_inter")


def test_no_archive_without_a_configuration(run, tmp_path, monkeypatch):
    monkeypatch.setattr("oslo_config.cfg.find_config_files", lambda *_: [])
    result = runner().invoke(main, ["bundle", "web", "--output", str(tmp_path / "x.tar.gz")])

    assert result.exit_code == 2
    assert "There is no /etc/octavia/octavia.conf that this user can see" in result.stderr
    assert not (tmp_path / "x.tar.gz").exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("odd")])
def test_half_an_archive_is_removed(tmp_path, error):
    path = tmp_path / "case.tar.gz"
    with (
        pytest.raises(type(error)),
        archive.create(path, lambda content: content),
    ):
        raise error if path.exists() else AssertionError

    assert not path.exists()


def test_a_full_disk(tmp_path, monkeypatch):
    path = tmp_path / "case.tar.gz"
    with (
        pytest.raises(BadConfiguration, match="cannot be written: No space left"),
        archive.create(path, lambda content: content),
    ):
        raise OSError(28, "No space left on device")

    assert not path.exists()


# --- secrets


def test_no_secret_is_in_it(cloud, run):
    """Not in the configuration, and not in an error or a row that quotes one."""
    cloud.error = Unavailable("401 for https://me:planted-two@neutron:9696 by planted-one")
    cloud.raw._rows = lambda _: {"Load_Balancer": [{"name": "planted-one", "why": "planted-four"}]}
    found = run("web")

    text = "\n".join([*found.raw.values(), found.stdout, found.stderr])
    assert "planted" not in text
    assert "***" in found.raw[f"load-balancers/{ONE}/northbound.json"]
    assert found.files["configuration.json"]["neutron"]["endpoint_override"] == "https://***"
    assert "database" not in found.files["configuration.json"]
