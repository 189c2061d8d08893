# SPDX-License-Identifier: Apache-2.0
"""Members that want to keep the thread of all probes busy."""

import asyncio
import socket
import ssl
import time

import pytest

from octavia_ovn.adapters.probing import checks, streams
from octavia_ovn.core.model import MonitorType
from tests.core.probing.examples import probe


def test_a_flood_of_pings_keeps_no_other_waiting(monkeypatch):
    """What comes faster than it is read: the loop must turn in between."""
    left = iter(range(1_000_000))

    async def flood(*_):
        next(left)
        return b"\x45" + bytes(60)

    async def nothing(*_):
        return None

    async def make(*_):
        return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    async def story():
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "sock_recv", flood)
        monkeypatch.setattr(loop, "sock_sendall", nothing)
        wanted = probe(address="10.0.0.20", port=0, type=MonitorType.PING)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(checks.check(wanted, make), 0.2)

    asyncio.run(story())


def test_a_handshake_that_takes_long_keeps_no_other_waiting(monkeypatch):
    def slowly(_):
        time.sleep(0.3)
        return b""

    monkeypatch.setattr(streams.TlsStream, "_shaken", slowly)

    async def story():
        peer = socket.socket()
        shaking = asyncio.create_task(streams.TlsStream(streams.Stream(peer), None).handshake())
        turns = 0
        while not shaking.done():
            await asyncio.sleep(0.01)
            turns += 1
        assert turns > 5
        peer.close()

    asyncio.run(story())


def test_no_member_chooses_the_numbers_of_a_key_exchange():
    """Of 10,000 bits they cost half a second for each handshake."""
    for each in streams._CONTEXT.get_ciphers():
        assert not each["name"].startswith(("DHE-", "SRP-")), each["name"]
    assert streams._CONTEXT.options & ssl.OP_NO_RENEGOTIATION
