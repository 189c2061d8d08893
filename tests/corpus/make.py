# SPDX-License-Identifier: Apache-2.0
"""Make the corpus: what another driver leaves in the database for each shape of load balancer.

    python -m tests.corpus.make PATH-OF-A-VENV

The virtual environment holds the driver that writes the rows (the corpus was made with
ovn-octavia-provider 11.0.0). Each file holds one load balancer, all tables at one moment:

* `northbound`: the rows of the tables that tell about it, decoded: sets are lists (a set of one
  is the item itself), maps are objects, references are UUIDs;
* `octavia`: the rows of Octavia's tables that led to them, with Octavia's column names;
* `neutron`: networks, subnets, ports, routers and floating IPs.
"""

import json
import pathlib
import sys

from tests.lab import env
from tests.lab.harness import Lab
from tests.scenarios.steps import Project

HERE = pathlib.Path(__file__).parent
TABLES = (
    "Load_Balancer",
    "Load_Balancer_Health_Check",
    "Logical_Switch",
    "Logical_Switch_Port",
    "Logical_Router",
    "Logical_Router_Port",
    "NAT",
)
SHAPES = {}


def shape(function):
    """Register a function that makes one load balancer of a project."""
    SHAPES[function.__name__] = function
    return function


@shape
def load_balancer_only(project, network):
    project.load_balancer(network)


@shape
def tcp(project, network):
    project.serving(network, members=2)


@shape
def tcp_and_udp(project, network):
    lb = project.serving(network)
    lb.pool(lb.listener(53, "UDP"), "UDP").member(network.vm(), 53, subnet_id=network.subnet)


@shape
def two_pools(project, network):
    lb = project.serving(network, members=2)
    pool = lb.pool(lb.listener(443))
    pool.member(network.vm(), 443, subnet_id=network.subnet)


@shape
def two_pools_with_the_same_member(project, network):
    lb = project.serving(network, members=0)
    address = network.vm()
    lb.pools()[0].member(address, 8080, subnet_id=network.subnet)
    lb.pool(lb.listener(443)).member(address, 8080, subnet_id=network.subnet)


@shape
def pool_without_listener(project, network):
    lb = project.load_balancer(network)
    lb.pool().member(network.vm(), subnet_id=network.subnet)


@shape
def disabled_member(project, network):
    lb = project.serving(network, members=2)
    lb.pools()[0].members()[0].update(admin_state_up=False)


@shape
def disabled_pool(project, network):
    project.serving(network, members=2).pools()[0].update(admin_state_up=False)


@shape
def disabled_listener(project, network):
    project.serving(network, members=2).listeners()[0].update(admin_state_up=False)


@shape
def disabled_load_balancer(project, network):
    project.serving(network, members=2).update(admin_state_up=False)


@shape
def health_monitor(project, network):
    lb = project.serving(network, members=2)
    lb.pools()[0].monitor()


@shape
def health_monitor_and_floating_ip(project, network):
    lb = project.serving(network, members=2)
    lb.pools()[0].monitor()
    add_floating_ip(project, lb)


@shape
def floating_ip(project, network):
    add_floating_ip(project, project.serving(network, members=2))


@shape
def additional_vips(project, network):
    second = network.another_subnet("10.250.0.0/24")
    project.serving(network, members=2, additional_vip_subnets=[second])


@shape
def source_ip_persistence(project, network):
    lb = project.load_balancer(network)
    pool = lb.pool(lb.listener(), session_persistence={"type": "SOURCE_IP"})
    pool.member(network.vm(), subnet_id=network.subnet)


@shape
def member_on_another_network(project, network):
    other = project.network()
    router = project.router(other)
    router.connect(project.network())
    project.serving(network).pools()[0].member(other.vm(), subnet_id=other.subnet)


@shape
def ipv6(project, network):
    network = project.network(6)
    project.router(network)
    lb = project.serving(network, members=2)
    lb.pools()[0].monitor()


@shape
def dual_stack(project, network):
    network = project.network(4, 6)
    project.router(network)
    lb = project.serving(network, additional_vip_subnets=[network.subnets[6]])
    subnet = network.subnets[6]
    lb.pools()[0].member(network.vm(subnet), subnet_id=subnet)


def add_floating_ip(project, lb):
    fip = project.floating_ip(lb.vip_port)["floating_ip_address"]
    project.wait(lambda: any(key.startswith(fip) for key in lb.vips()), "the driver has seen it")


def dump(lab):
    """All that the shape has left, as plain data."""
    neutron, octavia = lab.neutron, lab.octavia.store
    return {
        "northbound": lab.nb.snapshot(*TABLES),
        "octavia": {
            table: octavia.find(table)
            for table in ("loadbalancers", "listeners", "pools", "members", "healthmonitors")
        },
        "neutron": {
            table: list(getattr(neutron, table).values())
            for table in ("networks", "subnets", "ports", "routers", "floatingips")
        },
    }


def main():
    venv = sys.argv[1]
    env.isolate_octavia_run_dir()
    for name, make in SHAPES.items():
        with Lab(venv, taps=True) as lab:
            project = Project(lab, check_invariants=False)
            network = project.network()
            project.router(network, external=project.external)
            make(project, network)
            project.quiesce()
            text = json.dumps(dump(lab), indent=1, sort_keys=True)
        (HERE / f"{name}.json").write_text(text + "\n", encoding="utf-8")
        print(name)


if __name__ == "__main__":
    main()
