# SPDX-License-Identifier: Apache-2.0
"""A client that runs alone in a guest, and says who has answered.

``traffic.py tcp|udp ADDRESS PORT LOCAL COUNT [SOURCE...]``: that many times, with a new socket
each; from each source address, if some are given. Prints JSON: source (or "") -> list of answers.
``traffic.py hold|hold-udp ADDRESS PORT LOCAL``: one connection, or one UDP socket; a request for
each line of standard input, the answer as a line of standard output.
``traffic.py repeat ADDRESS PORT LOCAL``: a request over a new TCP connection every 50 ms, until
standard input ends. Prints JSON: answer -> how often, and under "slowest" the longest in seconds.

Local ports are counted up from LOCAL. Were they left to chance, one might return within minutes
with another VIP before the same server; conntrack would take that for the old connection.

An answer is the name of a server, or "refused", "unreachable", "timeout".
"""

from __future__ import annotations

import collections
import concurrent.futures
import http.client
import json
import select
import socket
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_TIMEOUT = 3.0
_AT_ONCE = 8
_PAUSE = 0.05


def tcp(address: str, port: int, source: tuple[str, int]) -> str:
    """One connection with one request."""
    connection = http.client.HTTPConnection(address, port, timeout=_TIMEOUT, source_address=source)
    connection.request("GET", "/", headers={"Connection": "close"})
    return _name(connection.getresponse().read())


def udp(address: str, port: int, source: tuple[str, int]) -> str:
    """One datagram from a new socket."""
    with socket.socket(_family(address), socket.SOCK_DGRAM) as client:
        client.settimeout(_TIMEOUT)
        client.bind(source)
        client.connect((address, port))
        client.send(b"who?")
        return _name(client.recv(512))


def hold(address: str, port: int, local: int) -> None:
    """Ask over one connection for as long as somebody wants to know."""
    connection = http.client.HTTPConnection(
        address, port, timeout=_TIMEOUT, source_address=("", local)
    )
    connection.auto_open = 0  # never a second one
    connection.connect()

    def ask() -> bytes:
        connection.request("GET", "/")
        return connection.getresponse().read()

    _answer_lines(ask)


def hold_udp(address: str, port: int, local: int) -> None:
    """Ask from one socket for as long as somebody wants to know."""
    with socket.socket(_family(address), socket.SOCK_DGRAM) as client:
        client.settimeout(_TIMEOUT)
        client.bind(("", local))
        client.connect((address, port))

        def ask() -> bytes:
            client.send(b"who?")
            return client.recv(512)

        _answer_lines(ask)


def repeat(address: str, port: int, local: int) -> None:
    """Ask again and again, each time over a new connection."""
    found: collections.Counter[str] = collections.Counter()
    slowest = 0.0
    while not select.select([sys.stdin], [], [], _PAUSE)[0]:
        began = time.monotonic()
        found[_answer("tcp", address, port, ("", local + found.total()))] += 1
        slowest = max(slowest, time.monotonic() - began)
    json.dump({"answers": found, "slowest": slowest}, sys.stdout)


def _answer_lines(ask: Callable[[], bytes]) -> None:
    for _ in sys.stdin:
        try:
            answer = _name(ask())
        except (OSError, http.client.HTTPException) as error:
            answer = f"broken: {error!r}"
        print(answer, flush=True)


def _answer(kind: str, address: str, port: int, source: tuple[str, int]) -> str:
    try:
        return {"tcp": tcp, "udp": udp}[kind](address, port, source)
    except ConnectionRefusedError:
        return "refused"
    except TimeoutError:
        return "timeout"
    except OSError:
        return "unreachable"


def _name(body: bytes) -> str:
    return body.decode().split()[0]


def _family(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


_LONG = {"hold": hold, "hold-udp": hold_udp, "repeat": repeat}


def main(kind: str, address: str, port: str, local: str, count: str = "1", *sources: str) -> None:
    """See above."""
    if kind in _LONG:
        _LONG[kind](address, int(port), int(local))
        return
    asked = [
        (source, int(local) + number) for source in sources or ("",) for number in range(int(count))
    ]
    with concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as pool:
        answers = pool.map(lambda source: _answer(kind, address, int(port), source), asked)
        found: dict[str, list[str]] = {source: [] for source, _ in asked}
        for (source, _), answer in zip(asked, answers, strict=True):
            found[source].append(answer)
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
