# SPDX-License-Identifier: Apache-2.0
"""The load balancer of docs/operators/show-and-trace.md, as `octavia-ovn show` read it.

`python -m tests.project.shop` draws its picture again.
"""

from pathlib import Path

from octavia_ovn.cli import picture
from octavia_ovn.core.diagnosis.shown import Address, Node, Overview, Place, State
from octavia_ovn.core.pending import Kind
from octavia_ovn.core.rows import ROUTER, SWITCH

PICTURE = Path(__file__).parents[2] / "docs/operators/show-and-trace/shop.svg"
GATEWAY = "neutron-34318f17-fda5-4631-b05a-c3614e02c7dd"
OFFICE = "neutron-106728da-8d08-481c-89fd-45ac30989e09"
WEB = "neutron-3cf6fea9-195c-4c09-997f-23b534d15f8e"
PUBLIC = "neutron-f5b8ac8e-5b55-4786-90d3-8ea308d3e239"


def _node(kind, object_id, name, details, octavia, ovn, state, *children):
    return Node(kind, object_id, name, details, f"ACTIVE {octavia}", ovn, state, children=children)


MONITOR = _node(
    Kind.HEALTH_MONITOR,
    "0b3a1a44-3f1c-4f0e-9c39-0d1f64bd7f5b",
    "alive",
    "TCP, every 1 s",
    "ONLINE",
    "checks",
    State.GOOD,
)
SERVERS = _node(
    Kind.POOL,
    "15c08861-070b-49ae-b40e-90918df31a8d",
    "servers",
    "TCP, SOURCE_IP_PORT",
    "DEGRADED",
    "2 members",
    State.ATTENTION,
    MONITOR,
    _node(
        Kind.MEMBER,
        "4934b292-5659-42b1-aca6-b264182bd707",
        "web2",
        "10.0.0.114:80, weight 3, web",
        "ONLINE",
        "up",
        State.GOOD,
    ),
    _node(
        Kind.MEMBER,
        "76e03077-238a-4e92-81dd-45ddecb9608a",
        "web1",
        "10.0.0.204:80, web",
        "ERROR",
        "down",
        State.BAD,
    ),
)
RESOLVERS = _node(
    Kind.POOL,
    "3028cf61-6209-4cd4-9515-3c98593b5dca",
    "resolvers",
    "UDP, SOURCE_IP",
    "ONLINE",
    "2 members",
    State.GOOD,
    _node(
        Kind.MEMBER,
        "de645eca-53ae-4f49-829b-937b3ab8336e",
        "web2",
        "10.0.0.114:53, weight 3, web",
        "OFFLINE",
        "disabled",
        State.OFF,
    ),
    _node(
        Kind.MEMBER,
        "e1932f81-9872-4de6-a68b-edc37068c669",
        "web1",
        "10.0.0.204:53, web",
        "NO_MONITOR",
        "not checked",
        State.GOOD,
    ),
)
SHOP = Overview(
    root=_node(
        Kind.LOAD_BALANCER,
        "4071304c-52c5-4582-b513-eeeb95c0558c",
        "shop",
        "",
        "DEGRADED",
        "4 entries in vips",
        State.ATTENTION,
        _node(
            Kind.LISTENER,
            "dbdd8df8-4ec7-4007-9da9-defe7a421e0b",
            "http",
            "TCP 80",
            "DEGRADED",
            "10.0.0.87:80, 172.24.4.132:80",
            State.ATTENTION,
            SERVERS,
        ),
        _node(
            Kind.LISTENER,
            "713266ae-82df-42ee-b98a-f9735ccc95a4",
            "dns",
            "UDP 53",
            "ONLINE",
            "10.0.0.87:53, 172.24.4.132:53",
            State.GOOD,
            RESOLVERS,
        ),
    ),
    addresses=(
        Address(
            address="10.0.0.87",
            floating_ip="172.24.4.132",
            port="ovn-lb-vip-4071304c-52c5-4582-b513-eeeb95c0558c"
            " (69a22e54-a820-4f10-8b5e-ee7db2a87be4)",
            network="web",
            switch=WEB,
        ),
    ),
    places=(
        Place(ROUTER, GATEWAY, "gateway", "", attached=True, wanted=True),
        Place(SWITCH, OFFICE, "office", "clients", True, True, (GATEWAY,)),
        Place(SWITCH, WEB, "web", "VIP", True, True, (GATEWAY,)),
        Place(SWITCH, PUBLIC, "public", "outside", False, False, (GATEWAY,)),
    ),
    notes=(),
)

if __name__ == "__main__":
    PICTURE.write_text(picture.svg(SHOP), encoding="utf-8")
