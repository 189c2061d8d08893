# SPDX-License-Identifier: Apache-2.0
"""One probe of each type. Its caller bounds its time, by cancelling it."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import re
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator, Mapping

from octavia_ovn.adapters.probing import http
from octavia_ovn.adapters.probing.outcome import verdict
from octavia_ovn.adapters.probing.streams import Stream, TlsStream
from octavia_ovn.core.model import MonitorType
from octavia_ovn.core.probing.spec import Probe

MakeSocket = Callable[[int, int], Awaitable[socket.socket]]
"""Makes a socket of a type and protocol that sends from the probe's source, without blocking."""

_SILENCE = 1.0
"""Seconds without an answer after which a UDP port counts as open, as by the `nc -uz -w1` of
Octavia's amphorae; the timeout of the probe if that is shorter."""
_ECHO = {4: (socket.IPPROTO_ICMP, 8, 0), 6: (socket.IPPROTO_ICMPV6, 128, 129)}
"""IP version → protocol, type of an echo request, type of its reply."""
_ECHO_HEADER = struct.Struct("!BBHHH")
_LONGEST = 2048
_LABEL = r"(?!-)[0-9A-Za-z_-]{1,63}(?<!-)"
_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_MOST_OF_NAME = 253


async def check(probe: Probe, make: MakeSocket) -> int | None:
    """Probe a member.

    :returns: the weight that it says; None if it says none
    :raises Failed: when the member does not answer as it should
    :raises NotDone: when the probe cannot be made
    """
    return await _CHECKS[probe.type](probe, make)


@contextlib.contextmanager
def _closing(peer: socket.socket) -> Iterator[socket.socket]:
    try:
        yield peer
    finally:
        peer.close()


async def _tcp(probe: Probe, make: MakeSocket) -> None:
    with _closing(await make(socket.SOCK_STREAM, 0)) as peer:
        await Stream(peer).connect(probe.address, probe.port)


async def _http(probe: Probe, make: MakeSocket) -> int | None:
    with _closing(await make(socket.SOCK_STREAM, 0)) as peer:
        stream = Stream(peer)
        await stream.connect(probe.address, probe.port)
        return await http.ask(stream, probe)


async def _tls(probe: Probe, make: MakeSocket) -> None:
    with _closing(await make(socket.SOCK_STREAM, 0)) as peer:
        await (await _handshake(probe, peer)).flush()


async def _https(probe: Probe, make: MakeSocket) -> int | None:
    with _closing(await make(socket.SOCK_STREAM, 0)) as peer:
        return await http.ask(await _handshake(probe, peer), probe)


async def _handshake(probe: Probe, peer: socket.socket) -> TlsStream:
    stream = Stream(peer)
    await stream.connect(probe.address, probe.port)
    tls = TlsStream(stream, server_name(probe.domain_name))
    await tls.handshake()
    return tls


def server_name(domain: str | None) -> str | None:
    """Return the name for SNI, in which no address and no port may stand; None for none."""
    if domain is None or len(domain) > _MOST_OF_NAME or not _NAME.fullmatch(domain):
        return None
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(domain)
        return None
    return domain


async def _udp(probe: Probe, make: MakeSocket) -> None:
    loop = asyncio.get_running_loop()
    with _closing(await make(socket.SOCK_DGRAM, 0)) as peer:
        try:
            peer.connect((probe.address, probe.port))  # which does not wait: it is UDP
            await loop.sock_sendall(peer, b"\n")
            await asyncio.wait_for(
                loop.sock_recv(peer, _LONGEST), min(_SILENCE, probe.timeout * 0.9)
            )
        except asyncio.TimeoutError:
            return
        except OSError as error:
            raise verdict(error) from error


async def _ping(probe: Probe, make: MakeSocket) -> None:
    version = ipaddress.ip_address(probe.address).version
    protocol, request, reply = _ECHO[version]
    loop = asyncio.get_running_loop()
    identity, number = struct.unpack("!HH", os.urandom(4))
    payload = os.urandom(16)
    with _closing(await make(socket.SOCK_RAW, protocol)) as peer:
        try:
            # The kernel passes on what this member sends, nothing else.
            peer.connect((probe.address, 0))
            await loop.sock_sendall(peer, _echo(request, identity, number, payload))
            while True:
                data = await loop.sock_recv(peer, _LONGEST)
                answer = data[(data[0] & 0xF) * 4 :] if version == 4 and data else data  # noqa: PLR2004 - IP
                if _is_reply(answer, reply, identity, number, payload):
                    return
                await asyncio.sleep(0)  # a flood must not keep other probes waiting
        except OSError as error:
            raise verdict(error) from error


def _echo(kind: int, identity: int, number: int, payload: bytes) -> bytes:
    blank = _ECHO_HEADER.pack(kind, 0, 0, identity, number) + payload
    return _ECHO_HEADER.pack(kind, 0, _checksum(blank), identity, number) + payload


def _is_reply(data: bytes, kind: int, identity: int, number: int, payload: bytes) -> bool:
    if len(data) < _ECHO_HEADER.size:
        return False
    found, code, _, *rest = _ECHO_HEADER.unpack_from(data)
    wanted = (kind, 0, [identity, number], payload)
    return (found, code, rest, data[_ECHO_HEADER.size :]) == wanted


def _checksum(data: bytes) -> int:
    """Return the Internet checksum; that of ICMPv6 is the kernel's."""
    total: int = sum(word for (word,) in struct.iter_unpack("!H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


_CHECKS: Mapping[MonitorType, Callable[[Probe, MakeSocket], Awaitable[int | None]]] = {
    MonitorType.TCP: _tcp,
    MonitorType.HTTP: _http,
    MonitorType.HTTPS: _https,
    MonitorType.TLS_HELLO: _tls,
    MonitorType.PING: _ping,
    MonitorType.UDP_CONNECT: _udp,
}
