# SPDX-License-Identifier: Apache-2.0
"""`octavia-ovn adopt`: what it says, in which order it acts, and what a fault leaves."""

import dataclasses
import json
import types

import pytest

from octavia_ovn import wiring
from octavia_ovn.adapters.octavia.api import OctaviaApi
from octavia_ovn.adapters.octavia.data_models import DriverDefaults
from octavia_ovn.cli import handover
from octavia_ovn.cli.main import main
from octavia_ovn.core.neutron_port import FixedIp, NeutronPort
from octavia_ovn.core.request import limits
from octavia_ovn.core.topology import Subnet
from octavia_ovn.errors import NotFound, Refused, Unavailable
from tests.adapters.octavia.test_adoption import OBJECTS
from tests.cli.command_line import runner

OLD = "0a0a0a0a-0000-4000-8000-000000000001"
NEW = "0b0b0b0b-0000-4000-8000-000000000002"
VIP = "10.0.0.9"


class Rest:
    """Octavia's API: one load balancer of amphora, and what the command makes of it."""

    def __init__(self, log):
        self.log = log
        self.fails = None
        self.status = "ACTIVE"
        tree = {kind.value: dict(item) for kind, item in OBJECTS.items()}
        tree["loadbalancers"].update(id=OLD, provisioning_status="ACTIVE", provider="amphora")
        self.lbs = {OLD: tree.pop("loadbalancers")}
        self.lbs[OLD].update(created_at=None, updated_at=None)
        self.rest = tree
        self.date = None
        self.changes = {}
        """What is different below the copy: kind → values."""

    def get(self, path):
        _, kind, key = path.strip("/").split("/")
        if kind == "healthmonitors":
            return {"healthmonitor": self.rest[kind]}
        if key not in self.lbs:
            raise NotFound(key)
        return {"loadbalancer": self.lbs[key]}

    def list(self, path, key, query=None):
        if key == "loadbalancers":
            return list(self.lbs.values())
        if key == "amphorae":
            return [
                {"loadbalancer_id": OLD, "vrrp_port_id": "vrrp"},
                {"loadbalancer_id": OLD, "vrrp_port_id": None},
                {"loadbalancer_id": "other", "vrrp_port_id": "theirs"},
            ]
        changed = self.changes if query and query.get("loadbalancer_id") == NEW else {}
        lbs = [{"id": each} for each in (OLD, NEW)]
        return [{**self.rest[key], **changed.get(key, {}), "loadbalancers": lbs}]

    def post(self, path, body):
        self.log.append("create")
        if self.fails:
            raise self.fails
        made = body["loadbalancer"]
        self.lbs[NEW] = {**made, "id": NEW, "provisioning_status": self.status}
        return {"loadbalancer": self.lbs[NEW]}

    def delete(self, path):
        assert path == f"/lbaas/loadbalancers/{NEW}?cascade=true"
        self.log.append("delete")
        if self.status == "ACTIVE":
            del self.lbs[NEW]


class Neutron:
    """The VIP port, and that of an amphora."""

    def __init__(self, log):
        self.log = log
        fixed = (FixedIp("subnet", VIP),)
        name = f"octavia-lb-{OLD}"
        self.vip = NeutronPort(
            "port", name, "network", "project", f"lb-{OLD}", "Octavia", fixed, ""
        )
        self.pairs = [{"ip_address": VIP}]
        self.fails = None

    def port(self, port_id):
        assert port_id == "port"
        return self.vip

    def change_port(self, port_id, **values):
        if "allowed_address_pairs" in values:
            assert port_id == "vrrp"
            self.pairs = values["allowed_address_pairs"]
            self.log.append("amphora speaks" if self.pairs else "amphora is silent")
            return
        self.log.append(f"port: {values.get('name', '')} {values['device_owner']}".strip())
        kept = {name: values.get(name, getattr(self.vip, name)) for name in ("name", "device_id")}
        fields = ("id", "network_id", "project_id", "fixed_ips", "mac")
        self.vip = NeutronPort(
            **kept,
            device_owner=values["device_owner"],
            **{name: getattr(self.vip, name) for name in fields},
        )

    def address_pairs(self, port_id):
        if self.fails:
            raise self.fails
        return self.pairs


class Recorder:
    """The last word on a request."""

    def __init__(self):
        self.refusal = None
        self.subnets = [Subnet("near", "network", "10.0.1.0/24")]
        self.planned = None

    def plan(self, change, rows):
        if self.refusal:
            raise self.refusal
        assert rows == ()
        self.planned = change.lb

    def around(self, lb):
        return self.subnets


class Cloud:
    """All of it, and the order of what was changed."""

    def __init__(self, conf):
        self.conf = conf
        self.log = []
        self.rest, self.neutron, self.recorder = Rest(self.log), Neutron(self.log), Recorder()
        self.api = OctaviaApi.__new__(OctaviaApi)
        self.api.rest, self.api._clock = self.rest, lambda: 0.0
        self.named = [OLD]
        self.api.named = lambda _: tuple(self.named)
        self.parts = types.SimpleNamespace(
            listing=self.api,
            neutron=self.neutron,
            recorder=self.recorder,
            defaults=DriverDefaults(),
            cidr=lambda _: "10.0.0.0/24",
        )

    def run(self, *words, status=0):
        result = runner().invoke(main, ["adopt", *words, "--config-file", self.conf])
        assert result.exception is None or isinstance(result.exception, SystemExit)
        assert result.exit_code == status, result.output
        return result.stdout if status != 2 else result.stderr

    def json(self, *words, status=0):
        return json.loads(self.run(*words, "--json", status=status))


@pytest.fixture
def cloud(monkeypatch, tmp_path):
    conf = tmp_path / "octavia.conf"
    conf.write_text("[ovn]\n")
    made = Cloud(str(conf))
    monkeypatch.setattr(wiring, "build", lambda _: made.parts)
    monkeypatch.setattr(handover, "_PAUSE", 0.0)
    monkeypatch.setattr(handover, "_QUESTIONS", 2)
    return made


THERE = ["port:", "create", "amphora is silent", f"port: ovn-lb-vip-{NEW}"]
BACK = ["amphora speaks", f"port: octavia-lb-{OLD} Octavia", "delete"]


@pytest.mark.parametrize("name", [OLD, "shop"])
def test_a_dry_run_changes_nothing(cloud, name):
    text = cloud.run(name)

    assert "VIP 10.0.0.9: 1 listener, 1 pool, 1 member" in text
    assert "It can be moved: --yes does it." in text
    assert cloud.log == []
    assert cloud.recorder.planned.members()
    assert cloud.json(name) == {"id": OLD, "successor": None, "possible": True, "losses": []}


def test_it_moves_and_the_amphorae_are_silenced_last(cloud):
    text = cloud.run("shop", "--yes")

    assert cloud.log == THERE
    assert f"Return: octavia-ovn adopt {OLD} --back --yes" in text
    assert f"openstack loadbalancer delete --cascade {OLD}" in text

    text = cloud.run("shop")
    assert f"Load balancer {NEW} of provider ovn is on its VIP port" in text
    assert cloud.log == THERE


def test_the_way_back_gives_the_port_back_before_the_load_balancer_is_deleted(cloud):
    cloud.run("shop", "--yes")
    cloud.log.clear()

    assert "Open connections end." in cloud.run("shop", "--back")
    assert cloud.log == []

    assert "is deleted" in cloud.run("shop", "--back", "--yes")
    assert cloud.log == BACK
    assert NEW not in cloud.rest.lbs


def test_the_way_back_is_of_use_without_a_successor(cloud):
    assert "only allows" in cloud.run("shop", "--back")
    assert cloud.json("shop", "--back", "--yes") == {"id": OLD, "successor": None, "done": True}


def test_what_ovn_refuses_is_named_and_nothing_is_changed(cloud):
    cloud.rest.rest["pools"]["lb_algorithm"] = "LEAST_CONNECTIONS"

    text = cloud.run("shop", "--yes", status=1)

    assert "refused by OVN" in text
    assert "lb_algorithm: OVN cannot balance by LEAST_CONNECTIONS" in text
    assert "It cannot be moved" in text
    assert cloud.log == []


def test_what_only_the_network_shows_refuses_too(cloud):
    cloud.recorder.refusal = limits.refuse(limits.NO_SUBNET, value="10.0.0.4")

    (loss,) = cloud.json("shop", "--yes", status=1)["losses"]

    assert loss["effect"] == "refused"
    assert "10.0.0.4 is in no subnet" in loss["reason"]
    assert cloud.log == []


@pytest.mark.parametrize(("subnet", "count"), [("near", 0), ("subnet", 0), ("far", 1)])
def test_members_that_no_router_leads_to_are_named(cloud, subnet, count):
    cloud.rest.rest["members"]["subnet_id"] = subnet

    losses = cloud.json("shop")["losses"]

    assert [each["effect"] for each in losses] == ["changed"] * count


def test_the_port_goes_back_when_the_request_is_refused(cloud):
    cloud.rest.fails = Refused("Quota has been met.")

    assert "Quota has been met." in cloud.run("shop", "--yes", status=2)
    assert cloud.log == ["port:", "create", f"port: octavia-lb-{OLD} Octavia"]


def test_one_that_does_not_become_active_keeps_the_amphorae_speaking(cloud):
    cloud.rest.status = "ERROR"

    error = cloud.run("shop", "--yes", status=2)

    assert f"'octavia-ovn adopt --back --yes {OLD}' deletes it" in error
    assert cloud.neutron.pairs == [{"ip_address": VIP}]


def test_a_command_that_has_failed_half_way_is_continued(cloud):
    cloud.neutron.fails = Unavailable("Neutron does not answer.")
    assert "Neutron does not answer." in cloud.run("shop", "--yes", status=2)
    cloud.neutron.fails = None

    cloud.run("shop", "--yes")

    assert cloud.log == THERE


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("listeners", {"allowed_cidrs": ["192.0.2.0/24"]}),
        ("listeners", {"protocol_port": 81}),
        ("listeners", {"default_pool_id": None}),
        ("pools", {"lb_algorithm": "SOURCE_IP"}),
        ("pools", {"healthmonitor_id": None}),
    ],
)
def test_a_copy_that_has_become_another_does_not_get_the_vip(cloud, kind, values):
    """Such as one that lets in clients that are not allowed any more."""
    cloud.neutron.fails = Unavailable("Neutron does not answer.")
    cloud.run("shop", "--yes", status=2)
    cloud.neutron.fails = None
    cloud.log.clear()
    cloud.rest.changes = {kind: values}

    assert f"differs from {OLD}" in cloud.run("shop", "--yes", status=2)
    assert cloud.log == []

    cloud.rest.changes = {kind: {"name": "new", "description": "new", "tags": ["new"]}}
    cloud.run("shop", "--yes")
    assert cloud.log == THERE[2:]


def test_a_load_balancer_that_is_not_deleted_is_named(cloud):
    cloud.run("shop", "--yes")
    cloud.rest.status = cloud.rest.lbs[NEW]["provisioning_status"] = "ERROR"

    assert "and not deleted" in cloud.run("shop", "--back", "--yes", status=2)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"provider": "ovn"}, "is of provider ovn, not of amphora"),
        ({"provisioning_status": "PENDING_UPDATE"}, "is PENDING_UPDATE: wait"),
    ],
)
def test_one_that_cannot_be_moved_now(cloud, values, words):
    cloud.rest.lbs[OLD].update(values)

    assert words in cloud.run(OLD, "--yes", status=2)
    assert cloud.log == []


def test_one_that_does_not_exist(cloud):
    assert "does not know" in cloud.run(NEW, status=2)
    cloud.named = []
    assert "no load balancer of amphora named 'x'" in cloud.run("x", status=2)


def test_names_that_are_not_unique(cloud):
    cloud.named = [OLD, NEW]
    cloud.rest.lbs[NEW] = {**cloud.rest.lbs[OLD], "id": NEW}

    assert "2 load balancers are named 'shop'" in cloud.run("shop", status=2)


def test_several_of_ovn_on_the_port(cloud):
    for lb_id in (NEW, "another"):
        cloud.rest.lbs[lb_id] = {**cloud.rest.lbs[OLD], "id": lb_id, "provider": "ovn"}

    assert "Several load balancers" in cloud.run(OLD, "--yes", status=2)
    assert cloud.log == []


@pytest.mark.parametrize("words", [(), ("--yes",), ("--back",), ("--back", "--yes")])
def test_another_one_of_ovn_on_a_port_of_the_user_is_let_alone(cloud, words):
    """It would take the VIP without having the listeners, and be deleted on the way back."""
    other = {**cloud.rest.lbs[OLD], "id": NEW, "provider": "ovn", "name": "names"}
    cloud.rest.lbs[NEW] = other
    cloud.neutron.vip = dataclasses.replace(
        cloud.neutron.vip, name="mine", device_id="", device_owner=""
    )

    assert "it may be no copy" in cloud.run("shop", *words, status=2)
    assert cloud.log == []
    assert NEW in cloud.rest.lbs


def test_the_copy_may_get_another_name(cloud):
    cloud.run("shop", "--yes")
    cloud.rest.lbs[NEW]["name"] = "new shop"

    assert "is deleted" in cloud.run("shop", "--back", "--yes")
