# SPDX-License-Identifier: Apache-2.0
"""Members on the loopback, well-behaved and not, and a prober that reaches them."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import ssl
import subprocess
import threading
import time

from octavia_ovn.adapters.probing.prober import Prober
from octavia_ovn.core.probing import pace
from octavia_ovn.core.probing.counters import Counters
from octavia_ovn.core.probing.messages import Plan
from tests.core.probing.examples import probe

LOOPBACKS = {4: "127.0.0.1", 6: "::1"}
AT_ONCE = next(
    name
    for name in (f"member-{number}" for number in itertools.count())
    if pace.first(name, 5.0, 0.0) < 0.005
)
"""An id whose first probe comes at once."""


def target(version, port, **changes):
    """A probe, at once and once, of a member on the loopback, which no plan may name."""
    made = probe(**{"id": AT_ONCE, "rise": 1, "fall": 1, "port": port, "timeout": 2, **changes})
    object.__setattr__(made, "address", LOOPBACKS[version])
    return made


class Outlet:
    """A source that sends from the loopback."""

    def __init__(self, version=4):
        self.family = socket.AF_INET6 if version == 6 else socket.AF_INET
        self.ready = asyncio.Event()
        self.ready.set()
        self.trusted = True
        self.problem = "the port is away"
        self.users = 0
        self.sockets = []

    async def socket(self, kind, protocol):
        made = socket.socket(self.family, kind, protocol)
        made.setblocking(False)
        self.sockets.append(made)
        return made

    def proven(self):
        self.trusted = True


class Sources:
    """Hands out one outlet."""

    def __init__(self, outlet):
        self.outlet = outlet

    def take(self, source):
        self.outlet.users += 1
        return self.outlet


def ask(version, wanted, timeout=8.0, *, weighted=False):
    """Probe once; return the result, and how long that took."""

    async def main():
        found = asyncio.get_running_loop().create_future()
        outlet = Outlet(version)
        prober = Prober(Sources(outlet), found.set_result, Counters(), 1000)
        began = time.monotonic()
        prober.apply(Plan((wanted,), weighted=(wanted.id,) if weighted else ()))
        result = await asyncio.wait_for(found, timeout)
        took = time.monotonic() - began
        prober.close()
        assert all(each.fileno() == -1 for each in outlet.sockets)
        return result, took

    return asyncio.run(main())


@contextlib.contextmanager
def member(handle, version=4):
    """Accept connections, each in a thread; yields the port."""
    listener = socket.socket(socket.AF_INET6 if version == 6 else socket.AF_INET)
    listener.bind((LOOPBACKS[version], 0))
    listener.listen(100)

    def serve():
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=run, args=(peer,), daemon=True).start()

    def run(peer):
        # What a hostile member does ends when it is cut off.
        with contextlib.suppress(OSError), peer:
            handle(peer)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


@contextlib.contextmanager
def silent_port(version=4):
    """A port that takes no connection and refuses none, as that of a dead member."""
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket(family))
        listener.bind((LOOPBACKS[version], 0))
        listener.listen(0)
        for _ in range(3):
            filler = stack.enter_context(socket.socket(family))
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        time.sleep(0.1)
        yield listener.getsockname()[1]


def free_port(version=4, kind=socket.SOCK_STREAM):
    """A port on which there is no one."""
    with socket.socket(socket.AF_INET6 if version == 6 else socket.AF_INET, kind) as made:
        made.bind((LOOPBACKS[version], 0))
        return made.getsockname()[1]


def request_of(peer):
    """Read a request to the end of its head."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = peer.recv(4096)
        if not piece:
            raise ConnectionError
        data += piece
    return data.decode()


def answering(text):
    """A handler that answers with that."""

    def handle(peer):
        request_of(peer)
        peer.sendall(text.encode() if isinstance(text, str) else text)

    return handle


OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def certificate(folder, *options):
    """Make a certificate that is signed by its own key; returns certificate and key."""
    key, cert = folder / "key.pem", folder / "cert.pem"
    words = ["openssl", "req", "-x509", "-newkey", *(options or ("ec", "-pkeyopt"))]
    if not options:
        words.append("ec_paramgen_curve:prime256v1")
    words += ["-nodes", "-keyout", str(key), "-out", str(cert), "-days", "1", "-subj", "/CN=x"]
    subprocess.run(words, check=True, capture_output=True)
    return str(cert), str(key)


def over_tls(handle, files, prepare=lambda _: None):
    """A handler behind TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.load_cert_chain(*files)
    prepare(context)

    def wrapped(peer):
        with context.wrap_socket(peer, server_side=True) as secure:
            handle(secure)

    return wrapped
