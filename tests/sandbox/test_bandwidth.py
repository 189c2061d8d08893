# SPDX-License-Identifier: Apache-2.0
"""Where a QoS policy limits the traffic of a load balancer, and where it does not."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sandbox import namespaces, network
from sandbox.api import ApiError
from tests.sandbox.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.api import Json
    from sandbox.stack import Stack
    from tests.sandbox.plane import Plane

_BULK = str(Path(__file__).with_name("bulk.py"))
_PORT = 8100
LIMIT = 1000
"""Kilobits per second."""
MOST = 2 * LIMIT
"""With what bursts add."""
LEAST = 5 * LIMIT
"""Without a limit; hundreds of times as much, unless the machine is very busy."""


@pytest.fixture(scope="module")
def bulk(plane: Plane) -> Iterator[None]:
    """Have the server `one` send and take much."""
    words = namespaces.command(
        plane.scenery.stack.guests.get("one").namespace,
        (sys.executable, _BULK, "serve", str(_PORT)),
    )
    with subprocess.Popen(words) as process:
        try:
            yield
        finally:
            process.kill()


@pytest.fixture(scope="module")
def policy(plane: Plane) -> str:
    """Make a policy that limits both directions."""
    made = plane.cloud.post("network", "/v2.0/qos/policies", {"policy": {"name": "slow"}})
    policy = str(made["policy"]["id"])
    for direction in ("ingress", "egress"):
        rule = {"max_kbps": LIMIT, "max_burst_kbps": LIMIT // 10, "direction": direction}
        path = f"/v2.0/qos/policies/{policy}/bandwidth_limit_rules"
        plane.cloud.post("network", path, {"bandwidth_limit_rule": rule})
    return policy


@pytest.fixture
def lb(plane: Plane, bulk: None) -> Json:
    listener = plane.listener(plane.member("one", protocol_port=_PORT))
    return plane.load_balancer(listener)


def speed(plane: Plane, client: str, address: str, direction: str) -> int:
    """Measure kilobits per second."""
    words = (sys.executable, _BULK, direction, address, "80", "1.5")
    return int(plane.scenery.stack.guests.run(client, words))


@contextlib.contextmanager
def limited(plane: Plane, kind: str, object_id: str, policy: str) -> Iterator[None]:
    """While a port or floating IP has the policy."""
    path, key = f"/v2.0/{kind}s/{object_id}", kind
    plane.cloud.put("network", path, {key: {"qos_policy_id": policy}})
    plane.sync()
    try:
        yield
    finally:
        plane.cloud.put("network", path, {key: {"qos_policy_id": None}})
        plane.sync()


@contextlib.contextmanager
def floating_ips(plane: Plane, *, distributed: bool) -> Iterator[None]:
    """While Neutron distributes floating IPs, or does not; the sandbox's does."""
    stack = plane.scenery.stack
    file = stack.settings.etc / "ml2_conf.ini"
    before = file.read_text()
    after = before.replace("floating_ip = True", f"floating_ip = {distributed}")
    if before == after:
        yield
        return
    try:
        _restart_neutron(stack, after)
        yield
    finally:
        _restart_neutron(stack, before)


def _restart_neutron(stack: Stack, configuration: str) -> None:
    (stack.settings.etc / "ml2_conf.ini").write_text(configuration)
    stack.stop("neutron")
    settings = stack.settings
    until(lambda: network.is_free(settings.host, settings.ports["neutron"]))
    stack.start("neutron")


@pytest.mark.parametrize("distributed", [True, False], ids=["distributed", "at the gateway"])
def test_a_policy_of_the_floating_ip_limits_clients_outside_if_it_is_not_distributed(
    plane: Plane, lb: Json, policy: str, *, distributed: bool
) -> None:
    with floating_ips(plane, distributed=distributed):
        address = plane.floating_ip(lb["vip_port_id"])
        plane.await_vip(address)
        (fip,) = plane.cloud.neutron("floatingips", floating_ip_address=address)

        assert speed(plane, "crowd", address, "up") > LEAST
        with limited(plane, "floatingip", fip["id"], policy):
            for direction in ("up", "down"):
                assert (speed(plane, "crowd", address, direction) < MOST) is not distributed
                assert speed(plane, "beside", lb["vip_address"], direction) > LEAST


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_policy_of_a_members_port_limits_all_clients(
    plane: Plane, lb: Json, policy: str, direction: str
) -> None:
    port = plane.scenery.stack.guests.get("one").port_id
    with limited(plane, "port", port, policy):
        assert speed(plane, "beside", lb["vip_address"], direction) < MOST
    assert speed(plane, "beside", lb["vip_address"], direction) > LEAST


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_policy_of_the_vip_port_has_no_effect(
    plane: Plane, lb: Json, policy: str, direction: str
) -> None:
    """That is why it is refused."""
    with limited(plane, "port", lb["vip_port_id"], policy):
        assert speed(plane, "beside", lb["vip_address"], direction) > LEAST


def test_octavia_refuses_it(plane: Plane, policy: str) -> None:
    with pytest.raises(ApiError) as refusal:
        plane.load_balancer(vip_qos_policy_id=policy)
    assert refusal.value.status == 501
    assert "give a QoS policy to" in refusal.value.text

    lb = plane.load_balancer()
    with pytest.raises(ApiError) as refusal:
        update(plane, lb, vip_qos_policy_id=policy)
    assert refusal.value.status == 501
    ports = plane.cloud.neutron("ports")
    assert policy not in {each["qos_policy_id"] for each in ports}


def update(plane: Plane, lb: Json, **values: object) -> None:
    plane.cloud.octavia("PUT", f"/loadbalancers/{lb['id']}", {"loadbalancer": values})
    plane.cloud.wait_for(lb["id"])


def test_the_users_own_port_keeps_its_policy(plane: Plane, policy: str) -> None:
    """Octavia shows it, and takes it off when it is asked to."""
    port = plane.port(plane.servers4)["id"]
    plane.cloud.put("network", f"/v2.0/ports/{port}", {"port": {"qos_policy_id": policy}})

    def shown() -> object:
        return plane.cloud.get("network", f"/v2.0/ports/{port}")["port"]["qos_policy_id"]

    try:
        lb = plane.load_balancer(vip_port_id=port)
        assert lb["vip_qos_policy_id"] == policy
        update(plane, lb, vip_qos_policy_id=policy, name="renamed")
        assert shown() == policy
        update(plane, lb, vip_qos_policy_id=None)
        until(lambda: shown() is None)
    finally:
        plane.scenery.delete_load_balancers()
        plane.cloud.delete("network", f"/v2.0/ports/{port}")
