# SPDX-License-Identifier: Apache-2.0
"""Short ways to write load balancers, rows and topologies in tests."""

import dataclasses

from octavia_ovn.core import model
from octavia_ovn.core.desired.load_balancer import Facts, desired
from octavia_ovn.core.health import Health, HealthState
from octavia_ovn.core.request.record import rows_of
from octavia_ovn.core.rows import Row
from octavia_ovn.core.topology import Attachments, RouterPort

VIP = "10.0.0.100"
NETWORK, SUBNET = "net1", "sub1"
NOWHERE = Attachments(frozenset(), frozenset(), {}, None)


def vip(address=VIP, **fields):
    return model.Vip(address, "vip-port", **{"subnet_id": SUBNET, "network_id": NETWORK, **fields})


def member(number=1, **fields):
    given = {"address": f"10.0.0.{number}", "port": 80, "subnet_id": SUBNET, **fields}
    return model.Member(id=f"m{number}", **given)


def pool(pool_id="p1", members=(), **fields):
    given = {"protocol": model.Protocol.TCP, "algorithm": model.Algorithm.SOURCE_IP_PORT, **fields}
    return model.Pool(id=pool_id, members=tuple(members), **given)


def listener(listener_id="l1", port=80, pool_id="p1", **fields):
    given = {"protocol": model.Protocol.TCP, **fields}
    return model.Listener(id=listener_id, port=port, pool_id=pool_id, **given)


def monitor(kind="TCP", **fields):
    return model.HealthMonitor("hm1", model.MonitorType(kind), 5, 3, 4, 2, **fields)


def balancer(listeners=(), pools=(), vips=None, **fields):
    return model.LoadBalancer(
        id="lb1", vips=vips or (vip(),), listeners=tuple(listeners), pools=tuple(pools), **fields
    )


def web(*members, **fields):
    """A load balancer with one listener and one pool."""
    return balancer([listener()], [pool(members=members, **fields)])


def facts(**given):
    return Facts(**{"attachments": NOWHERE, **given})


def health(up=(), down=(), unchecked=(), unreachable=()):
    """Verdicts: addresses whose checks have answered and failed; members by number for the rest."""
    backends = {(address, 80, "tcp"): HealthState.UP for address in up}
    backends |= {(address, 80, "tcp"): HealthState.DOWN for address in down}
    members = {f"m{number}": HealthState.UNCHECKED for number in unchecked}
    members |= {f"m{number}": HealthState.UNREACHABLE for number in unreachable}
    return Health(backends, members)


def render(lb, existing=(), **given):
    return desired(lb, tuple(existing), facts(**given))


def vips(lb, **given):
    """All vips of all rows."""
    return {key: each for row in render(lb, **given) for key, each in row.vips.items()}


def stored(lb, existing=(), **given):
    """The rows as they are once written: every row and check has a uuid."""
    return settle(render(lb, existing, **given))


def settle(rows):
    return tuple(
        dataclasses.replace(
            row,
            uuid=row.uuid or f"row{number}",
            health_checks=tuple(
                dataclasses.replace(check, uuid=check.uuid or f"check{check.vip}")
                for check in row.health_checks
            ),
        )
        for number, row in enumerate(rows)
    )


def recorded(lb):
    """The rows as the driver writes them, before any agent has seen them."""
    return settle(rows_of(lb, ()))


def row(**fields):
    given = {"name": "lb1", "protocol": "tcp", "external_ids": {"neutron:vip": VIP}, "uuid": "u1"}
    return Row(**{**given, **fields})


class Cloud:
    """A topology written down: router → {switch: network in CIDR form}."""

    def __init__(self, routers=None, provider=(), gateways=None, switches=(), fips=None):
        self._ports = [
            RouterPort(f"lrp-{router}-{switch}", router, switch, networks)
            for router, interfaces in (routers or {}).items()
            for switch, networks in interfaces.items()
        ] + [
            RouterPort(f"gw-{router}", router, switch, networks, gateway=True)
            for router, (switch, networks) in (gateways or {}).items()
        ]
        self._provider = frozenset(provider)
        self._switches = frozenset(switches) | {port.switch for port in self._ports}
        self._fips = fips or {}

    def has_switch(self, switch):
        return switch in self._switches

    def has_router(self, router):
        return any(port.router == router for port in self._ports)

    def is_provider(self, switch):
        return switch in self._provider

    def ports_on_switch(self, switch):
        return [port for port in self._ports if port.switch == switch]

    def ports_of_router(self, router):
        return [port for port in self._ports if port.router == router]

    def floating_ip(self, port_id, address):
        return self._fips.get((port_id, address))
