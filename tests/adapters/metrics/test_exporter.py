# SPDX-License-Identifier: Apache-2.0
"""Clients of the metrics' server that are malicious or slow."""

import contextlib
import socket
import threading
import time
import urllib.request

import prometheus_client
import pytest

from octavia_ovn.adapters.metrics import exporter
from octavia_ovn.adapters.metrics.exporter import CONNECTIONS, served
from tests.functional.ovsdb.server import free_ports
from tests.functional.scrape import Scraper
from tests.sandbox.waiting import until


@pytest.fixture
def port(monkeypatch):
    monkeypatch.setattr(exporter, "DEADLINE", 0.5)
    (port,) = free_ports(1)
    registry = prometheus_client.CollectorRegistry()
    prometheus_client.Gauge("answer", "It.", registry=registry).set(42)
    with served(registry, "127.0.0.1", port):
        Scraper(port).text()
        yield port


def ended(peer):
    """Whether the server ends a connection."""
    peer.settimeout(5)
    with contextlib.suppress(ConnectionResetError):
        return peer.recv(1000) == b""
    return True


@pytest.mark.parametrize("sent", [b"", b"GET /metrics HTTP/1.1\r\n", b"GET /"])
def test_a_silent_client_is_disconnected(port, sent):
    with socket.create_connection(("127.0.0.1", port)) as peer:
        peer.sendall(sent)
        assert ended(peer)


def test_a_slow_client_is_disconnected(port):
    with socket.create_connection(("127.0.0.1", port)) as peer:
        began = time.monotonic()
        with contextlib.suppress(OSError):
            while time.monotonic() - began < 5:
                peer.sendall(b"G")
                time.sleep(0.1)
        assert time.monotonic() - began < 3


def test_many_clients_take_few_threads_and_metrics_are_served_afterwards(port):
    before = threading.active_count()
    with contextlib.ExitStack() as held:
        peers = [
            held.enter_context(socket.create_connection(("127.0.0.1", port)))
            for _ in range(5 * CONNECTIONS)
        ]
        assert threading.active_count() <= before + CONNECTIONS
        assert all(ended(peer) for peer in peers)

    def served_again() -> bool:
        with contextlib.suppress(ConnectionError):  # threads of clients that were cut may still end
            return "answer 42.0" in Scraper(port).text()
        return False

    until(served_again, seconds=5)


def test_a_client_that_is_cut_leaves_no_traceback(port, capfd):
    with socket.create_connection(("127.0.0.1", port)) as peer:
        peer.sendall(b"GET /metrics HTTP/1.1\r\n")
        assert ended(peer)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        answer.read()

    assert "Traceback" not in capfd.readouterr().err


def test_ipv6():
    (port,) = free_ports(1)
    registry = prometheus_client.CollectorRegistry()
    with served(registry, "::1", port):
        deadline = time.monotonic() + 5
        while True:
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection(("::1", port), 5).close()
                break
            assert time.monotonic() < deadline
