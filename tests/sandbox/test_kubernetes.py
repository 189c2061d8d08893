# SPDX-License-Identifier: Apache-2.0
"""Services of type LoadBalancer: what Kubernetes' controller asks of Octavia, and packets."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from typing import TYPE_CHECKING

import pytest

from sandbox.chassis import checking
from tests.sandbox.kubernetes import Controller
from tests.sandbox.kubernetes_service import Port, Service
from tests.sandbox.plane import CROWD
from tests.sandbox.test_dataplane_probes import application
from tests.sandbox.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.api import Json
    from sandbox.guests import Guest
    from tests.sandbox.plane import Plane


TCP = Port("TCP", 80, 30080)
UDP = Port("UDP", 80, 30053)
NODES = ("node1", "node2", "node3")
# Octavia allows no shorter delay with UDP-CONNECT.
_SETTINGS = {"delay": 3, "timeout": 1, "max_retries": 1, "max_retries_down": 2}


@pytest.fixture(scope="module")
def nodes(plane: Plane) -> Iterator[list[Guest]]:
    """Three nodes that answer on their node ports, and that no client may reach yet."""
    cloud, guests = plane.cloud, plane.scenery.stack.guests
    group = cloud.create("security_group", name="nodes")["id"]
    made = []
    for name in NODES:
        port = cloud.create("port", network_id=plane.servers, name=name, security_groups=[group])
        made.append(guests.create(cloud, name, port=port["id"]))
        guests.start_server(name, (TCP.node_port, UDP.node_port))
    yield made
    for name in NODES:
        guests.remove(name, cloud)
    cloud.delete("network", f"/v2.0/security-groups/{group}")


@pytest.fixture
def controller(plane: Plane) -> Iterator[Controller]:
    """The controller for the servers' network, as a beginner configures it."""
    controller = Controller(
        cloud=plane.cloud,
        subnet=plane.servers4,
        floating_network=plane.scenery.public,
        monitor=_SETTINGS,
    )
    yield controller
    for lb in plane.cloud.octavia("GET", "/loadbalancers")["loadbalancers"]:
        for service in (WEB, DNS):
            if service.tag in lb["tags"]:
                controller.delete(service, lb)


WEB = Service(name="web", ports=(TCP,))
DNS = Service(name="dns", ports=(UDP,))
BOTH = Service(name="web", ports=(TCP, UDP))


def _address(plane: Plane, lb: Json) -> str:
    """Return the floating IP, once it is served."""
    (found,) = plane.cloud.neutron("floatingips", port_id=lb["vip_port_id"])
    address = str(found["floating_ip_address"])
    plane.await_vip(address)
    return address


def _await_health(plane: Plane, lb: Json, status: str, *names: str) -> None:
    until(lambda: {plane.member_status(lb, name) for name in names} == {status}, seconds=30)
    plane.sync()


def test_a_service_with_tcp_and_udp_on_one_port(
    plane: Plane, controller: Controller, nodes: list[Guest]
) -> None:
    lb = controller.ensure(BOTH, nodes[:2])
    address = _address(plane, lb)

    for kind in ("tcp", "udp"):
        assert set(plane.ask("outside", address, kind=kind)) == {"node1", "node2"}
        assert set(plane.ask("beside", lb["vip_address"], kind=kind)) == {"node1", "node2"}

    # A node joins, one leaves: one batch update of each pool; kept members keep their ids.
    before = _members(plane, lb)
    controller.update(BOTH, lb, nodes[1:])
    after = _members(plane, lb)
    plane.sync()

    assert before.keys() - after.keys() == {("node1", 30080), ("node1", 30053)}
    assert after.keys() - before.keys() == {("node3", 30080), ("node3", 30053)}
    assert all(before[key] == after[key] for key in before.keys() & after.keys())
    for kind in ("tcp", "udp"):
        assert set(plane.ask("outside", address, kind=kind)) == {"node2", "node3"}

    controller.delete(BOTH, lb)
    assert plane.scenery.left_in_nb() == {}
    assert plane.scenery.left_in_neutron() == []


def test_a_node_that_does_not_answer_gets_no_connections(
    plane: Plane, controller: Controller, nodes: list[Guest]
) -> None:
    lb = controller.ensure(WEB, nodes[:2])
    address = _address(plane, lb)
    _await_health(plane, lb, "ONLINE", "node1", "node2")

    # So does kube-proxy with externalTrafficPolicy: Local on a node without a pod.
    plane.scenery.stack.guests.stop_server("node1")
    try:
        _await_health(plane, lb, "ERROR", "node1")
        assert plane.ask("outside", address) == {"node2": 20}
        # The controller does its work on a degraded load balancer, too.
        controller.update(WEB, lb, nodes)
    finally:
        plane.scenery.stack.guests.start_server("node1", (TCP.node_port, UDP.node_port))
    _await_health(plane, lb, "ONLINE", *NODES)
    assert set(plane.ask("outside", address, 40)) == set(NODES)


def test_two_services_share_a_load_balancer_and_the_owner_goes_first(
    plane: Plane, controller: Controller, nodes: list[Guest]
) -> None:
    lb = controller.ensure(WEB, nodes[:2])
    controller.ensure(DNS, nodes[:2], shared=lb["id"])
    address = _address(plane, lb)
    for kind in ("tcp", "udp"):
        assert set(plane.ask("outside", address, kind=kind)) == {"node1", "node2"}

    controller.delete(WEB, lb)
    plane.sync()

    assert set(plane.ask("outside", address, kind="udp")) == {"node1", "node2"}
    assert not {"node1", "node2"} & set(plane.ask("outside", address, 2))
    controller.delete(DNS, lb)
    assert plane.scenery.left_in_nb() == {}
    assert plane.scenery.left_in_neutron() == []


def test_an_ipv6_service_on_the_same_nodes(
    plane: Plane, controller: Controller, nodes: list[Guest]
) -> None:
    service = Service(name="web", ports=(TCP, UDP), version=6)
    six = dataclasses.replace(controller, subnet=plane.servers6)

    lb = six.ensure(service, nodes[:2])
    plane.sync()

    for kind in ("tcp", "udp"):
        for client in ("beside", "behind"):
            answers = set(plane.ask(client, lb["vip_address"], kind=kind))
            assert answers == {"node1", "node2"}
    six.delete(service, lb)


def test_client_ip_affinity_and_source_ranges(
    plane: Plane, controller: Controller, nodes: list[Guest]
) -> None:
    inside, outside = CROWD[:8], CROWD[8:10]
    ranges = tuple(f"{address}/32" for address in inside)
    service = Service(name="web", ports=(TCP,), client_ip=True, source_ranges=ranges)
    lb = controller.ensure(service, nodes)
    address = _address(plane, lb)
    _await_health(plane, lb, "ONLINE", *NODES)

    answers = plane.ask_from(inside, address)

    assert all(len(one) == 1 for one in answers.values())
    assert set().union(*answers.values()) <= set(NODES)
    assert set().union(*plane.ask_from(outside, address, 1).values()) == {"timeout"}


def test_a_service_whose_settings_change(
    plane: Plane, controller: Controller, nodes: list[Guest]
) -> None:
    plain = dataclasses.replace(controller, create_monitor=False)
    lb = plain.ensure(WEB, nodes[:2])
    address = _address(plane, lb)

    hashing = dataclasses.replace(controller, method="SOURCE_IP_PORT")
    hashing.ensure(WEB, nodes[:2])  # the algorithm changes, monitors come
    _await_health(plane, lb, "ONLINE", "node1", "node2")
    slower = dataclasses.replace(hashing, monitor={**_SETTINGS, "delay": 4})
    slower.ensure(BOTH, nodes[:2])  # the monitor changes, a port comes
    plane.sync()
    for kind in ("tcp", "udp"):
        assert set(plane.ask("outside", address, kind=kind)) == {"node1", "node2"}

    plain = dataclasses.replace(slower, create_monitor=False)
    plain.ensure(DNS_ALONE, nodes[:2])  # a port goes, monitors go
    plane.sync()

    assert set(plane.ask("outside", address, kind="udp")) == {"node1", "node2"}
    assert not {"node1", "node2"} & set(plane.ask("outside", address, 2))


DNS_ALONE = dataclasses.replace(BOTH, ports=(UDP,))


LOCAL = dataclasses.replace(BOTH, health_check_node_port=32080)


@pytest.fixture
def patched(plane: Plane, controller: Controller) -> Iterator[Controller]:
    """The controller with the patch, in a cloud whose chassis check members."""
    with checking(plane.scenery.stack):
        yield dataclasses.replace(controller, http_monitors=True)
        for lb in plane.cloud.octavia("GET", "/loadbalancers")["loadbalancers"]:
            controller.delete(LOCAL, lb)


@pytest.fixture
def kube_proxies(plane: Plane, nodes: list[Guest]) -> Iterator[None]:
    """What answers at the healthCheckNodePort."""
    with contextlib.ExitStack() as running:
        for name in NODES:
            kind, port = "http", LOCAL.health_check_node_port
            running.enter_context(application(plane, name, kind, port))
        yield


def _have_pods(plane: Plane, *names: str) -> None:
    """Have some nodes have ready pods, and the others none."""
    for name in NODES:
        url = f"http://127.0.0.1:{LOCAL.health_check_node_port}"
        code = 200 if name in names else 503
        plane.scenery.stack.guests.run(name, ("curl", "-s", f"{url}/set/{code}"))


@pytest.mark.usefixtures("kube_proxies")
def test_external_traffic_policy_local(
    plane: Plane, patched: Controller, nodes: list[Guest]
) -> None:
    """Nodes without a pod get nothing, of UDP neither, though their node ports are open."""
    _have_pods(plane, "node1")
    lb = patched.ensure(LOCAL, nodes[:2])
    address = _address(plane, lb)
    _await_served(plane, lb, "node1")
    before = _members(plane, lb)
    for kind in ("tcp", "udp"):
        assert plane.ask("outside", address, kind=kind) == {"node1": 20}

    # OVN 26.03 breaks those of clients of a floating IP when their member leaves.
    with plane.connection("behind", lb["vip_address"]) as held:
        assert held.ask() == "node1"
        _have_pods(plane, "node2", "node3")
        patched.update(LOCAL, lb, nodes)
        _await_served(plane, lb, "node2", "node3")
        for kind in ("tcp", "udp"):
            assert set(plane.ask("outside", address, 40, kind=kind)) == {"node2", "node3"}
        assert held.ask() == "node1"
    assert _members(plane, lb).items() > before.items()

    # The policy becomes Cluster, and Local again: other monitors, the same members.
    members = _members(plane, lb)
    patched.ensure(BOTH, nodes)
    assert _types(plane, lb) == {"TCP", "UDP-CONNECT"}
    _await_served(plane, lb, *NODES)
    patched.ensure(LOCAL, nodes)
    assert _types(plane, lb) == {"HTTP"}
    _await_served(plane, lb, "node2", "node3")
    assert _members(plane, lb) == members


def _await_served(plane: Plane, lb: Json, *names: str) -> None:
    """Wait until all VIPs lead to some nodes and to no others."""
    addresses = {plane.scenery.stack.guests.get(name).address(4) for name in names}

    def served() -> list[set[str]]:
        rows = plane.scenery.nb(
            "--format=json", "--columns=vips", "find", "Load_Balancer", f"name={lb['id']}"
        )
        found = [value for ((_, vips),) in json.loads(rows)["data"] for _, value in vips]
        return [{one.rpartition(":")[0] for one in value.split(",")} for value in found]

    until(lambda: all(found == addresses for found in served()), seconds=30)
    plane.sync()


def _types(plane: Plane, lb: Json) -> set[str]:
    """Return the types of a load balancer's monitors."""
    listed = plane.cloud.octavia("GET", f"/healthmonitors?project_id={lb['project_id']}")
    return {one["type"] for one in listed["healthmonitors"]}


def _members(plane: Plane, lb: Json) -> dict[tuple[str, int], str]:
    """Return the ids by name and port."""
    pools = plane.cloud.octavia("GET", f"/pools?loadbalancer_id={lb['id']}")["pools"]
    return {
        (member["name"], member["protocol_port"]): member["id"]
        for pool in pools
        for member in plane.cloud.octavia("GET", f"/pools/{pool['id']}/members")["members"]
    }
