# SPDX-License-Identifier: Apache-2.0
"""The client of Octavia's HTTP API against a small server that answers as Octavia does."""

import dataclasses
import email.utils
import json

import pytest
from oslo_config import cfg
from werkzeug.serving import WSGIRequestHandler
from werkzeug.wrappers import Request, Response

from octavia_ovn.adapters.octavia.api import OctaviaApi
from octavia_ovn.config import octavia as config
from octavia_ovn.core.diagnosis.snapshot import ObjectStatus
from octavia_ovn.core.pending import Final, Kind
from octavia_ovn.errors import NotFound, Unavailable
from tests.lab.httpd import HttpServer

NOW = 1_764_000_000.0  # 2025-11-24T16:00:00

GROUP = "5f0c9f1e-0e0b-4c8e-8b1c-1c1d5f4b7a10"


def load_balancer(lb_id, **values):
    return {
        "id": lb_id,
        "project_id": "project",
        "provider": "ovn",
        "provisioning_status": "ACTIVE",
        "operating_status": "ONLINE",
        "vip_address": "10.0.0.9",
        "vip_port_id": "port",
        "vip_subnet_id": "subnet",
        "vip_network_id": "network",
        "created_at": "2025-11-24T15:00:00",
        "updated_at": None,
        **values,
    }


def child(object_id, status, lb_id="lb", **values):
    return {
        "id": object_id,
        "provisioning_status": status,
        "loadbalancers": [{"id": lb_id}],
        **values,
    }


def pool(object_id, status, members=(), healthmonitor_id=None, **values):
    members = [{"id": each} for each in members]
    # Octavia leaves out what is not set.
    monitor = {"healthmonitor_id": healthmonitor_id} if healthmonitor_id else {}
    return child(object_id, status, members=members, **monitor, **values)


class Octavia:
    """Answers by path, in pages; like an Octavia with allow_filtering = False it never filters."""

    def __init__(self):
        self.answers = {}
        self.queries = []
        self.http = HttpServer(self._application)

    def _application(self, environ, start_response):
        request = Request(environ)
        self.queries.append(request.args.to_dict(flat=False))
        answer = self.answers.get(request.path.removeprefix("/v2.0/lbaas/"))
        if answer is None:
            fault = {"faultcode": "Client", "faultstring": f"{request.path} not found."}
            response = Response(json.dumps(fault), 404)
        elif isinstance(answer, list):
            response = Response(json.dumps(self._page(request, answer)))
        else:
            response = Response(json.dumps(answer))
        return response(environ, start_response)

    def _page(self, request, items):
        key = request.path.rsplit("/", 1)[1]
        ids = [item["id"] for item in items]
        start = ids.index(request.args["marker"]) + 1 if "marker" in request.args else 0
        end = start + int(request.args["limit"])
        links = []
        if end < len(items):
            href = f"http://proxy/{key}?limit={request.args['limit']}&marker={ids[end - 1]}"
            links = [{"rel": "next", "href": href}]
        return {key: items[start:end], f"{key}_links": links}


@pytest.fixture
def octavia(monkeypatch):
    date = email.utils.formatdate(NOW, usegmt=True)
    monkeypatch.setattr(WSGIRequestHandler, "date_time_string", lambda *_: date)
    fake = Octavia()
    fake.http.start()
    yield fake
    fake.http.stop()


@pytest.fixture(params=[0.0])
def client(octavia, request):
    """A client on a host whose clock is wrong by some seconds."""
    service = dataclasses.replace(
        config.load(cfg.ConfigOpts()).octavia,
        auth_type="none",
        auth={"endpoint": octavia.http.url},
    )
    return OctaviaApi(service, clock=lambda: NOW + request.param)


@pytest.mark.parametrize("client", [-3600.0, 0.0, 3600.0], indirect=True)
def test_load_balancers(octavia, client):
    octavia.answers["loadbalancers"] = [
        load_balancer("a", updated_at="2025-11-24T15:59:00"),
        load_balancer("b", provisioning_status="PENDING_CREATE"),
        load_balancer("c", provider="amphora"),
        load_balancer("d", created_at="2025-11-24T16:00:05"),
        load_balancer("e", created_at=None),
    ]
    found = client.load_balancers()
    assert [(each.id, each.provisioning_status, each.idle) for each in found] == [
        ("a", "ACTIVE", 60.0),
        ("b", "PENDING_CREATE", 3600.0),
        ("d", "ACTIVE", 0.0),
        ("e", "ACTIVE", 0.0),
    ]
    assert found[0].project_id == "project"
    assert octavia.queries[0]["provider"] == ["ovn"]
    assert "provisioning_status" in octavia.queries[0]["fields"]


@pytest.mark.parametrize("date", ["", "today"])
def test_an_answer_without_a_date_is_compared_with_the_clock_of_this_host(
    octavia, client, monkeypatch, date
):
    monkeypatch.setattr(WSGIRequestHandler, "date_time_string", lambda *_: date)
    octavia.answers["loadbalancers"] = [load_balancer("a", updated_at="2025-11-24T15:59:00")]
    assert [each.idle for each in client.load_balancers()] == [60.0]


def test_pages(octavia, client):
    octavia.answers["loadbalancers"] = [load_balancer(f"{number:04}") for number in range(1100)]
    assert len(set(client.load_balancers())) == 1100
    assert len(octavia.queries) == 3
    assert all(query["provider"] == ["ovn"] for query in octavia.queries)


def test_children(octavia, client):
    octavia.answers["loadbalancers"] = [
        load_balancer("a", listeners=[{"id": "l1"}], pools=[{"id": "p1"}, {"id": "p2"}])
    ]
    (found,) = client.load_balancers()
    assert found.children == {"l1", "p1", "p2"}


def test_load_balancers_with_children_in_pending(octavia, client):
    octavia.answers.update(
        {
            "listeners": [child("l1", "PENDING_UPDATE", "a"), child("l2", "ACTIVE", "b")],
            "pools": [pool("p1", "PENDING_DELETE", lb_id="c")],
            "healthmonitors": [
                {**child("hm1", "PENDING_CREATE"), "pools": [{"id": "p2"}]},
                {**child("hm2", "PENDING_CREATE"), "pools": [{"id": "gone"}]},
            ],
            "pools/p2": {"pool": pool("p2", "ACTIVE", lb_id="d")},
            "l7policies": [
                {"id": "policy", "provisioning_status": "PENDING_CREATE", "listener_id": "l3"},
                {"id": "other", "provisioning_status": "ACTIVE", "listener_id": "l4"},
                {"id": "gone", "provisioning_status": "PENDING_DELETE", "listener_id": "l5"},
            ],
            "listeners/l3": {"listener": child("l3", "ACTIVE", "e")},
        }
    )
    assert client.with_pending_children() == {"a", "c", "d", "e"}


def test_l7_policies_and_rules_in_pending(octavia, client):
    policies = [{"id": "policy"}, {"id": "bare"}, {"id": "gone"}]
    octavia.answers.update(
        {
            "loadbalancers/lb": {"loadbalancer": load_balancer("lb")},
            "listeners": [child("l1", "ACTIVE", l7policies=policies), child("l2", "ACTIVE")],
            "pools": [],
            "l7policies/policy": {
                "l7policy": {**child("policy", "PENDING_CREATE"), "rules": [{"id": "rule"}]}
            },
            "l7policies/policy/rules": [child("rule", "PENDING_CREATE"), child("done", "ERROR")],
            "l7policies/bare": {"l7policy": {**child("bare", "PENDING_DELETE"), "rules": []}},
        }
    )
    assert client.pending("lb") == {
        (Kind.L7POLICY, "policy"): Final.ACTIVE,
        (Kind.L7RULE, "rule"): Final.ACTIVE,
        (Kind.L7POLICY, "bare"): Final.DELETED,
    }


def test_security_groups(octavia, client):
    octavia.answers["loadbalancers"] = [
        load_balancer("a", vip_sg_ids=["sg2", "sg1", GROUP.upper()]),
        load_balancer("b", vip_sg_ids=None),
        load_balancer("c"),
    ]
    assert [each.security_groups for each in client.load_balancers()] == [
        (GROUP, "sg1", "sg2"),
        (),
        (),
    ]
    assert "vip_sg_ids" in octavia.queries[0]["fields"]


def test_one_load_balancer(octavia, client):
    octavia.answers["loadbalancers/a"] = {
        "loadbalancer": load_balancer("a", listeners=[{"id": "l1"}])
    }
    octavia.answers["loadbalancers/b"] = {"loadbalancer": load_balancer("b", provider="amphora")}
    octavia.answers["loadbalancers/c"] = {
        "loadbalancer": load_balancer("c", provisioning_status="DELETED")
    }
    assert client.load_balancer("a").children == {"l1"}
    assert [client.load_balancer(each) for each in ("b", "c", "d")] == [None, None, None]
    assert [client.provider(each) for each in "abcd"] == ["ovn", "amphora", "ovn", None]


def test_what_is_pending(octavia, client):
    octavia.answers.update(
        {
            "loadbalancers/lb": {
                "loadbalancer": load_balancer("lb", provisioning_status="PENDING_UPDATE")
            },
            "listeners": [
                child("l1", "PENDING_CREATE"),
                child("l2", "ACTIVE"),
                child("l3", "PENDING_DELETE", "other"),
            ],
            "pools": [
                pool("p1", "PENDING_UPDATE", ["m1", "m2", "m3"], "hm1"),
                pool("p2", "ACTIVE"),
                pool("p3", "PENDING_DELETE", lb_id="other"),
                pool("p4", "PENDING_DELETE", ["m4"], "hm2"),
            ],
            "pools/p1/members": [
                child("m1", "PENDING_DELETE"),
                child("m2", "ERROR"),
                child("m3", "PENDING_UPDATE"),
            ],
            "healthmonitors/hm1": {"healthmonitor": child("hm1", "PENDING_CREATE")},
        }
    )
    assert client.pending("lb") == {
        (Kind.LOAD_BALANCER, "lb"): Final.ACTIVE,
        (Kind.LISTENER, "l1"): Final.ACTIVE,
        (Kind.POOL, "p1"): Final.ACTIVE,
        (Kind.POOL, "p4"): Final.DELETED,
        (Kind.MEMBER, "m1"): Final.DELETED,
        (Kind.MEMBER, "m3"): Final.ACTIVE,
        (Kind.HEALTH_MONITOR, "hm1"): Final.ACTIVE,
    }


def test_what_octavia_shows_of_a_tree(octavia, client):
    octavia.answers.update(
        {
            "loadbalancers/lb": {"loadbalancer": load_balancer("lb", name="web")},
            "listeners": [child("l1", "ACTIVE", name="http", operating_status="ERROR")],
            "pools": [pool("p1", "ACTIVE", ["m1"], name=None, operating_status="ERROR")],
            "pools/p1/members": [child("m1", "ACTIVE", name="one", operating_status="ERROR")],
        }
    )
    assert client.statuses("lb") == {
        (Kind.LOAD_BALANCER, "lb"): ObjectStatus("web", "ACTIVE", "ONLINE"),
        (Kind.LISTENER, "l1"): ObjectStatus("http", "ACTIVE", "ERROR"),
        (Kind.POOL, "p1"): ObjectStatus("", "ACTIVE", "ERROR"),
        (Kind.MEMBER, "m1"): ObjectStatus("one", "ACTIVE", "ERROR"),
    }
    assert client.statuses("gone") == {}


def test_ids_of_a_name(octavia, client):
    octavia.answers["loadbalancers"] = [
        load_balancer("b", name="web"),
        load_balancer("c", name="other"),
        load_balancer("a", name="web"),
    ]
    assert client.named("web") == ("a", "b")


def test_load_balancers_whose_flavor_sets_a_key(octavia, client):
    def profile(profile_id, data, provider="ovn"):
        return {"id": profile_id, "provider_name": provider, "flavor_data": json.dumps(data)}

    octavia.answers["flavorprofiles"] = [
        profile("p1", {"probe": True}),
        profile("p2", {"probe": False}),
        profile("p3", {}),
        profile("p4", {"probe": True}, "amphora"),
    ]
    octavia.answers["flavors"] = []
    assert client.flavored("probe") == ()
    flavors = {"f1": "p1", "f2": "p2", "f3": "p3", "f4": "p4", "f5": "p1"}
    octavia.answers["flavors"] = [
        {"id": flavor, "flavor_profile_id": profile} for flavor, profile in flavors.items()
    ]
    octavia.answers["loadbalancers"] = [
        load_balancer(lb_id, flavor_id=flavor)
        for lb_id, flavor in {"a": "f5", "b": "f1", "c": "f2", "d": "f4", "e": None}.items()
    ]
    assert client.flavored("probe") == ("a", "b")
    assert client.flavored("other") == ()


def test_nothing_is_pending_of_what_does_not_exist(client):
    assert client.pending("lb") == {}


def test_an_incomplete_list_is_an_error(octavia, client):
    octavia.answers["loadbalancers"] = [load_balancer(f"{number:04}") for number in range(1100)]
    client.load_balancers()
    octavia.http.inject(status=200, count=1)  # an answer without the list
    with pytest.raises(Unavailable, match="Octavia"):
        client.load_balancers()
    octavia.http.inject(status=503)
    with pytest.raises(Unavailable, match="Octavia answered 503"):
        client.load_balancers()


def test_octavias_sentence(client):
    with pytest.raises(NotFound, match="loadbalancers not found"):
        client.load_balancers()
