"""Requests as clients send them to a real Octavia, which changes some on their way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sandbox.api import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sandbox.api import Json
    from tests.sandbox.scenery import Scenery

pytestmark = pytest.mark.sandbox

_ALLOWED = ["10.0.0.0/24", "192.0.2.0/24"]


@pytest.fixture(scope="module")
def lb(scenery: Scenery) -> Iterator[Json]:
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
    yield made
    scenery.delete_load_balancers()


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


_OBJECTS: dict[str, tuple[str, Callable[[Scenery], str], str]] = {
    "listener": (
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
    "pool": (
        "pool",
        _pool,
        (
            "name description admin_state_up lb_algorithm session_persistence tls_enabled"
            " tls_ciphers tls_versions tls_container_ref ca_tls_container_ref crl_container_ref"
            " tags"
        ),
    ),
    "member": (
        "member",
        _member,
        "name admin_state_up weight backup monitor_address monitor_port tags",
    ),
    "health monitor": (
        "healthmonitor",
        _monitor,
        "name admin_state_up delay timeout max_retries max_retries_down tags",
    ),
}


def _intent(scenery: Scenery) -> str:
    """What the rows say of the load balancer, and whom they keep out."""
    rows = scenery.nb("--columns=external_ids,vips,selection_fields", "list", "Load_Balancer")
    return rows + scenery.nb("--columns=addresses", "list", "Address_Set")


@pytest.mark.parametrize("kind", _OBJECTS)
@pytest.mark.parametrize("what", ["nothing", "a name", "all that is shown", "null for TLS"])
def test_an_update_keeps_what_it_does_not_name(
    scenery: Scenery, lb: Json, kind: str, what: str
) -> None:
    key, path_of, text = _OBJECTS[kind]
    fields = text.split()
    path = path_of(scenery)
    shown = scenery.cloud.octavia("GET", path)[key]
    bodies: dict[str, Any] = {
        "nothing": {},
        "a name": {"name": "new"},
        "all that is shown": {name: shown[name] for name in fields if name in shown},
        "null for TLS": {name: None for name in ("tls_ciphers", "tls_versions") if name in fields},
    }
    before = _intent(scenery)

    _ask(scenery, lb, "PUT", path, **{key: bodies[what]})

    assert _intent(scenery) == before
    now = scenery.cloud.octavia("GET", path)[key]
    assert {**now, "name": "", "updated_at": ""} == {
        **shown,
        "name": "",
        "updated_at": "",
        **{name: now[name] for name in ("tls_ciphers", "tls_versions") if name in now},
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


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "10.0.0.255", "10.0.9.9"]
)
def test_addresses_that_no_member_can_have(scenery: Scenery, lb: Json, address: str) -> None:
    member = {"address": address, "protocol_port": 81, "subnet_id": scenery.web}

    assert address in _refused(scenery, lb, 501, f"{_pool(scenery)}/members", member=member)


def test_the_vip_is_no_member(scenery: Scenery, lb: Json) -> None:
    member = {"address": lb["vip_address"], "protocol_port": 81}

    text = _refused(scenery, lb, 501, f"{_pool(scenery)}/members", member=member)

    assert "is a VIP of this load balancer" in text


@pytest.mark.parametrize("address", ["10.0.9.9", "10.0.0.255", "fd00::9"])
def test_addresses_that_no_vip_can_have(scenery: Scenery, lb: Json, address: str) -> None:
    wanted = {"vip_subnet_id": scenery.web, "vip_address": address, "provider": "ovn"}

    assert address in _refused(scenery, lb, 409, "/loadbalancers", loadbalancer=wanted)
    wanted = {
        "vip_subnet_id": scenery.web,
        "provider": "ovn",
        "additional_vips": [{"subnet_id": scenery.office, "ip_address": address}],
    }
    assert address in _refused(scenery, lb, 409, "/loadbalancers", loadbalancer=wanted)


def test_the_capabilities_are_listed(scenery: Scenery) -> None:
    zones = scenery.cloud.octavia("GET", "/providers/ovn/availability_zone_capabilities")
    flavors = scenery.cloud.octavia("GET", "/providers/ovn/flavor_capabilities")

    assert zones["availability_zone_capabilities"] == []
    assert flavors["flavor_capabilities"]


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
    network = scenery.cloud.get("network", f"/v2.0/subnets/{scenery.web}")["subnet"]["network_id"]
    port = scenery.cloud.create("port", network_id=network, name="mine")
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
