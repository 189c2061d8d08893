# SPDX-License-Identifier: Apache-2.0
"""Neutron's marks on rows of the Northbound database, and the names of the drivers' Neutron ports.

Neutron's ML2/OVN driver writes `neutron:…` keys into the external_ids of its rows. This is the only
place that knows how they are spelled; what it takes are plain mappings and strings, so the agent's
replica and a `select` are read by the same functions.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping, Sized

from octavia_ovn.core.dependencies import Resource
from octavia_ovn.core.ip import canonical_address
from octavia_ovn.core.topology import FloatingIp, RouterPort, Subnet, switch_name

ExternalIds = Mapping[str, str]

NETWORK = "neutron:network_name"
"""Of switches the network's name for people, of ports the switch."""
ROUTER = "neutron:router_name"
"""Of routers the name for people, of their ports and NAT rows the router."""
PORT = "neutron:port_name"
CIDRS = "neutron:cidrs"
DEVICE_OWNER = "neutron:device_owner"
FIP_PORT = "neutron:fip_port_id"
PHYSICAL_NETWORK = "neutron:provnet-physical-network"
DROP_GROUP = "neutron_pg_drop"
"""The port group whose ACLs drop what no security group allows."""
NAT_COLUMNS = ("type", "external_ip", "logical_ip", "external_mac", "external_ids")
"""The arguments of :func:`floating_ip`."""
_FLOATING_IP = "dnat_and_snat"

VIP_OWNERS = ("", "ovn-lb:vip")
"""Owners of VIP ports: this driver's and those of `ovn-octavia-provider`."""
HM_OWNER = "ovn-lb-hm:distributed"
HM_OWNERS = (HM_OWNER, "network:distributed")
"""Owners of health monitor ports: this driver's and those of `ovn-octavia-provider`."""
LIVE_OWNER = "ovn-lb-live:client"
"""Owner of the ports that `octavia-ovn trace --live` sends packets from."""

_PREFIX = switch_name("")
_VIP = "ovn-lb-vip-"
_HM = "ovn-lb-hm-"
_SOURCES = {
    Resource.MONITORED: (_HM, _HM),
    Resource.PROBED: ("ovn-lb-probe-", f"{_HM}probe-"),
}
"""The ports that members are checked from: by whom → what name and device_id begin with. With such
a device_id, Neutron's port is bound on each chassis."""
_LIVE = "ovn-lb-live-"
_DEVICE = "lb-"
_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def is_uuid(text: str) -> bool:
    """Whether a text is an id as OpenStack's services spell it."""
    return _UUID.fullmatch(text) is not None


# --- rows


def row_name(reference: str) -> str:
    """Return the name of a switch's or router's row; some references lack the prefix."""
    return _PREFIX + object_id(reference)


def object_id(reference: str) -> str:
    """Return the id in Neutron of a network or router that a row is named after."""
    return reference.removeprefix(_PREFIX)


def spellings(names: Iterable[str]) -> frozenset[str]:
    """Return all that references to the rows of some switches or routers may look like."""
    return frozenset(each for name in names for each in (name, object_id(name)))


def switch(external_ids: ExternalIds) -> str:
    """Return the name of the switch that a port is on; empty for ports that are not Neutron's."""
    return row_name(external_ids[NETWORK]) if NETWORK in external_ids else ""


def router_port(name: str, networks: Iterable[str], external_ids: ExternalIds) -> RouterPort | None:
    """Return the interface that a Logical_Router_Port is; None for one that is not Neutron's.

    :param networks: the addresses, as `10.0.0.1/24`
    """
    if NETWORK not in external_ids or ROUTER not in external_ids:
        return None
    ordered = tuple(sorted(networks))
    return RouterPort(
        name=name,
        router=row_name(external_ids[ROUTER]),
        switch=row_name(external_ids[NETWORK]),
        networks=ordered,
        gateway=external_ids.get("neutron:is_ext_gw", "").lower() == "true",
        subnets=tuple(_subnets(ordered, external_ids)),
    )


def _subnets(networks: tuple[str, ...], external_ids: ExternalIds) -> Iterator[Subnet]:
    """Yield the subnet of an interface. Of several, the set has lost which address is in which."""
    ids = subnet_ids(external_ids)
    if len(ids) == len(networks) == 1:
        cidr = str(ipaddress.ip_interface(networks[0]).network)
        yield Subnet(ids[0], object_id(external_ids[NETWORK]), cidr)


def subnet_ids(external_ids: ExternalIds) -> tuple[str, ...]:
    """Return the ids of the subnets in which a router's interface has an address."""
    return tuple(external_ids.get("neutron:subnet_ids", "").split())


def port_addresses(external_ids: ExternalIds) -> tuple[str, ...]:
    """Return the addresses of a switch port, in their canonical spelling."""
    return tuple(_addresses(external_ids.get(CIDRS, "")))


def _addresses(cidrs: str) -> Iterator[str]:
    for each in cidrs.split():
        with contextlib.suppress(ValueError):
            yield canonical_address(each.partition("/")[0])


def port_mac(addresses: Iterable[str]) -> str:
    """Return the MAC address in a switch port's addresses; empty when there is none.

    :param addresses: such as `fa:16:3e:00:00:07 10.0.0.7`, and `unknown`
    """
    words = (each.split() for each in sorted(addresses))
    return next((each[0] for each in words if len(each) > 1), "")


def port_project(external_ids: ExternalIds) -> str:
    """Return the id of the project that a switch port belongs to."""
    return external_ids.get("neutron:project_id", "")


def probed_subnet(external_ids: ExternalIds) -> str | None:
    """Return the subnet whose members chassis may probe from a switch port; None for others."""
    return hm_subnet(
        external_ids.get(PORT, ""),
        external_ids.get("neutron:device_id", ""),
        external_ids.get(DEVICE_OWNER, ""),
        Resource.PROBED,
    )


def monitored_subnet(external_ids: ExternalIds) -> str | None:
    """Return the subnet whose members OVN may check from a switch port; None for other ports."""
    name = external_ids.get(PORT, "")
    ours = is_hm_port(
        name, external_ids.get("neutron:device_id", ""), external_ids.get(DEVICE_OWNER, "")
    )
    return name.removeprefix(_HM) if ours else None


def security_group(external_ids: ExternalIds) -> str:
    """Return the id of the security group that a port group or an ACL belongs to, or nothing."""
    return external_ids.get("neutron:security_group_id", "")


def floating_ip(
    kind: str, external_ip: str, logical_ip: str, external_mac: Sized, external_ids: ExternalIds
) -> FloatingIp | None:
    """Return the floating IP that a NAT row is of; None for a row of another kind."""
    if kind != _FLOATING_IP or not external_ids.get(FIP_PORT):
        return None
    return FloatingIp(
        address=external_ip,
        logical_ip=logical_ip,
        port_id=external_ids[FIP_PORT],
        router=row_name(external_ids.get(ROUTER, "")),
        id=external_ids.get("neutron:fip_id", ""),
        distributed=bool(external_mac),
    )


# --- ports of load balancers


def device_id(lb_id: str) -> str:
    """Return the device_id of the VIP ports of a load balancer."""
    return _DEVICE + lb_id


def vip_port_name(lb_id: str, index: int | None = None) -> str:
    """Return the name of a VIP port.

    :param index: 1, 2, … for additional VIPs
    """
    return f"{_VIP}{lb_id}" if index is None else f"{_VIP}additional-{index}-{lb_id}"


def vip_port_owner(name: str, device: str) -> str | None:
    """Return the load balancer whose VIP a port is for by both name and device; else None."""
    lb_id = device.removeprefix(_DEVICE)
    return lb_id if device == device_id(lb_id) and _is_vip_port_name(name, lb_id) else None


def is_vip_port(name: str, device: str, owner: str, lb_id: str) -> bool:
    """Whether this driver or `ovn-octavia-provider` made a port for a load balancer's VIP.

    The latter gave its ports names but at first no device.
    """
    known_device = device in ("", device_id(lb_id))
    return known_device and owner in VIP_OWNERS and _is_vip_port_name(name, lb_id)


def _is_vip_port_name(name: str, lb_id: str) -> bool:
    # The id is read from the name: a row can be named so that it completes that of another port.
    found = re.fullmatch(rf"{_VIP}(?:additional-\d+-)?(.+)", name)
    return found is not None and found[1] == lb_id


def hm_port_name(subnet_id: str, kind: Resource = Resource.MONITORED) -> str:
    """Return the name of the port that a subnet's members are checked from.

    :param kind: MONITORED when OVN checks them, PROBED when chassis do
    """
    return _SOURCES[kind][0] + subnet_id


def hm_device(subnet_id: str, kind: Resource = Resource.MONITORED) -> str:
    """Return the device_id of that port."""
    return _SOURCES[kind][1] + subnet_id


def live_device(chassis: str) -> str:
    """Return name and device_id of the ports that live traces on a chassis send packets from."""
    return _LIVE + chassis


def is_hm_port(name: str, device: str, owner: str) -> bool:
    """Whether this driver or `ovn-octavia-provider` made a port for OVN's health checks.

    The latter gave its ports names but at first no device.
    """
    return name.startswith(_HM) and owner in HM_OWNERS and device in ("", name)


def hm_subnet(
    name: str, device: str, owner: str, kind: Resource = Resource.MONITORED
) -> str | None:
    """Return the subnet that a health monitor port of this driver belongs to; else None."""
    named, _ = _SOURCES[kind]
    subnet_id = name.removeprefix(named)
    ours = name.startswith(named) and owner == HM_OWNER and device == hm_device(subnet_id, kind)
    return subnet_id if ours else None
