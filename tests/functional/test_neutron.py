"""The Neutron adapter against a fake Neutron and a fake Keystone over real HTTP."""

import dataclasses
import json
import logging
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from oslo_config import cfg
from werkzeug.wrappers import Request, Response

from octavia_ovn import config
from octavia_ovn.adapters import neutron, rest
from octavia_ovn.adapters.neutron import HM_OWNER, FixedIp, Neutron
from octavia_ovn.errors import BadConfiguration, Conflict, NotFound, Refused, Unavailable
from tests.lab import env, ovsdb
from tests.lab.cloud import PROJECT, FakeNeutron
from tests.lab.httpd import HttpServer
from tests.lab.keystone import CREDENTIALS, FakeKeystone

LB = "6e0d0b5a-4c1f-4a3c-9d8e-3a0f2c6b1d11"
PATIENCE = 1.0


@pytest.fixture(scope="module")
def northbound():
    with tempfile.TemporaryDirectory() as directory:
        server = env.OvsdbServer(Path(directory), "nb", ovsdb.NORTHBOUND)
        server.start()
        client = server.connect()
        client.transact(ovsdb.insert("NB_Global", {}))
        yield client
        client.close()
        server.stop()


@pytest.fixture
def cloud(northbound):
    with FakeNeutron(northbound) as fake:
        yield fake


@pytest.fixture
def keystone(cloud):
    with FakeKeystone(lambda: {"network": cloud.http.url}) as fake:
        yield fake


@pytest.fixture
def service(keystone):
    auth = dict(CREDENTIALS, auth_url=f"{keystone.http.url}/v3")
    auth_type, region = auth.pop("auth_type"), auth.pop("region_name")
    default = config.load(cfg.ConfigOpts()).neutron
    return dataclasses.replace(
        default, auth_type=auth_type, auth=auth, region_name=region, timeout=PATIENCE
    )


@pytest.fixture
def client(service):
    return Neutron(service)


@pytest.fixture
def subnet(cloud):
    return cloud.add_subnet(cloud.add_network()["id"], "10.0.0.0/24")


def make(client, subnet, **options):
    return client.create_vip_port(LB, PROJECT, subnet["network_id"], subnet["id"], **options)


def requests(cloud):
    """Return the requests made since the last call."""
    found = dict(cloud.http.requests)
    cloud.http.requests.clear()
    return found


# --- subnets


def test_nothing_is_done_before_the_first_call(cloud, keystone, client):
    assert not requests(cloud)
    assert not keystone.http.requests


def test_a_subnet_is_asked_for_once(cloud, keystone, client, subnet):
    found = client.subnet(subnet["id"])
    assert found == neutron.Subnet(
        subnet["id"], subnet["network_id"], "10.0.0.0/24", 4, "10.0.0.1", False
    )
    assert requests(cloud) == {"GET /v2.0/subnets/{id}": 1}
    assert keystone.http.request_count() == 2
    cloud.http.inject(status=503)
    assert client.subnet(subnet["id"]) is found


def test_a_subnet_that_is_not_there_is_asked_for_again(cloud, client):
    for _ in range(2):
        with pytest.raises(NotFound, match="could not be found"):
            client.subnet("b3b0ac4e-0000-4000-8000-000000000000")
    assert requests(cloud) == {"GET /v2.0/subnets/{id}": 2}


def test_subnets_of_a_network(cloud, client, subnet):
    other = cloud.add_subnet(subnet["network_id"], "2001:db8::/64", gateway=False)
    cloud.add_subnet(cloud.add_network()["id"], "10.9.0.0/24")
    found = {each.id: each for each in client.network_subnets(subnet["network_id"])}
    assert found.keys() == {subnet["id"], other["id"]}
    assert found[other["id"]].gateway_ip is None
    requests(cloud)
    assert client.subnet(other["id"]).ip_version == 6
    assert not requests(cloud)


# --- VIP ports


def test_a_vip_port(cloud, client, subnet):
    port = make(client, subnet, address="10.0.0.9", qos_policy_id="policy")
    assert requests(cloud) == {"POST /v2.0/ports": 1}
    assert port.fixed_ips == (FixedIp(subnet["id"], "10.0.0.9"),)
    made = cloud.ports[port.id]
    assert made["name"] == f"ovn-lb-vip-{LB}"
    assert made["device_id"] == f"lb-{LB}"
    assert made["device_owner"] == ""
    assert made["admin_state_up"] is True
    assert made["project_id"] == PROJECT
    assert made["qos_policy_id"] == "policy"
    assert client.port(port.id) == port


def test_a_vip_port_on_a_network(cloud, client, subnet):
    port = client.create_vip_port(LB, None, subnet["network_id"])
    assert port.fixed_ips[0].subnet_id == subnet["id"]


def test_an_additional_vip_port(client, subnet):
    assert make(client, subnet, index=2).name == f"ovn-lb-vip-additional-2-{LB}"


def test_addresses_are_canonical(cloud, client):
    subnet = cloud.add_subnet(cloud.add_network()["id"], "2001:db8::/64")
    port = make(client, subnet, address="2001:DB8:0::9")
    assert port.fixed_ips[0].address == "2001:db8::9"


def test_an_address_of_somebody_else_is_a_conflict(cloud, client, subnet):
    cloud.add_port(subnet["id"], "10.0.0.9")
    with pytest.raises(Conflict, match=r"10\.0\.0\.9 already allocated"):
        make(client, subnet, address="10.0.0.9")


def test_our_own_port_is_taken_again(cloud, client, subnet):
    first = make(client, subnet, address="10.0.0.9")
    assert make(client, subnet, address="10.0.0.9") == first


def test_a_user_port_of_our_name_is_not_taken(cloud, client, subnet):
    cloud.add_port(subnet["id"], "10.0.0.9", name=f"ovn-lb-vip-{LB}")
    with pytest.raises(Conflict):
        make(client, subnet, address="10.0.0.9")


@pytest.mark.parametrize(
    ("status", "kind", "error"),
    [
        (409, "OverQuota", Refused),
        (409, "IpAddressGenerationFailure", Refused),
        (409, "IpAddressInUse", Conflict),
        (400, "InvalidInput", Refused),
        (404, "NetworkNotFound", NotFound),
        (429, "", Unavailable),
        (500, "HTTPInternalServerError", Unavailable),
        (503, "", Unavailable),
    ],
)
def test_refusals(cloud, client, subnet, status, kind, error):
    cloud.http.inject(path="/ports", method="POST", status=status, kind=kind)
    with pytest.raises(error) as caught:
        make(client, subnet)
    assert type(caught.value) is error
    assert ("Injected" in str(caught.value)) == bool(kind)
    assert not cloud.ports


def test_a_lost_answer_leaks_no_port(cloud, client, subnet):
    cloud.http.inject(path="/ports", method="POST", served=True, count=1)
    port = make(client, subnet)
    assert list(cloud.ports) == [port.id]


def test_a_port_that_came_after_the_time_out_is_found_for_deletion(cloud, client, subnet):
    cloud.http.inject(path="/ports", method="POST", latency=2 * PATIENCE, count=1)
    started = time.monotonic()
    with pytest.raises(Unavailable, match="Neutron did not answer POST"):
        make(client, subnet)
    assert time.monotonic() - started < 2 * PATIENCE
    assert env.wait_until(lambda: cloud.ports, 5) is not None
    client.delete_vip_ports(LB)
    assert not cloud.ports


def test_a_second_attempt_takes_the_address_of_the_first(cloud, client, subnet):
    cloud.http.inject(path="/ports", method="POST", latency=2 * PATIENCE, count=1)
    with pytest.raises(Unavailable):
        make(client, subnet, address="10.0.0.9")
    assert env.wait_until(lambda: cloud.ports, 5) is not None
    assert [make(client, subnet, address="10.0.0.9").id] == list(cloud.ports)


def test_when_looking_for_the_port_fails_too_the_first_error_counts(cloud, client, subnet):
    cloud.http.inject(path="/ports", method="POST", status=500, kind="First")
    cloud.http.inject(path="/ports", method="GET", status=503)
    with pytest.raises(Unavailable, match="500"):
        make(client, subnet)


def test_only_ports_of_ours_are_deleted(cloud, client, subnet):
    other = LB.replace("6", "7")
    kept = [
        cloud.add_port(subnet["id"], name=f"ovn-lb-vip-{LB}"),  # a server's
        cloud.create_port(subnet["network_id"], name="mine", device_id=f"lb-{LB}"),
        cloud.create_port(subnet["network_id"], name=f"octavia-lb-{LB}", device_id=f"lb-{LB}"),
        cloud.create_port(
            subnet["network_id"], name=f"ovn-lb-vip-{other}", device_id=f"lb-{other}"
        ),
        cloud.create_port(subnet["network_id"], name=f"ovn-lb-vip-{other}"),
        cloud.create_port(subnet["network_id"], name=f"ovn-lb-vip-{LB}", device_owner="mine"),
    ]
    make(client, subnet)
    make(client, subnet, index=1)
    for number in (1, 10):
        cloud.create_port(subnet["network_id"], name=f"ovn-lb-vip-additional-{number}-{LB}")
    cloud.create_port(
        subnet["network_id"],
        name=f"ovn-lb-vip-{LB}",
        device_id=f"lb-{LB}",
        device_owner="ovn-lb:vip",
    )
    cloud.create_port(subnet["network_id"], name=f"ovn-lb-vip-{LB}")
    for _ in range(2):
        client.delete_vip_ports(LB)
        assert set(cloud.ports) == {port["id"] for port in kept}


def test_deleting_a_port_that_is_gone(cloud, client, subnet):
    port = make(client, subnet)
    client.delete_port(port.id)
    client.delete_port(port.id)


def test_a_lost_answer_to_a_deletion(cloud, client, subnet):
    port = make(client, subnet)
    cloud.http.inject(method="DELETE", served=True, count=1)
    client.delete_port(port.id)
    assert not cloud.ports


def test_qos_policies(cloud, client, subnet):
    port = make(client, subnet)
    client.set_qos_policy(port.id, "policy")
    assert cloud.ports[port.id]["qos_policy_id"] == "policy"
    client.set_qos_policy(port.id, None)
    assert cloud.ports[port.id]["qos_policy_id"] is None
    cloud.delete_port(port.id)
    with pytest.raises(NotFound):
        client.set_qos_policy(port.id, None)


# --- health monitor ports


def make_source(client, subnet):
    return client.make_hm_port(subnet["id"], subnet["network_id"], PROJECT)


def test_a_health_monitor_port(cloud, client, subnet):
    requests(cloud)
    port = make_source(client, subnet)
    made = cloud.ports[port.id]
    assert made["name"] == made["device_id"] == f"ovn-lb-hm-{subnet['id']}"
    assert made["device_owner"] == "ovn-lb-hm:distributed"
    assert made["port_security_enabled"] is False
    assert made["security_groups"] == []
    assert port.fixed_ips[0].subnet_id == subnet["id"]
    assert requests(cloud) == {"POST /v2.0/ports": 1}
    for _ in range(2):
        client.delete_hm_ports(subnet["id"])
        assert not cloud.ports


def test_known_health_monitor_ports_are_not_looked_for(cloud, client, subnet):
    known = [make_source(client, subnet).id for _ in range(2)]
    requests(cloud)
    client.delete_hm_ports(subnet["id"], known)
    assert not cloud.ports
    assert requests(cloud) == {"DELETE /v2.0/ports/{id}": 2}


def test_the_health_monitor_port_of_the_former_driver_is_found(cloud, client, subnet):
    old = cloud.create_port(
        subnet["network_id"],
        name=f"ovn-lb-hm-{subnet['id']}",
        device_owner="network:distributed",
    )
    cloud.http.inject(method="POST", status=409)
    assert make_source(client, subnet).id == old["id"]
    client.delete_hm_ports(subnet["id"])
    assert not cloud.ports


def test_a_lost_answer_makes_no_second_health_monitor_port(cloud, client, subnet):
    cloud.http.inject(method="POST", served=True, count=1)
    assert [make_source(client, subnet).id] == list(cloud.ports)


def test_no_health_monitor_port_on_a_subnet_that_is_gone(client, subnet):
    with pytest.raises(Refused):
        client.make_hm_port("b3b0ac4e-0000-4000-8000-000000000000", subnet["network_id"], PROJECT)


def test_our_ports(cloud, client, subnet):
    ours = {make(client, subnet).id, make_source(client, subnet).id}
    cloud.add_port(subnet["id"])
    cloud.create_port(subnet["network_id"], name=f"ovn-lb-vip-{LB}")
    cloud.create_port(subnet["network_id"], name="mine", device_id=f"lb-{LB}")
    cloud.create_port(subnet["network_id"], name="mine", device_owner=HM_OWNER)
    found = client.list_our_ports()
    assert {each.id for each in found} == ours
    assert {neutron.vip_owner(each) for each in found} == {LB, None}
    assert {neutron.hm_subnet(each) for each in found} == {subnet["id"], None}


# --- floating IPs


def test_touching_a_floating_ip_changes_nothing(cloud, client):
    cloud.floatingips["0b8e7a5e-0000-4000-8000-000000000001"] = fip = {
        "description": "mine",
        "port_id": None,
    }
    client.touch_floating_ip("0b8e7a5e-0000-4000-8000-000000000001")
    assert requests(cloud) == {
        "GET /v2.0/floatingips/{id}": 1,
        "PUT /v2.0/floatingips/{id}": 1,
    }
    assert fip == {"description": "mine", "port_id": None}


def test_touching_a_floating_ip_that_is_gone(client):
    client.touch_floating_ip("0b8e7a5e-0000-4000-8000-000000000002")


# --- Keystone, endpoints, connections


@pytest.mark.parametrize("status", [401, 403])
def test_credentials_that_keystone_does_not_accept(keystone, client, status):
    keystone.http.inject(method="POST", status=status)
    with pytest.raises(Unavailable, match=r"credentials in \[neutron\] or \[service_auth\]"):
        client.port("some")


def test_keystone_does_not_serve(keystone, client):
    fault = keystone.http.inject(method="POST", status=503)
    with pytest.raises(Unavailable, match=r"\[neutron\]"):
        client.ports_named("some")
    keystone.http.heal(fault)
    assert client.ports_named("some") == ()


def test_keystone_is_away(keystone, client):
    keystone.http.stop()
    with pytest.raises(Unavailable):
        client.ports_named("some")
    keystone.http.start()
    assert client.ports_named("some") == ()


def test_an_expired_token_is_replaced(cloud, keystone, client):
    client.ports_named("some")
    cloud.http.inject(status=401, count=1)
    assert client.ports_named("some") == ()
    assert keystone.http.requests["POST /v3/auth/tokens"] == 2


@pytest.mark.parametrize("status", [401, 403])
def test_an_account_that_neutron_does_not_accept(cloud, client, status):
    cloud.http.inject(status=status)
    with pytest.raises(Unavailable, match=r"account in \[neutron\] or \[service_auth\]"):
        client.ports_named("some")


def test_neutron_is_away_and_comes_back(cloud, client, subnet):
    client.ports_named("some")
    cloud.http.stop()
    with pytest.raises(Unavailable, match="Neutron did not answer GET"):
        client.subnet(subnet["id"])
    cloud.http.start()
    assert client.subnet(subnet["id"]).cidr == "10.0.0.0/24"


def test_a_dropped_connection_is_tried_once_more(cloud, client, subnet):
    cloud.http.inject(reset=True, count=1)
    assert client.subnet(subnet["id"]).cidr == "10.0.0.0/24"
    cloud.http.inject(reset=True, count=2)
    with pytest.raises(Unavailable):
        client.ports_named("some")


def test_a_time_out_is_not_tried_again(cloud, client):
    cloud.http.inject(latency=2 * PATIENCE)
    started = time.monotonic()
    with pytest.raises(Unavailable):
        client.ports_named("some")
    assert time.monotonic() - started < 2 * PATIENCE


def test_no_endpoint_in_the_region(service):
    client = Neutron(dataclasses.replace(service, region_name="Elsewhere"))
    with pytest.raises(Unavailable, match=r"region Elsewhere .* \[neutron\]"):
        client.ports_named("some")


def test_no_endpoint_at_all(service):
    client = Neutron(dataclasses.replace(service, auth_type="none", auth={}))
    with pytest.raises(Unavailable, match=r"endpoint_override in \[neutron\]"):
        client.ports_named("some")


def test_interfaces_are_taken_in_order(cloud, keystone, service, monkeypatch):
    token = keystone._token

    def internal_is_elsewhere():
        found = token()
        for endpoint in found["catalog"][0]["endpoints"]:
            if endpoint["interface"] == "internal":
                endpoint["url"] = "http://127.0.0.1:1"
        return found

    monkeypatch.setattr(keystone, "_token", internal_is_elsewhere)
    internal = dataclasses.replace(service, interfaces=("internal", "public"))
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1"):
        Neutron(internal).ports_named("some")
    assert Neutron(dataclasses.replace(service, interfaces=())).ports_named("some") == ()


@pytest.mark.parametrize("suffix", ["", "/", "/v2", "/v2.0", "/v2.0/"])
def test_an_endpoint_may_name_the_version(cloud, service, suffix):
    client = Neutron(dataclasses.replace(service, endpoint_override=cloud.http.url + suffix))
    assert client.ports_named("some") == ()


@pytest.mark.parametrize(
    "change",
    [
        {"auth_type": ""},
        {"auth_type": "telepathy"},
        {"auth": {"username": "octavia"}},
        {"cafile": "/nowhere.pem", "endpoint_override": "https://127.0.0.1:1"},
    ],
)
def test_what_is_not_configured_is_named(service, change):
    client = Neutron(dataclasses.replace(service, **change))
    with pytest.raises(BadConfiguration, match=r"\[neutron\]"):
        client.ports_named("some")


def test_no_secret_is_told(keystone, client, caplog):
    caplog.set_level(logging.DEBUG)
    keystone.http.inject(method="POST", status=401)
    with pytest.raises(Unavailable) as caught:
        client.ports_named("some")
    assert CREDENTIALS["password"] not in str(caught.value)
    keystone.http.heal()
    client.ports_named("some")
    assert f'"{CREDENTIALS["password"]}"' not in caplog.text
    assert "lab-token" not in caplog.text


def test_threads_share_one_token(cloud, keystone, client, subnet):
    barrier = threading.Barrier(8)

    def ask(_):
        barrier.wait()
        return client.subnet(subnet["id"])

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ask, range(8)))) == 1
    assert keystone.http.requests["POST /v3/auth/tokens"] == 1


# --- pages and bodies


@pytest.fixture
def answers(service):
    """A client and the list of what its server answers next: bodies, or (status, body)."""
    queued, queries = [], []

    def application(environ, start_response):
        request = Request(environ)
        queries.append(request.args.to_dict(flat=False))
        answer = queued.pop(0)
        status, body = answer if isinstance(answer, tuple) else (200, answer)
        text = body if isinstance(body, str) else json.dumps(body)
        return Response(text, status)(environ, start_response)

    server = HttpServer(application)
    server.start()
    reached = dataclasses.replace(service, auth_type="none", auth={"endpoint": server.url})
    yield rest.Rest(reached, "network", "Neutron", "/v2.0", page=2), queued, queries
    server.stop()


def test_pages_are_followed(answers):
    client, queued, queries = answers
    link = {"rel": "next", "href": "https://proxy/elsewhere?limit=2&marker=b&fields=id&fields=name"}
    queued += [
        {"ports": [{"id": "a"}, {"id": "b"}], "ports_links": [link]},
        {"ports": [{"id": "c"}], "ports_links": [{"rel": "previous", "href": "?"}]},
    ]
    found = client.list("/ports", "ports", {"fields": ["id", "name"]})
    assert [each["id"] for each in found] == ["a", "b", "c"]
    assert queries == [
        {"fields": ["id", "name"], "limit": ["2"]},
        {"fields": ["id", "name"], "limit": ["2"], "marker": ["b"]},
    ]


def test_an_empty_page_is_the_last(answers):
    client, queued, _ = answers
    queued += [{"ports": [], "ports_links": [{"rel": "next", "href": "?marker=a"}]}]
    assert client.list("/ports", "ports") == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"NeutronError": {"type": "T", "message": "a sentence"}}, "a sentence"),
        ({"NeutronError": "a sentence"}, "a sentence"),
        ({"faultcode": "Client", "faultstring": "a sentence", "debuginfo": None}, "a sentence"),
        ({"error": {"message": "a sentence", "code": 400}}, "a sentence"),
        ("<html>", "Neutron answered 400 to GET /v2.0/x"),
        ([], "Neutron answered 400 to GET /v2.0/x"),
        ({"code": 400}, "Neutron answered 400 to GET /v2.0/x"),
    ],
)
def test_the_sentence_of_an_error(answers, body, message):
    client, queued, _ = answers
    queued.append((400, body))
    with pytest.raises(Refused) as caught:
        client.get("/x")
    assert str(caught.value) == message


def test_an_answer_that_is_no_json(answers):
    client, queued, _ = answers
    queued.append("<html>")
    with pytest.raises(Unavailable, match="JSON"):
        client.get("/x")
