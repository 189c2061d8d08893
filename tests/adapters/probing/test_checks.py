# SPDX-License-Identifier: Apache-2.0
"""Each type of probe against members that are good, bad, slow, dead or hostile."""

import re
import socket
import struct
import threading
import time

import pytest

from octavia_ovn.adapters.probing import checks
from octavia_ovn.adapters.probing.checks import server_name
from octavia_ovn.core.health import HealthState
from tests.adapters.probing.asking import VERSIONS, down, of, up
from tests.adapters.probing.members import (
    LOOPBACKS,
    OK,
    answering,
    ask,
    certificate,
    free_port,
    member,
    over_tls,
    request_of,
    silent_port,
    target,
)

OVER_TLS = pytest.mark.parametrize("kind", ["HTTPS", "TLS-HELLO"])
OVER_TCP = pytest.mark.parametrize("kind", ["TCP", "HTTP", "HTTPS", "TLS-HELLO"])


# --- good


@VERSIONS
def test_tcp(version):
    with member(lambda peer: peer.recv(1), version) as port:
        up(version, target(version, port, **of("TCP")))


@VERSIONS
def test_http(version):
    with member(answering(OK), version) as port:
        up(version, target(version, port, **of("HTTP")))


@VERSIONS
def test_https(version, files):
    with member(over_tls(answering(OK), files), version) as port:
        up(version, target(version, port, **of("HTTPS")))


@VERSIONS
def test_tls_hello(version, files):
    with member(over_tls(lambda peer: peer.recv(1), files), version) as port:
        up(version, target(version, port, **of("TLS-HELLO")))


@VERSIONS
@pytest.mark.parametrize("answers", [True, False])
def test_udp(version, answers):
    with socket.socket(
        socket.AF_INET6 if version == 6 else socket.AF_INET, socket.SOCK_DGRAM
    ) as peer:
        peer.bind((LOOPBACKS[version], 0))
        wanted = target(version, peer.getsockname()[1], **of("UDP-CONNECT"))
        if answers:

            def reply():
                _, sender = peer.recvfrom(100)
                peer.sendto(b"x", sender)

            threading.Thread(target=reply, daemon=True).start()
        up(version, wanted, within=0.5 if answers else 1.5)


@VERSIONS
def test_ping(version):
    up(version, target(version, 0, **of("PING")), within=0.5)


def test_a_ping_is_not_answered_by_another():
    """By the reply to another probe, which every raw socket of the host gets."""
    data = checks._echo(0, 7, 8, b"payloads")
    assert checks._is_reply(data, 0, 7, 8, b"payloads")
    for other in ((8, 7, 8, b"payloads"), (0, 6, 8, b"payloads"), (0, 7, 9, b"payloads")):
        assert not checks._is_reply(data, *other)
    assert not checks._is_reply(data, 0, 7, 8, b"Payloads")
    assert not checks._is_reply(data[:5], 0, 7, 8, b"payloads")


# --- bad and dead


@VERSIONS
@OVER_TCP
def test_a_closed_port(version, kind):
    down(version, target(version, free_port(version), **of(kind)), "connection refused")


@VERSIONS
def test_a_closed_udp_port(version):
    port = free_port(version, socket.SOCK_DGRAM)
    down(version, target(version, port, **of("UDP-CONNECT")), "connection refused", within=0.5)


@VERSIONS
@OVER_TCP
def test_a_dead_member(version, kind):
    with silent_port(version) as port:
        wanted = target(version, port, timeout=1, **of(kind))
        down(version, wanted, "no answer within 1 s")


@pytest.mark.parametrize("kind", ["HTTP", "HTTPS", "TLS-HELLO"])
def test_a_member_that_accepts_and_is_silent(kind):
    with member(lambda _: time.sleep(3)) as port:
        down(4, target(4, port, timeout=1, **of(kind)), "no answer within 1 s")


@pytest.mark.parametrize("kind", ["HTTP", "HTTPS", "TLS-HELLO"])
def test_a_member_that_closes_at_once(kind):
    with member(lambda _: None) as port:
        result, _ = ask(4, target(4, port, **of(kind)))
    assert result.state is HealthState.DOWN
    # Whether the request comes before or after the end of the connection.
    assert re.search("closed before|eof while reading|connection reset", result.reason)


@pytest.mark.parametrize("kind", ["HTTP", "HTTPS", "TLS-HELLO"])
def test_a_member_that_resets(kind):
    def reset(peer):
        peer.recv(1)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with member(reset) as port:
        down(4, target(4, port, **of(kind)), "connection reset")


# --- TLS


def test_the_servers_name(files):
    seen = []

    def prepare(context):
        context.sni_callback = lambda _, name, __: seen.append(name)

    with member(over_tls(answering(OK), files, prepare)) as port:
        up(4, target(4, port, **of("HTTPS", domain_name="example.com")))
        up(4, target(4, port, **of("HTTPS")))
    assert seen == ["example.com", None]


@pytest.mark.parametrize(
    ("domain", "name"),
    [
        (None, None),
        ("example.com", "example.com"),
        ("a_b.example", "a_b.example"),
        ("192.0.2.1", None),
        ("2001:db8::1", None),
        ("a..b", None),
        (".example", None),
        ("-example", None),
        ("example.com:8443", None),
        ("a" * 64, None),
        ("a." * 127 + "a", None),
    ],
)
def test_no_address_and_no_port_are_a_servers_name(domain, name):
    assert server_name(domain) == name


def test_an_old_small_key_is_good_enough(tmp_path):
    with member(over_tls(answering(OK), certificate(tmp_path, "rsa:1024"))) as port:
        up(4, target(4, port, **of("HTTPS")))


@OVER_TLS
def test_no_tls_on_a_tls_port(kind):
    with member(lambda peer: peer.sendall(b"SSH-2.0-OpenSSH_9.2\r\n" * 20)) as port:
        down(4, target(4, port, **of(kind)), "TLS handshake failed")


def test_https_with_another_status(files):
    text = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
    with member(over_tls(answering(text), files)) as port:
        down(4, target(4, port, **of("HTTPS")), "HTTP status 503, expected 200")


def test_https_that_closes_after_the_handshake(files):
    with member(over_tls(request_of, files)) as port:
        down(4, target(4, port, **of("HTTPS")), "closed before an answer")


# --- hostile


def _endlessly(piece, pause=0.0):
    def handle(peer):
        request_of(peer)
        while True:
            peer.sendall(piece)
            time.sleep(pause)

    return handle


def _after(text, piece):
    def handle(peer):
        request_of(peer)
        peer.sendall(text)
        while True:
            peer.sendall(piece)

    return handle


HEAD = b"HTTP/1.1 200 OK\r\n"
FLOODS = {
    "a status line without end": (_endlessly(b"HTTP/1.1 200" + b"K" * 4096), "64 KiB"),
    "headers without end": (_after(HEAD, b"X-Header: " + b"x" * 500 + b"\r\n"), "64 KiB"),
    "one header without end": (_after(HEAD + b"X: ", b"x" * 4096), "64 KiB"),
    "informational answers without end": (
        _endlessly(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 50),
        "256 KiB",
    ),
    "zeros": (_endlessly(b"\0" * 65536), ""),
    "line breaks": (_endlessly(b"\r\n" * 4096), ""),
}


@pytest.mark.parametrize("flood", FLOODS)
def test_a_flood_is_cut_off(flood):
    handle, reason = FLOODS[flood]
    with member(handle) as port:
        down(4, target(4, port, **of("HTTP")), reason)


def test_a_flood_inside_tls_is_cut_off(files):
    handle, reason = FLOODS["headers without end"]
    with member(over_tls(handle, files)) as port:
        down(4, target(4, port, **of("HTTPS")), reason)


def test_a_body_without_end_is_not_read():
    with member(_after(HEAD + b"\r\n", b"x" * 65536)) as port:
        up(4, target(4, port, **of("HTTP")))


def test_an_answer_by_single_bytes_has_the_timeout_and_no_more():
    with member(_endlessly(b"H", 0.01)) as port:
        result, took = ask(4, target(4, port, timeout=1, **of("HTTP")))
    assert result.state is HealthState.DOWN
    assert took < 1.5


@OVER_TLS
def test_a_handshake_that_never_ends(kind):
    # Records of a handshake message of 16 MB that never comes to its end.
    record = b"\x16\x03\x03\x00\x64" + b"\x02\xff\xff\xff" + b"\0" * 96

    def handle(peer):
        peer.recv(4096)
        while True:
            peer.sendall(record)
            time.sleep(0.01)

    with member(handle) as port:
        result, took = ask(4, target(4, port, timeout=1, **of(kind)))
    assert result.state is HealthState.DOWN
    assert took < 1.5


def test_reasons_do_not_repeat_what_a_member_sends():
    with member(answering("<script>secret</script>\r\n\r\n")) as port:
        result, _ = ask(4, target(4, port, **of("HTTP")))
    assert result.reason == "the answer is not HTTP"
