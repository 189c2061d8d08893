# SPDX-License-Identifier: Apache-2.0
"""What HTTP checks ask, and the answers that they accept."""

import itertools

import pytest

from octavia_ovn.core.health import HealthState
from tests.adapters.probing.asking import down, of, up
from tests.adapters.probing.members import OK, answering, ask, member, over_tls, request_of, target


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(
    ("fields", "line", "host"),
    [
        ({}, "GET / HTTP/1.0", None),
        ({"http_method": "HEAD"}, "HEAD / HTTP/1.0", None),
        ({"http_method": "POST"}, "POST / HTTP/1.0", None),
        ({"http_method": "CONNECT"}, "CONNECT / HTTP/1.0", None),
        ({"url_path": "/health?x=1%20y"}, "GET /health?x=1%20y HTTP/1.0", None),
        ({"http_version": "1.0"}, "GET / HTTP/1.0", None),
        ({"http_version": "1.1"}, "GET / HTTP/1.1", None),
        ({"http_version": "1.1", "domain_name": "example.com"}, "GET / HTTP/1.1", "example.com"),
    ],
)
def test_what_the_member_is_asked(version, fields, line, host):
    seen = []

    def handle(peer):
        seen.extend(request_of(peer).splitlines())
        peer.sendall(OK.encode())

    with member(handle, version) as port:
        up(version, target(version, port, **of("HTTP", **fields)))
    address = {4: "127.0.0.1", 6: "[::1]"}[version]
    assert seen[0] == line
    assert f"Host: {host or f'{address}:{port}'}" in seen
    assert "Connection: close" in seen


@pytest.mark.parametrize(
    ("expected", "code", "good"),
    [
        ("200", 200, True),
        ("200", 204, False),
        ("200,202", 202, True),
        ("200,202", 201, False),
        ("200-204", 203, True),
        ("200-204", 205, False),
        ("301", 301, True),
        ("102", 102, True),
    ],
)
def test_expected_codes(expected, code, good):
    text = f"HTTP/1.1 {code} Whatever\r\nContent-Length: 0\r\n\r\n"
    with member(answering(text)) as port:
        wanted = target(4, port, **of("HTTP", expected_codes=expected))
        if good:
            up(4, wanted)
        else:
            down(4, wanted, f"HTTP status {code}, expected {expected}")


def test_a_redirect_is_not_followed():
    visits = itertools.count()

    def handle(peer):
        next(visits)
        request_of(peer)
        peer.sendall(b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n")

    with member(handle) as port:
        down(4, target(4, port, **of("HTTP")), "HTTP status 302, expected 200")
    assert next(visits) == 1


@pytest.mark.parametrize(
    "answer",
    [
        "HTTP/1.0 200 OK\r\n\r\n",
        "HTTP/1.1 200 \r\n\r\n",
        "HTTP/1.1 200\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\nServer: old\n\n",
        b"HTTP/1.1 200 OK\r\nServer: \xc3\xa4\xff\r\n\r\n",
    ],
)
def test_answers_of_unusual_forms(answer):
    with member(answering(answer)) as port:
        up(4, target(4, port, **of("HTTP")))


WEIGHT = "X-Load-Balancing-Endpoint-Weight"


@pytest.mark.parametrize("kind", ["HTTP", "HTTPS"])
@pytest.mark.parametrize(
    ("head", "weight"),
    [
        (f"200 OK\r\n{WEIGHT}: 3", 3),
        (f"204 No Content\r\n{WEIGHT.lower()}:  0 ", 0),
        (f"200 OK\r\n{WEIGHT}: 999999999", 1000),
        (f"200 OK\r\n{WEIGHT}: 9999999999", None),
        (f"200 OK\r\n{WEIGHT}: -1", None),
        (f"200 OK\r\n{WEIGHT}: 1.5", None),
        (f"200 OK\r\n{WEIGHT}: \u0663".encode(), None),
        (f"200 OK\r\n{WEIGHT}:", None),
        (f"200 OK\r\n{WEIGHT}: 1\r\n{WEIGHT}: 2", None),
        (f"302 Found\r\n{WEIGHT}: 3", None),
        ("200 OK", None),
    ],
)
def test_the_weight_that_a_member_says(kind, head, weight, files):
    answer = b"HTTP/1.1 " + (head if isinstance(head, bytes) else head.encode()) + b"\r\n\r\n"
    handle = answering(answer)
    wanted = {"expected_codes": "200-302", **of(kind)}
    with member(over_tls(handle, files) if kind == "HTTPS" else handle) as port:
        result, _ = ask(4, target(4, port, **wanted), weighted=True)
        assert (result.state, result.weight) == (HealthState.UP, weight)
        if weight is not None:
            assert ask(4, target(4, port, **wanted))[0].weight is None
