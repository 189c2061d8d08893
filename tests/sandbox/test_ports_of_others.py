# SPDX-License-Identifier: Apache-2.0
"""Ports that look like ours, or that rows say are ours; and what real services say of refusals."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest
from oslo_config import cfg

from octavia_ovn.adapters.neutron.client import Neutron
from octavia_ovn.adapters.octavia.api import OctaviaApi
from octavia_ovn.adapters.rest import Rest
from octavia_ovn.config import octavia as config
from octavia_ovn.errors import Conflict, NotFound, Refused
from tests.sandbox.plane import MONITOR
from tests.sandbox.waiting import until

if TYPE_CHECKING:
    from sandbox.api import Json
    from tests.sandbox.plane import Plane


_NOWHERE = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def settings(plane: Plane) -> config.Settings:
    """What octavia.conf says."""
    conf = cfg.ConfigOpts()
    file = plane.scenery.stack.settings.state / "etc" / "octavia.conf"
    conf(args=[], project="octavia", default_config_files=[str(file)])
    return config.load(conf)


@pytest.fixture
def checked(plane: Plane) -> Json:
    """A load balancer with a monitored member."""
    lb = plane.load_balancer(plane.listener(plane.member("one"), healthmonitor=MONITOR))
    plane.await_members(lb, "ONLINE", "one")
    return lb


def _source(plane: Plane, lb: Json) -> str:
    """Return the address that checks come from."""
    (mapping,) = plane.row(lb)["ip_port_mappings"].values()
    return str(mapping.partition(":")[2])


def _hm_ports(plane: Plane) -> list[Json]:
    return plane.cloud.neutron("ports", name=f"ovn-lb-hm-{plane.servers4}")


def _address(port: Json) -> str:
    return str(port["fixed_ips"][0]["ip_address"])


def test_checks_come_from_a_port_of_the_service_whatever_a_tenant_makes(
    plane: Plane, settings: config.Settings
) -> None:
    name = f"ovn-lb-hm-{plane.servers4}"
    forged = [
        plane.cloud.create(
            "port",
            name=name,
            network_id=plane.servers,
            device_id=name,
            device_owner="ovn-lb-hm:distributed",
            project_id=uuid.uuid4().hex,
            fixed_ips=[{"subnet_id": plane.servers4}],
        )["id"]
        for _ in range(4)
    ]
    lb = plane.load_balancer(plane.listener(plane.member("one"), healthmonitor=MONITOR))
    plane.await_members(lb, "ONLINE", "one")

    (port,) = (each for each in _hm_ports(plane) if each["id"] not in forged)
    assert port["project_id"] == Neutron(settings.neutron).project() != plane.cloud.project_id
    assert _source(plane, lb) == _address(port)

    plane.scenery.delete_load_balancers()
    until(lambda: not _hm_ports(plane))


def test_checks_follow_the_port_that_they_come_from(plane: Plane, checked: Json) -> None:
    (port,) = _hm_ports(plane)
    until(lambda: plane.addresses(port["id"]) == "[]")

    # Any update has Neutron restore the addresses of the switch port.
    change = {"port": {"description": "changed"}}
    plane.cloud.put("network", f"/v2.0/ports/{port['id']}", change)
    until(lambda: plane.addresses(port["id"]) == "[]")
    plane.await_members(checked, "ONLINE", "one")

    fixed_ips = [{"subnet_id": plane.servers4, "ip_address": "10.20.0.222"}]
    plane.cloud.put("network", f"/v2.0/ports/{port['id']}", {"port": {"fixed_ips": fixed_ips}})
    until(lambda: _source(plane, checked) == "10.20.0.222")
    until(lambda: plane.addresses(port["id"]) == "[]")
    plane.await_members(checked, "ONLINE", "one")

    plane.cloud.delete("network", f"/v2.0/ports/{port['id']}")
    until(lambda: [each["id"] for each in _hm_ports(plane)] not in ([], [port["id"]]))
    (made,) = _hm_ports(plane)
    until(lambda: _source(plane, checked) == _address(made))
    until(lambda: plane.addresses(made["id"]) == "[]")
    plane.await_members(checked, "ONLINE", "one")


def test_a_port_that_rows_name_is_kept(plane: Plane) -> None:
    """Whoever can write the Northbound database cannot have Neutron's ports deleted."""
    victim = plane.port(plane.servers4)
    lb = plane.load_balancer()
    row = ("Load_Balancer", plane.row(lb)["_uuid"])
    plane.scenery.nb("set", *row, f'external_ids:"neutron:vip_port_id"="{victim["id"]}"')
    plane.cloud.octavia("DELETE", f"/loadbalancers/{lb['id']}")
    plane.cloud.wait_for(lb["id"], "DELETED")

    found = plane.cloud.get("network", f"/v2.0/ports/{victim['id']}")["port"]
    assert found["name"] == victim["name"]
    plane.cloud.delete("network", f"/v2.0/ports/{victim['id']}")
    plane.cloud.delete("network", f"/v2.0/ports/{lb['vip_port_id']}")


def test_what_real_services_say_does_not_exist(settings: config.Settings) -> None:
    neutron, octavia = Neutron(settings.neutron), OctaviaApi(settings.octavia)
    for ask in (neutron.subnet, neutron.port):
        with pytest.raises(NotFound, match="could not be found"):
            ask(_NOWHERE)
    neutron.delete_port(_NOWHERE)
    neutron.touch_floating_ip(_NOWHERE)
    assert octavia.statuses(_NOWHERE) == {}
    assert octavia.listener_statistics(_NOWHERE) is None
    rest = Rest(settings.octavia, "load-balancer", "Octavia", "/v2.0")
    for path in ("pools", "pools/{}/members", "listeners/{}/stats", "healthmonitors"):
        full = f"/lbaas/{path}" if "{}" in path else f"/lbaas/{path}/{{}}"
        with pytest.raises(NotFound, match="not found"):
            rest.get(full.format(_NOWHERE))


def test_what_real_services_refuse(plane: Plane, settings: config.Settings) -> None:
    rest = Rest(settings.neutron, "network", "Neutron", "/v2.0")
    port = {"network_id": plane.servers}
    taken = [{"subnet_id": plane.servers4, "ip_address": "10.20.0.1"}]
    with pytest.raises(Conflict, match=r"10\.20\.0\.1"):
        rest.post("/ports", {"port": {**port, "fixed_ips": taken}})
    with pytest.raises(Refused, match="network_id"):
        rest.post("/ports", {"port": {"network_id": 1}})
    with pytest.raises(NotFound, match="could not be found"):
        rest.post("/ports", {"port": {"network_id": _NOWHERE}})
    # Neutron says the same of what it has no extension for, and of what policy hides.
    with pytest.raises(Refused) as hidden:
        rest.get("/nonsense")
    assert not isinstance(hidden.value, NotFound)
