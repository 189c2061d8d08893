# SPDX-License-Identifier: Apache-2.0
"""VIPs on networks without a router: a responder answers for them."""

import pytest

from octavia_ovn.core.desired import responder
from tests.lab.ovsdb import as_list, delete, mutate, omap, ref, update


class Responder:
    """What the database has of the responder of a network."""

    def __init__(self, project, network):
        self._nb = project.lab.nb
        self._project = project
        self._names = responder.names(network.name)
        self._network = network

    def rows(self):
        """Its router, its ports on the router and on the switch."""
        return tuple(
            self._nb.select(table, [["name", "==", name]])
            for table, name in (
                ("Logical_Router", self._names.router),
                ("Logical_Router_Port", self._names.router_port),
                ("Logical_Switch_Port", self._names.switch_port),
            )
        )

    @property
    def exists(self):
        return any(self.rows())

    def networks(self):
        """What it answers for; nothing unless all of it is as it must be."""
        routers, router_ports, switch_ports = self.rows()
        (switch,) = self._nb.select("Logical_Switch", [["name", "==", self._network.name]])
        complete = (
            len(routers) == len(router_ports) == len(switch_ports) == 1
            and as_list(routers[0]["ports"]) == [router_ports[0]["_uuid"]]
            and switch_ports[0]["_uuid"] in as_list(switch["ports"])
            and switch_ports[0]["type"] == "router"
            and as_list(switch_ports[0]["addresses"]) == ["router"]
            and switch_ports[0]["options"] == {"router-port": self._names.router_port}
        )
        return set(as_list(router_ports[0]["networks"])) if complete else set()

    def becomes(self, *networks):
        self._project.wait(lambda: self.networks() == set(networks), f"it answers for {networks}")

    def goes(self):
        self._project.wait(lambda: not self.exists, "the responder is gone")

    def delete(self, part):
        """Delete a part of it, as another client."""
        if part == "router":
            self._nb.transact(delete("Logical_Router", [["name", "==", self._names.router]]))
            return
        _, _, (switch_port,) = self.rows()
        self._nb.transact(
            mutate(
                "Logical_Switch",
                [["name", "==", self._network.name]],
                ("ports", "delete", ref(switch_port["_uuid"])),
            )
        )

    def spoil(self, part):
        """Change a part of it, as another client."""
        table, name, columns = {
            "networks": (
                "Logical_Router_Port",
                self._names.router_port,
                {"networks": "10.9.9.9/8"},
            ),
            "addresses": ("Logical_Switch_Port", self._names.switch_port, {"addresses": "unknown"}),
            "mark": (
                "Logical_Switch_Port",
                self._names.switch_port,
                {"external_ids": omap({}), "addresses": "unknown"},
            ),
        }[part]
        self._nb.transact(update(table, [["name", "==", name]], columns))


def test_comes_and_goes_with_the_load_balancer(project):
    network = project.network(4, 6)
    found = Responder(project, network)
    lb = project.serving(network, additional_vip_subnets=[network.subnets[6]])

    (additional,) = lb.row["additional_vips"]
    found.becomes(f"{lb.vip}/24", f"{additional['ip_address']}/64")
    assert lb.is_on(network)
    assert "lr_ref" not in lb.external_ids()

    lb.delete(cascade=True)
    assert not found.exists


def test_is_shared_by_all_load_balancers_of_a_network(project):
    network = project.network()
    found = Responder(project, network)
    low, high = sorted((network.port(), network.port()), key=address)
    first = project.serving(network, vip_port_id=low["id"], vip_address=address(low))
    found.becomes(f"{address(low)}/24")

    project.serving(network, vip_port_id=high["id"], vip_address=address(high))
    found.becomes(f"{address(low)}/24", f"{address(high)}/32")

    first.delete(cascade=True)
    found.becomes(f"{address(high)}/24")


def address(port):
    return port["fixed_ips"][0]["ip_address"]


def test_leaves_when_a_router_comes_and_returns_when_it_goes(project):
    network, other = project.network(), project.network()
    router = project.router(other)
    found = Responder(project, network)
    lb = project.serving(network)
    found.becomes(f"{lb.vip}/24")

    router.connect(network)
    project.settled(lb)
    found.goes()
    assert lb.is_on(network, other, router)
    assert lb.external_ids()["lr_ref"] == router.name

    router.disconnect(network)
    project.settled(lb)
    found.becomes(f"{lb.vip}/24")
    assert lb.is_off(other, router)


def test_is_not_needed_on_a_network_with_a_router(project):
    network = project.network()
    project.router(network)
    project.serving(network)

    assert not Responder(project, network).exists


def test_is_none_on_a_provider_network(project):
    network = project.network(physical_network="isolated")
    project.serving(network)
    project.quiesce()

    assert not Responder(project, network).exists


def test_goes_while_the_load_balancer_is_switched_off(project):
    network = project.network()
    found = Responder(project, network)
    lb = project.serving(network)

    lb.update(admin_state_up=False)
    found.goes()
    lb.update(admin_state_up=True)
    found.becomes(f"{lb.vip}/24")


@pytest.mark.parametrize("part", ["router", "switch port"])
def test_is_created_again_when_another_client_deletes_a_part(project, part):
    network = project.network()
    found = Responder(project, network)
    lb = project.serving(network)
    project.quiesce()

    found.delete(part)

    found.becomes(f"{lb.vip}/24")
    project.look_again()


@pytest.mark.parametrize("part", ["networks", "addresses", "mark"])
def test_is_repaired_when_another_client_changes_a_part(project, part):
    network = project.network()
    found = Responder(project, network)
    lb = project.serving(network)
    project.quiesce()

    found.spoil(part)

    found.becomes(f"{lb.vip}/24")


def test_goes_when_the_rows_of_the_load_balancer_are_lost(project):
    network = project.network()
    found = Responder(project, network)
    lb = project.serving(network)
    project.quiesce()

    project.lab.nb.transact(delete("Load_Balancer", [["name", "==", lb.id]]))
    found.goes()

    octavia = project.lab.octavia
    assert octavia.finish(octavia.failover_load_balancer(lb.id)) is not None
    found.becomes(f"{lb.vip}/24")


def test_its_router_port_answers_no_client_on_other_networks(project):
    networks = project.network(), project.network()
    lbs = [project.serving(network) for network in networks]

    for network, lb in zip(networks, lbs, strict=True):
        Responder(project, network).becomes(f"{lb.vip}/24")
