# SPDX-License-Identifier: Apache-2.0
"""Keystone, endpoints, and connections that break."""

import dataclasses
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from octavia_ovn.adapters.neutron.client import Neutron
from octavia_ovn.errors import BadConfiguration, Unavailable
from tests.functional.neutron.calls import PATIENCE
from tests.lab.keystone import CREDENTIALS


@pytest.mark.parametrize("status", [401, 403])
def test_credentials_that_keystone_does_not_accept(keystone, client, status):
    keystone.http.inject(method="POST", status=status)
    with pytest.raises(Unavailable, match=r"credentials in \[neutron\] or \[service_auth\]"):
        client.port("some")


def test_keystone_does_not_serve(keystone, client):
    fault = keystone.http.inject(method="POST", status=503)
    with pytest.raises(Unavailable, match=r"\[neutron\]"):
        client.ports_of("some")
    keystone.http.heal(fault)
    assert client.ports_of("some") == ()


def test_keystone_is_away(keystone, client):
    keystone.http.stop()
    words = r"Keystone did not answer Neutron's client; see auth_url in \[neutron\] or \[serv.*: Un"
    with pytest.raises(Unavailable, match=words):
        client.ports_of("some")
    with pytest.raises(Unavailable, match=words):
        client.project()
    keystone.http.start()
    assert client.ports_of("some") == ()


def test_an_expired_token_is_replaced(cloud, keystone, client):
    client.ports_of("some")
    cloud.http.inject(status=401, count=1)
    assert client.ports_of("some") == ()
    assert keystone.http.requests["POST /v3/auth/tokens"] == 2


def test_an_account_that_neutron_does_not_accept(cloud, client):
    cloud.http.inject(status=401)
    with pytest.raises(Unavailable, match=r"account in \[neutron\] or \[service_auth\]"):
        client.ports_of("some")


def test_neutron_is_away_and_comes_back(cloud, client, subnet):
    client.ports_of("some")
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
        client.ports_of("some")


def test_a_time_out_is_not_tried_again(cloud, client):
    cloud.http.inject(latency=2 * PATIENCE)
    started = time.monotonic()
    with pytest.raises(Unavailable):
        client.ports_of("some")
    assert time.monotonic() - started < 2 * PATIENCE


def test_no_endpoint_in_the_region(service):
    client = Neutron(dataclasses.replace(service, region_name="Elsewhere"))
    with pytest.raises(Unavailable, match=r"region Elsewhere .* \[neutron\]"):
        client.ports_of("some")


def test_no_endpoint_at_all(service):
    client = Neutron(dataclasses.replace(service, auth_type="none", auth={}))
    with pytest.raises(Unavailable, match=r"endpoint_override in \[neutron\]"):
        client.ports_of("some")


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
        Neutron(internal).ports_of("some")
    assert Neutron(dataclasses.replace(service, interfaces=())).ports_of("some") == ()


@pytest.mark.parametrize("suffix", ["", "/", "/v2", "/v2.0", "/v2.0/"])
def test_an_endpoint_may_name_the_version(cloud, service, suffix):
    client = Neutron(dataclasses.replace(service, endpoint_override=cloud.http.url + suffix))
    assert client.ports_of("some") == ()


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
        client.ports_of("some")


def test_no_secret_is_logged(keystone, client, caplog):
    caplog.set_level(logging.DEBUG)
    keystone.http.inject(method="POST", status=401)
    with pytest.raises(Unavailable) as caught:
        client.ports_of("some")
    assert CREDENTIALS["password"] not in str(caught.value)
    keystone.http.heal()
    client.ports_of("some")
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
