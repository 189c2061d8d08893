# SPDX-License-Identifier: Apache-2.0
"""Paths of packets: from a client to an address and a listener."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from octavia_ovn.core import codec, ip, model
from octavia_ovn.core.desired.serving import eligible
from octavia_ovn.core.diagnosis.snapshot import Port, Snapshot
from octavia_ovn.core.topology import FloatingIp, RouterPort


@dataclass(frozen=True, slots=True)
class Client:
    """The sender: a port of the cloud, or addresses outside of it (`port` is None)."""

    addresses: tuple[str, ...]
    port: Port | None = None

    @property
    def title(self) -> str:
        """Words for people."""
        addresses = ", ".join(self.addresses)
        return f"port {self.port.title}, {addresses}" if self.port else f"{addresses}, outside"


@dataclass(frozen=True, slots=True)
class Path:
    """A packet from a client to a listener.

    :param source: the client's address
    :param vip: the VIP that is meant, also by its floating IP
    :param destination: the VIP's address or its floating IP
    :param listener: None when there is none on that port
    """

    snapshot: Snapshot
    lb: model.LoadBalancer
    client: Client
    source: str
    vip: model.Vip
    destination: str
    port: int
    listener: model.Listener | None

    @property
    def pool(self) -> model.Pool | None:
        """The pool that the listener hands packets to."""
        return self.lb.pool(self.listener.pool_id) if self.listener else None

    @property
    def protocol(self) -> str:
        """Of the listener, in OVN's spelling."""
        return self.listener.protocol.value if self.listener else model.Protocol.TCP.value

    @property
    def key(self) -> str:
        """The entry of `vips` that serves it."""
        return codec.endpoint(self.destination, self.port)

    @property
    def backends(self) -> tuple[str, ...]:
        """The backends in `vips`, as `address:port`."""
        rows = [each for each in self.snapshot.rows if each.protocol == self.protocol]
        return codec.endpoints(next((r.vips[self.key] for r in rows if self.key in r.vips), ""))

    @property
    def members(self) -> tuple[model.Member, ...]:
        """The members that should serve, each once."""
        if self.pool is None or not self.pool.enabled:
            return ()
        version, health = ip.family(self.destination), self.snapshot.health
        return tuple(dict.fromkeys(eligible(self.lb.flavor, self.pool, version, health)))

    @property
    def serving(self) -> tuple[model.Member, ...]:
        """The members that do serve: those in the entry of `vips`."""
        pool = self.pool
        named = set(self.backends)
        return tuple(
            each
            for each in (pool.members if pool else ())
            if codec.endpoint(each.address, each.port) in named
        )

    @property
    def vip_switch(self) -> str:
        """The switch of the VIP's network, empty when it is not known."""
        return self.snapshot.switch_of(self.vip) or ""

    @property
    def client_switch(self) -> str:
        """The client's switch, empty outside."""
        return self.client.port.switch if self.client.port else ""

    @property
    def floating_ip(self) -> FloatingIp | None:
        """The floating IP that the client uses, if it uses one."""
        found = self.snapshot.floating_ips.get(self.vip.address)
        return found if found and found.address == self.destination else None

    @property
    def is_inside(self) -> bool:
        """Whether the client is on the VIP's network or behind a router that leads there."""
        return bool(
            self.client_switch
            and not self.snapshot.is_provider(self.client_switch)
            and (self.client_switch == self.vip_switch or self.routers)
        )

    @property
    def routers(self) -> tuple[str, ...]:
        """The routers between the client's network and the VIP's."""
        return tuple(dict.fromkeys(self.snapshot.connecting(self.client_switch, self.vip_switch)))

    @property
    def entry_routers(self) -> tuple[str, ...]:
        """The routers at which a client outside comes in.

        One with IPv4 and IPv6 has two interfaces on the VIP's network.
        """
        if self.floating_ip is not None:
            return (self.floating_ip.router,)
        here = self.snapshot.ports_on_switch(self.vip_switch)
        return tuple(dict.fromkeys(each.router for each in here))

    @property
    def gateways(self) -> tuple[RouterPort, ...]:
        """The gateway ports at which a client outside comes in."""
        return tuple(
            port
            for router in self.entry_routers
            for port in self.snapshot.ports_of_router(router)
            if port.gateway
        )

    @property
    def entries(self) -> tuple[RouterPort, ...]:
        """The routers' interfaces that packets of the client come in by.

        Those of a client on the VIP's own network, too: it is a router that answers for the VIP.
        """
        if not self.is_inside:
            return self.gateways
        here = self.snapshot.ports_on_switch(self.client_switch)
        return tuple(each for each in here if not each.gateway and each.router in self.routers)


class NoPath(ValueError):
    """There is nothing to follow; the message says why."""


def paths(
    snapshot: Snapshot, client: Client, address: str | None = None, port: int | None = None
) -> tuple[Path, ...]:
    """Return the ways of a client to a load balancer: one for each listener.

    :param address: a VIP or floating IP; by default the one that such a client would use
    :param port: only listeners on this port
    :raises NoPath: when the load balancer has no such address, or nothing is known of it
    """
    lb = snapshot.lb
    if lb is None:
        msg = f"Neither the Northbound database nor Octavia says what {snapshot.lb_id} is."
        raise NoPath(msg)
    vip, destination, source = _ends(snapshot, lb, client, address)
    listeners = [each for each in lb.listeners if port in (None, each.port)]
    listeners.sort(key=lambda each: (each.port, each.protocol.value))
    return tuple(
        Path(snapshot, lb, client, source, vip, destination, listener.port, listener)
        for listener in listeners
    ) or (Path(snapshot, lb, client, source, vip, destination, port or 0, None),)


def _ends(
    snapshot: Snapshot, lb: model.LoadBalancer, client: Client, address: str | None
) -> tuple[model.Vip, str, str]:
    """Return VIP, destination and source: the first pair of one IP version."""
    options = [
        (vip, each, source)
        for vip, each in _addresses(snapshot, lb, client)
        for source in client.addresses
        if address in (None, each) and ip.family(each) == ip.family(source)
    ]
    if options:
        return options[0]
    if address is None:
        msg = f"No VIP has an address of the IP version of {', '.join(client.addresses)}."
        raise NoPath(msg)
    known = ", ".join(each for _, each in _addresses(snapshot, lb, client))
    msg = f"The load balancer has no address {address} that {client.title} can use; it has {known}."
    raise NoPath(msg)


def _addresses(
    snapshot: Snapshot, lb: model.LoadBalancer, client: Client
) -> Iterator[tuple[model.Vip, str]]:
    """Yield all addresses, first those that such a client would use."""
    vips = [(vip, vip.address) for vip in lb.vips]
    fips = [
        (vip, snapshot.floating_ips[vip.address].address)
        for vip in lb.vips
        if vip.address in snapshot.floating_ips
    ]
    yield from (fips + vips) if _is_outside(snapshot, lb, client) else (vips + fips)


def _is_outside(snapshot: Snapshot, lb: model.LoadBalancer, client: Client) -> bool:
    if client.port is None or snapshot.is_provider(client.port.switch):
        return True
    homes = {snapshot.switch_of(vip) for vip in lb.vips}
    here = client.port.switch
    return here not in homes and not any(
        list(snapshot.connecting(here, home)) for home in homes if home
    )
