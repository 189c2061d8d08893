# SPDX-License-Identifier: Apache-2.0
"""Members that want to keep the thread of all probes busy."""

import asyncio
import socket
import ssl
import threading
import time
from pathlib import Path

import pytest

from octavia_ovn.adapters.probing import checks, streams
from octavia_ovn.core.model import MonitorType
from tests.adapters.probing.members import certificate, member, over_tls
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


def with_tls_1_2(context):
    context.maximum_version = ssl.TLSVersion.TLSv1_2


def with_another_group(context):
    context.set_ecdh_curve("prime256v1")


@pytest.fixture
def shaken(monkeypatch):
    """Shake hands with a member; the function returns how many steps were done apart."""

    def shake(port, slowly=0.0):
        apart = []
        real = streams.TlsStream._shaken

        def step(tls):
            if threading.current_thread() is not threading.main_thread():
                apart.append(tls)
                time.sleep(slowly)
            return real(tls)

        monkeypatch.setattr(streams.TlsStream, "_shaken", step)

        async def story():
            with socket.socket() as peer:
                peer.setblocking(False)
                stream = streams.Stream(peer)
                await stream.connect("127.0.0.1", port)
                tls = streams.TlsStream(stream, None)
                shaking, turns = asyncio.create_task(tls.handshake()), 0
                while not shaking.done():
                    await asyncio.sleep(0.01)
                    turns += 1
                await shaking
                await tls.flush()
            return turns

        turns = asyncio.run(story())
        return len(apart), turns

    return shake


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return certificate(tmp_path_factory.mktemp("tls"))


@pytest.mark.parametrize("prepare", [with_tls_1_2, with_another_group])
def test_a_handshake_that_may_take_long_keeps_no_other_waiting(shaken, files, prepare):
    with member(over_tls(lambda peer: peer.recv(1), files, prepare)) as port:
        apart, turns = shaken(port, 0.3)
    assert apart >= 1
    assert turns > 5


def test_so_does_one_with_long_certificates(shaken, files, tmp_path):
    cert, key = files
    chain = tmp_path / "chain.pem"
    chain.write_text(Path(cert).read_text() * 12)
    with member(over_tls(lambda peer: peer.recv(1), (str(chain), key))) as port:
        apart, _ = shaken(port)
    assert apart == 1


def test_an_ordinary_handshake_is_not_worth_another_thread(shaken, files):
    with member(over_tls(lambda peer: peer.recv(1), files)) as port:
        apart, _ = shaken(port)
    assert apart == 0


HELLO = b"\x16\x03\x03\x00\x5a\x02\x00\x00\x56\x03\x03"
"""The heads of a record with a ServerHello, of that, and its version."""


def hello(random=b"r" * 32, session=b"s" * 32, cipher=b"\x13\x02"):
    return HELLO + random + bytes([len(session)]) + session + cipher + b"\x00"


def test_what_an_ordinary_handshake_is():
    assert streams._is_ordinary(hello())
    assert streams._is_ordinary(hello(session=b""))
    for data in (
        hello(random=streams._RETRY),
        hello(cipher=b"\xc0\x2b"),
        hello(session=b"")[:44],
        hello()[:-3],
        hello()[:20],
        b"\x16\x03\x03\x00\x01\x02" + hello()[6:],
        b"\x15" + hello()[1:],
        hello().replace(b"\x02\x00\x00\x56", b"\x0e\x00\x00\x56"),
        b"HTTP/1.1 400 Bad Request\r\n\r\n" * 9,
        b"",
    ):
        assert not streams._is_ordinary(data), data


def test_no_member_chooses_the_numbers_of_a_key_exchange():
    """Of 10,000 bits they cost half a second for each handshake."""
    for each in streams._CONTEXT.get_ciphers():
        assert not each["name"].startswith(("DHE-", "SRP-")), each["name"]
    assert streams._CONTEXT.options & ssl.OP_NO_RENEGOTIATION
