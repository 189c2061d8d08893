# SPDX-License-Identifier: Apache-2.0
"""The fake Neutron against a real NB database, over HTTP as well."""

import contextlib
import json
import urllib.error
import urllib.request

import pytest

from tests.lab.cloud import FakeNeutron
from tests.lab.env import Env
from tests.lab.errors import Conflict
from tests.lab.ovsdb import TransactionLog


@pytest.fixture(scope="module")
def env():
    with Env() as env:
        yield env


@pytest.fixture
def neutron(env):
    with contextlib.closing(env.nb.connect()) as client, FakeNeutron(client) as neutron:
        yield neutron


@pytest.fixture
def nb(env):
    with contextlib.closing(env.nb.connect()) as client:
        yield client


@pytest.fixture
def subnet(neutron):
    network = neutron.add_network("net")
    return neutron.add_subnet(network["id"], "10.0.0.0/24")


def request(neutron, path, method="GET", body=None):
    call = urllib.request.Request(
        f"{neutron.http.url}/v2.0{path}",
        method=method,
        data=body and json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(call, timeout=5) as answer:
        return json.loads(answer.read() or "{}")


def switch_port(nb, port_id):
    return nb.select("Logical_Switch_Port", [["name", "==", port_id]])[0]


def test_a_port_made_over_http_is_in_nb(neutron, nb, subnet):
    port = request(
        neutron,
        "/ports",
        "POST",
        {
            "port": {
                "network_id": subnet["network_id"],
                "name": "ovn-lb-vip-x",
                "fixed_ips": [{"subnet_id": subnet["id"]}],
            }
        },
    )["port"]
    external_ids = switch_port(nb, port["id"])["external_ids"]
    assert external_ids["neutron:port_name"] == "ovn-lb-vip-x"
    assert external_ids["neutron:cidrs"] == "10.0.0.2/24"
    request(neutron, f"/ports/{port['id']}", "DELETE")
    assert not nb.select("Logical_Switch_Port", [["name", "==", port["id"]]])
    assert neutron.http.requests["DELETE /v2.0/ports/{id}"] == 1


def test_filters(neutron, subnet):
    port = neutron.add_port(subnet["id"], name="one")
    neutron.add_port(subnet["id"], name="two")
    found = request(neutron, "/ports?name=one&fixed_ips=subnet_id%3D" + subnet["id"])["ports"]
    assert [item["id"] for item in found] == [port["id"]]


def test_errors(neutron, subnet):
    neutron.add_port(subnet["id"], ip_address="10.0.0.9")
    with pytest.raises(Conflict):
        neutron.add_port(subnet["id"], ip_address="10.0.0.9")
    with pytest.raises(urllib.error.HTTPError, match="404"):
        request(neutron, "/ports/no-such-port")


def test_router_and_floating_ip(neutron, nb, subnet):
    public = neutron.add_network("public", physical_network="physnet", external=True)
    neutron.add_subnet(public["id"], "172.24.0.0/24")
    router = neutron.add_router("router")
    neutron.set_gateway(router["id"], public["id"])
    interface = neutron.router_add_interface(router["id"], subnet["id"])
    lsp = switch_port(nb, interface["id"])
    assert lsp["type"] == "router"
    assert lsp["options"]["router-port"] == f"lrp-{interface['id']}"

    port = neutron.add_port(subnet["id"])
    fip = neutron.associate_fip(port["id"], public["id"])
    assert (
        switch_port(nb, port["id"])["external_ids"]["neutron:port_fip"]
        == fip["floating_ip_address"]
    )
    assert len(nb.select("NAT")) == 1
    neutron.disassociate_fip(fip["id"])
    assert "neutron:port_fip" not in switch_port(nb, port["id"])["external_ids"]
    assert not nb.select("NAT")

    neutron.delete_router(router["id"])
    assert not nb.select("Logical_Router")


def test_faults(neutron):
    neutron.http.inject(path="/networks", status=503, count=1)
    with pytest.raises(urllib.error.HTTPError, match="503"):
        request(neutron, "/networks")
    request(neutron, "/networks")
    neutron.http.inject(path="/networks", reset=True, count=1)
    with pytest.raises((urllib.error.URLError, ConnectionError)):
        request(neutron, "/networks")
    neutron.http.stop()
    with pytest.raises(urllib.error.URLError, match="refused"):
        request(neutron, "/networks")
    neutron.http.start()
    request(neutron, "/networks")


def test_transaction_log_distinguishes_the_lab_from_others(env, neutron, nb):
    log = TransactionLog(env.nb.path)
    neutron.add_network("seen")
    assert log.count_foreign() == 0
    nb.transact({"op": "insert", "table": "Logical_Switch", "row": {}}, comment=None)
    nb.select("Logical_Switch")
    assert log.count_foreign() == 1
