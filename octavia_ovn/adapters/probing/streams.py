# SPDX-License-Identifier: Apache-2.0
"""Connections to members, with and without TLS, in an event loop.

Nothing that a member sends is kept but what is being read, and all that it may send is bounded.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from octavia_ovn.adapters.probing.outcome import Failed, verdict

_PIECE = 16384
_MOST = 1 << 18
"""Bytes that are read from a connection: head of an answer, TLS and certificates included."""
_APART = ThreadPoolExecutor(2, "probe-tls")
"""For handshakes. A member can choose a group that costs 0.1 s of computing, and the loop has other
probes to run meanwhile."""
_RESET = struct.pack("ii", 1, 0)


class Stream:
    """A TCP connection to a member.

    It ends with RST, as HAProxy's checks do: neither end keeps the connection in its tables.

    :param peer: not yet connected, without blocking
    """

    def __init__(self, peer: socket.socket) -> None:
        self._peer = peer
        self._loop = asyncio.get_running_loop()
        self._left = _MOST

    async def connect(self, address: str, port: int) -> None:
        """Connect.

        :raises Failed: when the member does not accept
        :raises NotDone: when this host cannot try
        """
        self._peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        try:
            await self._loop.sock_connect(self._peer, (address, port))
        except OSError as error:
            raise verdict(error) from error

    async def read(self) -> bytes:
        """Return the next bytes; none at the end.

        :raises Failed: when the member breaks the connection, or sends too much
        """
        if self._left <= 0:
            raise Failed(f"the answer is longer than {_MOST >> 10} KiB")
        try:
            data = await self._loop.sock_recv(self._peer, _PIECE)
        except OSError as error:
            raise verdict(error) from error
        self._left -= len(data)
        return data

    async def write(self, data: bytes) -> None:
        """Send.

        :raises Failed: when the member breaks the connection
        """
        try:
            await self._loop.sock_sendall(self._peer, data)
        except OSError as error:
            raise verdict(error) from error


class TlsStream:
    """TLS over a connection; certificates are not verified, as Octavia's amphorae do not.

    :param name: the name that is asked for (SNI); None for none
    """

    def __init__(self, stream: Stream, name: str | None) -> None:
        self._stream = stream
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = _CONTEXT.wrap_bio(self._incoming, self._outgoing, server_hostname=name)

    async def handshake(self) -> None:
        """Complete the handshake.

        :raises Failed: when the member does not
        """
        loop = asyncio.get_running_loop()
        while await loop.run_in_executor(_APART, self._shaken) is None:
            await self._more()
        await self._flush()

    async def read(self) -> bytes:
        """Return the next bytes; none at the end.

        :raises Failed: when the member breaks the connection, or sends too much
        """
        while (done := self._received()) is None:
            await self._more()
        await self._flush()
        return done

    async def write(self, data: bytes) -> None:
        """Send.

        :raises Failed: when the member breaks the connection
        """
        self._tls.write(data)
        await self._flush()

    async def _more(self) -> None:
        """Read what the next step needs."""
        await self._flush()
        data = await self._stream.read()
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def _shaken(self) -> bytes | None:
        def step() -> bytes:
            self._tls.do_handshake()
            return b""

        return _result(step, "TLS handshake")

    def _received(self) -> bytes | None:
        def step() -> bytes:
            try:
                return self._tls.read(_PIECE)
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""

        return _result(step, "TLS")

    async def _flush(self) -> None:
        data = self._outgoing.read()
        if data:
            await self._stream.write(data)


def _result(step: Callable[[], bytes], what: str) -> bytes | None:
    """Return the result of a step; None when it needs more."""
    try:
        return step()
    except ssl.SSLWantReadError:
        return None
    except ssl.SSLError as error:
        reason = (error.reason or "the connection was closed").replace("_", " ").lower()
        raise Failed(f"{what} failed: {reason}") from error


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.options |= ssl.OP_NO_RENEGOTIATION
    # It is asked whether the member answers, not whether it does so by good cryptography.
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    # But a finite field of the member's choice would cost this thread half a second of its time.
    context.set_ciphers("DEFAULT:!kDHE:!kDHEPSK:!kSRP:@SECLEVEL=0")
    return context


_CONTEXT = _context()
