# SPDX-License-Identifier: Apache-2.0
"""Requests as clients send them to a real Octavia, which changes some on their way."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from sandbox.api import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.api import Json
    from tests.sandbox.scenery import Scenery


_ALLOWED = ["10.0.0.0/24", "192.0.2.0/24"]


@pytest.fixture
def lb(scenery: Scenery) -> Json:
    """A load balancer with a restricted listener, a persistent pool, a member and a monitor."""
    made = scenery.load_balancer()
    scenery.listener(made, name="web", allowed_cidrs=_ALLOWED)
    pool = {
        "name": "pool",
        "loadbalancer_id": made["id"],
        "protocol": "TCP",
        "lb_algorithm": "SOURCE_IP_PORT",
        "session_persistence": {"type": "SOURCE_IP"},
    }
    _ask(scenery, made, "POST", "/pools", pool=pool)
    pool_id = _only(scenery, "pools")["id"]
    _ask(scenery, made, "PUT", _listener(scenery), listener={"default_pool_id": pool_id})
    member = {"address": "10.0.0.77", "protocol_port": 80, "subnet_id": scenery.web, "weight": 7}
    _ask(scenery, made, "POST", f"/pools/{pool_id}/members", member=member)
    monitor = {"type": "TCP", "delay": 7, "timeout": 3, "max_retries": 2, "pool_id": pool_id}
    _ask(scenery, made, "POST", "/healthmonitors", healthmonitor=monitor)
    return made


def _ask(scenery: Scenery, lb: Json, method: str, path: str, **body: Json) -> None:
    scenery.cloud.octavia(method, path, body or None)
    scenery.cloud.wait_for(lb["id"])


def _only(scenery: Scenery, kind: str, path: str = "") -> Json:
    (found,) = scenery.cloud.octavia("GET", path or f"/{kind}")[kind]
    return dict(found)


def _listener(scenery: Scenery) -> str:
    return f"/listeners/{_only(scenery, 'listeners')['id']}"


def _pool(scenery: Scenery) -> str:
    return f"/pools/{_only(scenery, 'pools')['id']}"


def _member(scenery: Scenery) -> str:
    path = f"{_pool(scenery)}/members"
    return f"{path}/{_only(scenery, 'members', path)['id']}"


def _monitor(scenery: Scenery) -> str:
    return f"/healthmonitors/{_only(scenery, 'healthmonitors')['id']}"


_OBJECTS: tuple[tuple[str, Callable[[Scenery], str], str], ...] = (
    (
        "listener",
        _listener,
        (
            "name description admin_state_up allowed_cidrs connection_limit default_pool_id"
            " default_tls_container_ref insert_headers sni_container_refs timeout_client_data"
            " timeout_member_connect timeout_member_data timeout_tcp_inspect tls_ciphers"
            " tls_versions client_authentication client_ca_tls_container_ref"
            " client_crl_container_ref tags"
        ),
    ),
    (
        "pool",
        _pool,
        (
            "name description admin_state_up lb_algorithm session_persistence tls_enabled"
            " tls_ciphers tls_versions tls_container_ref ca_tls_container_ref crl_container_ref"
            " tags"
        ),
    ),
    ("member", _member, "name admin_state_up weight backup monitor_address monitor_port tags"),
    (
        "healthmonitor",
        _monitor,
        "name admin_state_up delay timeout max_retries max_retries_down tags",
    ),
)
_CHANGING = ("neutron:member_status", "octavia:pending")
_KEPT = ("allowed_cidrs", "session_persistence", "lb_algorithm", "weight", "delay", "max_retries")


def _intent(scenery: Scenery) -> list[object]:
    """What rows say that tenants want, and whom they keep out."""
    rows = [
        {key: value for key, value in external_ids[1] if key not in _CHANGING}
        for external_ids in _column(scenery, "Load_Balancer", "external_ids")
    ]
    return [*rows, *_column(scenery, "Address_Set", "addresses")]


def _column(scenery: Scenery, table: str, column: str) -> list[Json]:
    text = scenery.nb("--format=json", f"--columns={column}", "list", table)
    return [value for (value,) in json.loads(text)["data"]]


def _bodies(shown: Json, fields: list[str]) -> list[Json]:
    """Updates that change nothing but a name: what Octavia fills in for null asks for nothing."""
    tls = ("tls_ciphers", "tls_versions")
    return [
        {},
        {"name": "new"},
        {name: shown[name] for name in fields if name in shown},
        {name: None for name in tls if name in fields},
    ]


def test_updates_keep_what_they_do_not_name(scenery: Scenery, lb: Json) -> None:
    before = _intent(scenery)
    for key, path_of, text in _OBJECTS:
        path, fields = path_of(scenery), text.split()
        shown = scenery.cloud.octavia("GET", path)[key]
        for body in _bodies(shown, fields):
            _ask(scenery, lb, "PUT", path, **{key: body})

            assert _intent(scenery) == before, (key, body)
        now = scenery.cloud.octavia("GET", path)[key]
        assert {name: now[name] for name in _KEPT if name in now} == {
            name: shown[name] for name in _KEPT if name in shown
        }


def test_timeouts_and_the_members_own_port_are_accepted(scenery: Scenery, lb: Json) -> None:
    before = _intent(scenery)

    _ask(scenery, lb, "PUT", _listener(scenery), listener={"timeout_client_data": 1234})
    own = {"monitor_port": 80, "monitor_address": "10.0.0.77"}
    _ask(scenery, lb, "PUT", _member(scenery), member=own)

    assert _intent(scenery) == before


def _refused(scenery: Scenery, lb: Json, status: int, path: str, **body: Json) -> str:
    before = _intent(scenery)
    with pytest.raises(ApiError) as refusal:
        scenery.cloud.octavia("POST", path, body)
    assert refusal.value.status == status
    scenery.cloud.wait_for(lb["id"])
    assert _intent(scenery) == before
    return refusal.value.text


_NO_MEMBERS = ("127.0.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "10.0.0.255", "10.0.9.9")
_NO_VIPS = ("10.0.9.9", "10.0.0.255", "fd00::9")


def test_addresses_that_nothing_can_have(scenery: Scenery, lb: Json) -> None:
    path = f"{_pool(scenery)}/members"
    for address in (*_NO_MEMBERS, lb["vip_address"]):
        member = {"address": address, "protocol_port": 81, "subnet_id": scenery.web}

        assert address in _refused(scenery, lb, 501, path, member=member)

    subnet = _second_subnet(scenery)
    for address in _NO_VIPS:
        wanted = {"vip_subnet_id": scenery.web, "provider": "ovn"}
        first = {**wanted, "vip_address": address}
        more = {"subnet_id": subnet, "ip_address": address}

        assert address in _refused(scenery, lb, 409, "/loadbalancers", loadbalancer=first)
        wanted["additional_vips"] = [more]
        assert address in _refused(scenery, lb, 409, "/loadbalancers", loadbalancer=wanted)
    scenery.cloud.delete("network", f"/v2.0/subnets/{subnet}")


def _second_subnet(scenery: Scenery) -> str:
    """Make another on the network of the servers; additional VIPs need one."""
    cidr = {"cidr": "10.0.7.0/24", "ip_version": 4, "enable_dhcp": False}
    return str(scenery.cloud.create("subnet", network_id=_network(scenery), **cidr)["id"])


def _network(scenery: Scenery) -> str:
    subnet = scenery.cloud.get("network", f"/v2.0/subnets/{scenery.web}")["subnet"]
    return str(subnet["network_id"])


def test_the_capabilities_are_listed(scenery: Scenery) -> None:
    zones = scenery.cloud.octavia("GET", "/providers/ovn/availability_zone_capabilities")
    flavors = scenery.cloud.octavia("GET", "/providers/ovn/flavor_capabilities")

    assert [each["name"] for each in zones["availability_zone_capabilities"]] == [
        "valid_vip_networks"
    ]
    assert flavors["flavor_capabilities"]


def test_a_zone_restricts_the_networks_of_vips(scenery: Scenery) -> None:
    networks = [_network(scenery)]
    profile = {
        "name": "edge",
        "provider_name": "ovn",
        "availability_zone_data": json.dumps({"valid_vip_networks": networks}),
    }
    made = scenery.cloud.octavia(
        "POST", "/availabilityzoneprofiles", {"availability_zone_profile": profile}
    )["availability_zone_profile"]
    zone = {"name": "edge", "availability_zone_profile_id": made["id"]}
    scenery.cloud.octavia("POST", "/availabilityzones", {"availability_zone": zone})
    other = scenery.cloud.create("network", name="not-of-the-zone")["id"]
    outside = scenery.cloud.create("subnet", network_id=other, cidr="10.77.0.0/24", ip_version=4)

    assert scenery.load_balancer(availability_zone="edge")["provisioning_status"] == "ACTIVE"
    with pytest.raises(ApiError, match="VIP network_id is not allowed"):
        scenery.load_balancer(availability_zone="edge", vip_subnet_id=outside["id"])


def test_layer_seven_that_came_with_a_load_balancer_can_be_deleted(scenery: Scenery) -> None:
    policy = {
        "action": "REJECT",
        "rules": [
            {"type": "PATH", "compare_type": "STARTS_WITH", "value": "/"},
            {"type": "PATH", "compare_type": "STARTS_WITH", "value": "/x"},
        ],
    }
    listener = {"name": "l7", "protocol": "HTTP", "protocol_port": 8080, "l7policies": [policy]}
    wanted = {"vip_subnet_id": scenery.web, "provider": "ovn", "listeners": [listener]}
    made = scenery.cloud.octavia("POST", "/loadbalancers", {"loadbalancer": wanted})
    lb = scenery.cloud.wait_for(made["loadbalancer"]["id"])
    found = _only(scenery, "l7policies")

    _ask(scenery, lb, "DELETE", f"/l7policies/{found['id']}")

    assert scenery.cloud.octavia("GET", "/l7policies")["l7policies"] == []
    scenery.cloud.octavia("DELETE", f"/loadbalancers/{lb['id']}?cascade=true")
    scenery.cloud.wait_for(lb["id"], "DELETED")


def test_two_load_balancers_on_one_port_of_a_user(scenery: Scenery) -> None:
    port = scenery.cloud.create("port", network_id=_network(scenery), name="mine")
    lbs = []
    for _ in range(2):
        wanted = {"vip_port_id": port["id"], "provider": "ovn"}
        made = scenery.cloud.octavia("POST", "/loadbalancers", {"loadbalancer": wanted})
        lbs.append(scenery.cloud.wait_for(made["loadbalancer"]["id"]))
    scenery.listener(lbs[0])
    scenery.listener(lbs[1], protocol_port=81)

    body = {"loadbalancer_id": lbs[1]["id"], "protocol": "TCP", "protocol_port": 80}
    text = _refused(scenery, lbs[1], 409, "/listeners", listener=body)

    assert "TCP port 80" in text
    for lb in lbs:
        scenery.cloud.octavia("DELETE", f"/loadbalancers/{lb['id']}?cascade=true")
        scenery.cloud.wait_for(lb["id"], "DELETED")
    scenery.cloud.delete("network", f"/v2.0/ports/{port['id']}")
