# SPDX-License-Identifier: Apache-2.0
"""The HTTP request of a probe, and the status code of the answer; the protocol is h11's."""

from __future__ import annotations

import re
from typing import Protocol

import h11

from octavia_ovn.adapters.probing.outcome import Failed
from octavia_ovn.core.probing.messages import MAX_WEIGHT
from octavia_ovn.core.probing.spec import Probe

_HEAD = 1 << 16
"""Bytes of an answer's head at most."""
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_USUAL = "1.0"
"""The version that HAProxy's checks, and so Octavia's amphorae, send unless one is set."""
_WEIGHT = b"x-load-balancing-endpoint-weight"
"""The header in which Google's load balancers and kube-proxy have a service say its weight."""
_DIGITS = re.compile(rb"[0-9]{1,9}")
_Answer = h11.InformationalResponse | h11.Response


class Connection(Protocol):
    """What an answer is read from."""

    async def read(self) -> bytes:
        """Return the next bytes; none at the end."""

    async def write(self, data: bytes) -> None:
        """Send."""


async def ask(connection: Connection, probe: Probe) -> int | None:
    """Send the request of a probe, and read the answer's head; its body is not read.

    :returns: the weight that the answer says; None if it says none
    :raises Failed: when the answer is not the one that is expected
    """
    client = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD)
    request = client.send(_request(probe))
    assert request is not None  # noqa: S101 - a request is never empty
    if (probe.http_version or _USUAL) == "1.0":
        # h11 sends no other version than 1.1; what it reads does not depend on it.
        request = request.replace(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", 1)
    client.send(h11.EndOfMessage())
    await connection.write(request)
    answer = await _answer(connection, client, probe)
    if not probe.expects(answer.status_code):
        raise Failed(f"HTTP status {answer.status_code}, expected {probe.expected_codes}")
    return _weight(answer)


def _request(probe: Probe) -> h11.Request:
    address = f"[{probe.address}]" if ":" in probe.address else probe.address
    headers = [
        ("Host", probe.domain_name or f"{address}:{probe.port}"),
        ("User-Agent", "octavia-ovn"),
        ("Connection", "close"),
    ]
    if probe.http_method in _WITH_BODY:
        headers.append(("Content-Length", "0"))
    return h11.Request(method=probe.http_method, target=probe.url_path, headers=headers)


def _weight(answer: _Answer) -> int | None:
    """Return the weight in an answer, unless there are several, or what is there is no number."""
    said = [value for name, value in answer.headers if name == _WEIGHT]
    if not _SUCCESS <= answer.status_code < _REDIRECTION or len(said) != 1:
        return None
    return min(int(said[0]), MAX_WEIGHT) if _DIGITS.fullmatch(said[0]) else None


_SUCCESS, _REDIRECTION = 200, 300


async def _answer(connection: Connection, client: h11.Connection, probe: Probe) -> _Answer:
    while True:
        try:
            event = client.next_event()
        except h11.RemoteProtocolError as error:
            raise Failed(_fault(error)) from error
        if event is h11.NEED_DATA:
            data = await connection.read()
            if not data:
                raise Failed("the connection was closed before an answer")
            client.receive_data(data)
        elif isinstance(event, _Answer) and _is_final(event, probe):
            return event


def _is_final(event: _Answer, probe: Probe) -> bool:
    """Whether no other answer follows, or this is what is expected."""
    return isinstance(event, h11.Response) or probe.expects(event.status_code)


def _fault(error: h11.RemoteProtocolError) -> str:
    """Return what is wrong with an answer, without its text, which may be anything."""
    if error.error_status_hint == _TOO_LONG:
        return f"the head of the HTTP answer is longer than {_HEAD >> 10} KiB"
    return "the answer is not HTTP"


_TOO_LONG = 431
"""The hint that h11 gives when a head does not end."""
