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
"""For handshakes that may be expensive: a member can choose a group that costs 0.1 s of computing,
and the loop has other probes to run meanwhile."""
_ORDINARY = 4096
"""Bytes of a member in an ordinary handshake at most: longer keys have longer certificates."""
_RANDOM = slice(11, 43)
"""Where a ServerHello has its random number, behind the heads of record and message."""
_RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
"""What stands there if it asks for another group (RFC 8446, 4.1.3)."""
_SESSION, _TLS13 = 43, b"\x13"
"""Where the length of the session's id stands, before the cipher; how those of TLS 1.3 begin."""
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
        """Complete the handshake; what remains to be sent then waits for :meth:`flush`.

        :raises Failed: when the member does not
        """
        loop = asyncio.get_running_loop()
        done, received, ordinary = self._shaken(), 0, False
        while done is None:
            data = await self._more()
            ordinary = _is_ordinary(data) if not received else ordinary
            received += len(data)
            if ordinary and received <= _ORDINARY:
                # A change of threads costs nearly as much.
                done = self._shaken()
            else:
                done = await loop.run_in_executor(_APART, self._shaken)

    async def read(self) -> bytes:
        """Return the next bytes; none at the end.

        :raises Failed: when the member breaks the connection, or sends too much
        """
        while (done := self._received()) is None:
            await self._more()
        await self.flush()
        return done

    async def write(self, data: bytes) -> None:
        """Send.

        :raises Failed: when the member breaks the connection
        """
        self._tls.write(data)
        await self.flush()

    async def flush(self) -> None:
        """Send what waits.

        :raises Failed: when the member breaks the connection
        """
        data = self._outgoing.read()
        if data:
            await self._stream.write(data)

    async def _more(self) -> bytes:
        """Read what the next step needs, and return it."""
        await self.flush()
        data = await self._stream.read()
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()
        return data

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


def _is_ordinary(data: bytes) -> bool:
    """Whether an answer begins with a ServerHello of TLS 1.3 for the group that was offered.

    Then all that costs is the key in the certificate. TLS 1.2 has a group of the member's choice.
    """
    record = data[: 5 + int.from_bytes(data[3:5], "big")]
    if record[:2] != b"\x16\x03" or record[5:6] != b"\x02" or len(record) <= _SESSION:
        return False
    cipher = _SESSION + 1 + record[_SESSION]
    return record[cipher : cipher + 1] == _TLS13 and record[_RANDOM] != _RETRY


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
