# SPDX-License-Identifier: Apache-2.0
"""A load balancer with its surroundings, all well, to be broken by tests.

Networks net1 (VIP, members, the client `near`) and net2 (the client `far`) are on router r1, whose
gateway is on the provider network ext; net3 is on no router.
"""

import dataclasses

from octavia_ovn.core import model
from octavia_ovn.core.diagnosis.acls import Acl
from octavia_ovn.core.diagnosis.findings import Severity
from octavia_ovn.core.diagnosis.path import Client, paths
from octavia_ovn.core.diagnosis.snapshot import ObjectStatus, Port, Snapshot, Switch
from octavia_ovn.core.diagnosis.trace import explain
from octavia_ovn.core.health import Health, HealthState
from octavia_ovn.core.pending import Kind
from octavia_ovn.core.topology import Attachments, FloatingIp, RouterPort, Subnet
from tests.core.builders import (
    SUBNET,
    VIP,
    balancer,
    listener,
    member,
    monitor,
    pool,
    stored,
)

FIP = "172.24.4.9"
FIPS = {VIP: FIP}
NET1, NET2, NET3, EXT, R1 = (f"neutron-{each}" for each in ("net1", "net2", "net3", "ext", "r1"))
DROP = "neutron_pg_drop"
GROUP = "pg_web"
ATTACHED = Attachments(frozenset({NET1, NET2}), frozenset({R1}), {NET1: 3}, R1)
LB = balancer([listener()], [pool(members=[member(1), member(2)])])
CHECKED = balancer([listener()], [pool(members=[member(1), member(2)], monitor=monitor())])
NEAR, FAR, ALONE, OUTSIDE = "near", "far", "alone", "172.24.4.200"


def port(name, switch, *ips, **fields):
    given = {"chassis": "host1", "groups": frozenset({DROP, GROUP}), "uuid": name, **fields}
    return Port(name, f"{name}-name", switch, ips=ips, **given)


def answering(**fields):
    return port("vip-port", NET1, VIP, addresses=(f"fa:16:3e:00:00:01 {VIP}",), **fields)


PORTS = (
    port("vip-port", NET1, VIP, chassis="", groups=frozenset()),
    port("one", NET1, "10.0.0.1"),
    port("two", NET1, "10.0.0.2"),
    port(NEAR, NET1, "10.0.0.7"),
    port(FAR, NET2, "10.0.1.7"),
    port(ALONE, NET3, "10.0.3.7"),
    port("r1-net1", NET1, type="router", groups=frozenset()),
    port("r1-net2", NET2, type="router", groups=frozenset()),
    port("r1-ext", EXT, type="router", groups=frozenset()),
    dataclasses.replace(port("hm", NET1, "10.0.0.250"), label=f"ovn-lb-hm-{SUBNET}"),
)
ACLS = (
    Acl(DROP, "from-lport", 1001, f"inport == @{DROP} && ip", "drop"),
    Acl(DROP, "to-lport", 1001, f"outport == @{DROP} && ip", "drop", owner="no rule allows it"),
    Acl(GROUP, "from-lport", 1002, f"inport == @{GROUP} && ip4", "allow-related"),
    Acl(GROUP, "to-lport", 1002, f"outport == @{GROUP} && ip4 && tcp", "allow-related"),
)
RESTRICTED = Acl(
    "pg_cidrs", "from-lport", 2000, f"ip4.dst == {VIP} && ip4.src != 10.9.0.0/16", "drop"
)
GUARDED = [
    dataclasses.replace(each, groups=frozenset({"pg_cidrs"}))
    for each in PORTS
    if each.type == "router"
]


def snapshot(lb=LB, *, fips=None, mappings=None, **fields):
    """Return a snapshot in which everything is well."""
    fips = {} if fips is None else fips
    rows = stored(lb, attachments=ATTACHED, floating_ips=fips, mappings=mappings or {})
    given = {
        "rows": rows,
        "intent": lb,
        "octavia": lb,
        "subnets": {
            SUBNET: Subnet(SUBNET, "net1", "10.0.0.0/24"),
            "sub3": Subnet("sub3", "net3", "10.0.3.0/24"),
        },
        "switches": {
            NET1: Switch(NET1, "net1-name"),
            NET2: Switch(NET2),
            NET3: Switch(NET3, "net3-name"),
            EXT: Switch(EXT, "ext-name", "physnet1"),
        },
        "routers": {R1: "r1-name"},
        "router_ports": (
            RouterPort("lrp-r1-net1", R1, NET1, ("10.0.0.254/24",)),
            RouterPort("lrp-r1-net2", R1, NET2, ("10.0.1.254/24",)),
            RouterPort("lrp-r1-ext", R1, EXT, ("172.24.4.1/24",), gateway=True),
        ),
        "gateway_chassis": {"lrp-r1-ext": "host2"},
        "ports": {each.name: each for each in PORTS},
        "floating_ips": {
            vip: FloatingIp(fip, vip, "vip-port", R1, "fip1") for vip, fip in fips.items()
        },
        "acls": ACLS,
        "statuses": {(Kind.LOAD_BALANCER, "lb1"): ObjectStatus("web", "ACTIVE", "ONLINE")},
        **fields,
    }
    return Snapshot("lb1", **given)


MAPPINGS = {"10.0.0.1": "one:10.0.0.250", "10.0.0.2": "two:10.0.0.250"}


def checked(*down, lb=CHECKED, mappings=MAPPINGS, members=None, **fields):
    """Return a snapshot with a health monitor, some members of which are dead."""
    backends = {(address, 80, "tcp"): HealthState.DOWN for address in down}
    health = Health(backends, members or {})
    return snapshot(lb, mappings=mappings, **{"health": health, **fields})


def with_ports(found, *ports, without=()):
    """Return a snapshot with other ports."""
    known = {key: each for key, each in found.ports.items() if key not in without}
    return dataclasses.replace(found, ports=known | {each.name: each for each in ports})


def with_rows(found, **values):
    """Return a snapshot whose rows have other columns."""
    rows = tuple(dataclasses.replace(row, **values) for row in found.rows)
    return dataclasses.replace(found, rows=rows)


def client(found, name):
    """Return a client: a port by its name, or an address outside."""
    sender = found.ports.get(name)
    return Client(sender.ips, sender) if sender else Client((name,))


def trace(found, name=NEAR, address=None, port=None):
    """Explain the path of a client to the one listener."""
    (path,) = paths(found, client(found, name), address, port)
    return explain(path)


def faults(explanation):
    """Return the findings that stop the packet."""
    return [each for _, each in explanation.findings if each.severity is Severity.FAULT]


def one(name):
    """Return a member on net1, as a server that has no port of its own yet."""
    return model.Member("m9", name, 80, SUBNET)


def no_groups(*names):
    return [
        dataclasses.replace(each, groups=frozenset({DROP})) for each in PORTS if each.name in names
    ]


def down(*names):
    return [dataclasses.replace(each, enabled=False) for each in PORTS if each.name in names]


def unbound(*names):
    return [dataclasses.replace(each, chassis="") for each in PORTS if each.name in names]
