# SPDX-License-Identifier: Apache-2.0
"""Gratuitous ARP and unsolicited neighbor advertisements: which MAC a source's address has.

Neutron may give the port of a subnet the address of a port that is gone, with another MAC. OVN
answers ARP for members, so they do not see that the source asks for them, and they send answers to
the MAC that they remember: up to a minute (measured), in which their checks fail.
"""

from __future__ import annotations

import ipaddress
import socket
import struct

from octavia_ovn.core.probing.spec import Source

_BROADCAST = b"\xff" * 6
_ARP = 0x0806
_ARP_HEADER = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 2)
"""Ethernet, IPv4, the lengths of their addresses; a reply."""
_ALL_NODES = "ff02::1"
_ADVERTISEMENT = struct.pack("!BBHI", 136, 0, 0, 0x20000000)
"""Type, code, checksum (the kernel's), the flag "override"."""
_LINK_ADDRESS = b"\x02\x01"
_HOPS = 255
"""Neighbor discovery ignores packets that a router may have passed on."""


def announce(device: str, source: Source) -> None:
    """Tell all neighbors the MAC of a source; those that do not know its address ignore it.

    :param device: in the namespace of this thread
    :raises OSError: when it cannot be sent
    """
    address = ipaddress.ip_interface(source.address).ip
    mac = bytes.fromhex(source.mac.replace(":", ""))
    if isinstance(address, ipaddress.IPv4Address):
        _arp(device, mac, address.packed)
    else:
        _advertisement(device, mac, address)


def _arp(device: str, mac: bytes, address: bytes) -> None:
    frame = _BROADCAST + mac + struct.pack("!H", _ARP)
    frame += _ARP_HEADER + mac + address + mac + address
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as peer:
        peer.bind((device, _ARP))
        peer.send(frame)


def _advertisement(device: str, mac: bytes, address: ipaddress.IPv6Address) -> None:
    index = socket.if_nametoindex(device)
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as peer:
        peer.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, _HOPS)
        peer.bind((str(address), 0))
        body = _ADVERTISEMENT + address.packed + _LINK_ADDRESS + mac
        peer.sendto(body, (_ALL_NODES, 0, 0, index))
