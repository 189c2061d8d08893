# SPDX-License-Identifier: Apache-2.0
"""Synthetic scale: fills an NB database in raw batches."""

import contextlib
import shutil
import uuid

from tests.lab import ovsdb
from tests.lab.env import Env
from tests.lab.ovsdb import named, omap, oset

BATCH = 1000


def load(client, ports, ports_per_network=100, ports_per_router=500, nats_per_router=10):
    """Insert networks, ports, routers and NATs shaped like Neutron's.

    These exist in OVN only; the fake Neutron knows nothing about them.
    """
    for first in range(0, ports, ports_per_network):
        _network(client, first // ports_per_network, min(ports_per_network, ports - first))
    for number in range(-(-ports // ports_per_router)):
        _router(client, number, nats_per_router)


def make(path, ports, base=None):
    """Write an NB file with that many ports.

    :param base: what is in it besides
    """
    with Env(nb_template=base) as env:
        with contextlib.closing(env.nb.connect()) as client:
            load(client, ports)
        env.nb.stop()
        shutil.move(env.nb.path, path)


def _network(client, number, ports):
    network = f"neutron-{uuid.uuid4()}"
    client.transact(
        ovsdb.insert(
            "Logical_Switch",
            {
                "name": network,
                "external_ids": omap(
                    {
                        "neutron:network_name": f"scale-{number}",
                        "neutron:mtu": "1442",
                        "neutron:revision_number": "1",
                    }
                ),
            },
        )
    )
    for first in range(0, ports, BATCH):
        names = [f"p{i}" for i in range(first, min(first + BATCH, ports))]
        operations = [
            ovsdb.insert("Logical_Switch_Port", _port_row(network, number, index + first), name)
            for index, name in enumerate(names)
        ]
        operations.append(
            ovsdb.mutate(
                "Logical_Switch",
                [["name", "==", network]],
                ["ports", "insert", oset(named(name) for name in names)],
            )
        )
        client.transact(*operations)


def _port_row(network, number, index):
    address = f"10.{number // 250}.{number % 250}.{index + 2}"
    mac = f"0a:00:{number // 256:02x}:{number % 256:02x}:00:{index % 256:02x}"
    return {
        "name": str(uuid.uuid4()),
        "addresses": f"{mac} {address}",
        "port_security": f"{mac} {address}",
        "enabled": True,
        "up": True,
        "options": omap({"requested-chassis": f"compute-{index % 100}"}),
        "external_ids": omap(
            {
                "neutron:port_name": "",
                "neutron:device_id": str(uuid.uuid4()),
                "neutron:project_id": "c0ffee00c0ffee00c0ffee00c0ffee00",
                "neutron:cidrs": f"{address}/24",
                "neutron:device_owner": "compute:nova",
                "neutron:subnet_pool_addr_scope4": "",
                "neutron:subnet_pool_addr_scope6": "",
                "neutron:network_name": network,
                "neutron:security_group_ids": str(uuid.uuid4()),
                "neutron:revision_number": "4",
                "neutron:vnic_type": "normal",
                "neutron:port_capabilities": "",
                "neutron:mtu": "",
            }
        ),
    }


def _router(client, number, nats):
    name = f"neutron-{uuid.uuid4()}"
    operations = [
        ovsdb.insert(
            "NAT",
            {
                "type": "dnat_and_snat",
                "logical_ip": f"10.{number // 250}.{number % 250}.{index + 2}",
                "external_ip": f"172.{16 + number // 250}.{number % 250}.{index}",
                "external_ids": omap(
                    {
                        "neutron:fip_id": str(uuid.uuid4()),
                        "neutron:fip_port_id": str(uuid.uuid4()),
                        "neutron:router_name": name,
                    }
                ),
            },
            f"n{index}",
        )
        for index in range(nats)
    ]
    operations.append(
        ovsdb.insert(
            "Logical_Router_Port",
            {
                "name": f"lrp-{uuid.uuid4()}",
                "mac": f"0a:01:00:00:{number // 256:02x}:{number % 256:02x}",
                "networks": f"10.{number // 250}.{number % 250}.1/24",
                "external_ids": omap({"neutron:router_name": name, "neutron:is_ext_gw": "False"}),
            },
            "lrp",
        )
    )
    operations.append(
        ovsdb.insert(
            "Logical_Router",
            {
                "name": name,
                "enabled": True,
                "nat": oset(named(f"n{index}") for index in range(nats)),
                "ports": oset([named("lrp")]),
                "external_ids": omap(
                    {"neutron:router_name": f"scale-{number}", "neutron:revision_number": "1"}
                ),
            },
        )
    )
    client.transact(*operations)
