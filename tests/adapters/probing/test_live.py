# SPDX-License-Identifier: Apache-2.0
"""The client of a live trace: its port, its packets, and that nothing of it is left."""

import os
import socket
import subprocess
import threading
import uuid

import pytest
from pyroute2 import netns

from octavia_ovn.adapters.probing import live, sources
from octavia_ovn.adapters.probing.live import LiveClient
from octavia_ovn.core.diagnosis.live import Outcome
from octavia_ovn.core.probing.spec import Source
from octavia_ovn.errors import Unavailable

PREFIX = f"test-live-{os.getpid()}-"
"""Of namespaces, in place of that of the command, which others may run on this machine."""


class Ports:
    """A switch whose devices are pairs of virtual Ethernet; the other ends have addresses."""

    def __init__(self):
        self.devices = {}
        self.installed = True

    def ensure(self, name, port_id, mac):
        self.devices[name] = port_id
        peer = f"p{name[4:]}"
        ip("link", "add", name, "type", "veth", "peer", "name", peer)
        ip("address", "add", "198.18.77.9/24", "dev", peer)
        ip("address", "add", "fd77::9/64", "dev", peer, "nodad")
        ip("link", "set", peer, "up")

    def remove(self, name):
        self.devices.pop(name, None)
        subprocess.run(["ip", "link", "del", f"p{name[4:]}"], check=False, capture_output=True)

    def names(self):
        return sorted(self.devices)

    def port_ids(self):
        return sorted(self.devices.values())

    def is_installed(self, device):
        return self.installed

    def error(self, name):
        return ""


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture
def ports(monkeypatch):
    monkeypatch.setattr(live, "_PREFIX", PREFIX)
    made = Ports()
    yield made
    for port_id in made.port_ids():
        live.remove(made, port_id)
    assert left() == []


def left():
    return [each for each in netns.listnetns() if each.startswith(PREFIX)]


@pytest.fixture(params=["198.18.77.7/24", "fd77::7/64"])
def client(request, ports):
    made = LiveClient(ports, Source(str(uuid.uuid4()), "fa:16:3e:00:77:07", request.param))
    made.there = "198.18.77.9" if "." in request.param else "fd77::9"
    yield made
    made.close()


def ask(client, protocol, port, count=1):
    with client.attempts(protocol, client.there, port, count) as attempts:
        return attempts


def test_connections(client):
    family = socket.AF_INET6 if ":" in client.there else socket.AF_INET
    with socket.create_server((client.there, 0), family=family, backlog=10) as server:
        attempts = ask(client, "tcp", server.getsockname()[1], 3)

    assert [each.outcome for each in attempts] == [Outcome.ANSWERED] * 3
    assert len({each.source_port for each in attempts}) == 3
    assert all(0 < each.seconds < 3 for each in attempts)


def test_connections_are_open_until_the_block_ends_and_are_reset_then(client):
    family = socket.AF_INET6 if ":" in client.there else socket.AF_INET
    with socket.create_server((client.there, 0), family=family) as server:
        with client.attempts("tcp", client.there, server.getsockname()[1], 1):
            peer, _ = server.accept()
            peer.settimeout(0.1)
            with pytest.raises(TimeoutError):
                peer.recv(1)
        peer.settimeout(5)
        with peer, pytest.raises(ConnectionResetError):
            peer.recv(1)


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_what_is_refused(client, protocol):
    family = socket.AF_INET6 if ":" in client.there else socket.AF_INET
    with socket.socket(family) as unused:
        unused.bind((client.there, 0))
        (attempt,) = ask(client, protocol, unused.getsockname()[1])

    assert (attempt.outcome, attempt.reason) == (Outcome.FAILED, "connection refused")


def test_datagrams(client, monkeypatch):
    family = socket.AF_INET6 if ":" in client.there else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as server:
        server.bind((client.there, 0))

        def answer():
            server.sendto(b"yes", server.recvfrom(100)[1])

        thread = threading.Thread(target=answer)
        thread.start()
        (answered,) = ask(client, "udp", server.getsockname()[1])
        thread.join()
        monkeypatch.setattr(live, "_TIMEOUT", 0.2)
        (silent,) = ask(client, "udp", server.getsockname()[1])

    assert answered.outcome is Outcome.ANSWERED
    assert silent.outcome is Outcome.SILENT


def test_no_answer(client, ports, monkeypatch):
    """The other end is down."""
    monkeypatch.setattr(live, "_TIMEOUT", 0.2)
    (device,) = ports.devices
    ip("link", "set", f"p{device[4:]}", "down")
    (attempt,) = ask(client, "tcp", 80)

    assert attempt.outcome in (Outcome.FAILED, Outcome.NOT_TRIED)


def test_other_protocols_are_not_tried(client):
    (attempt,) = ask(client, "sctp", 80)

    assert (attempt.outcome, attempt.reason) == (Outcome.NOT_TRIED, "SCTP is not tried")


def test_a_port_that_is_not_bound(ports, monkeypatch):
    monkeypatch.setattr(live, "_PATIENCE", 0.2)
    ports.installed = False
    with pytest.raises(Unavailable, match="has not bound port"):
        LiveClient(ports, Source(str(uuid.uuid4()), "fa:16:3e:00:77:07", "198.18.77.7/24"))


def test_nothing_is_left(client, ports):
    (port_id,) = ports.port_ids()
    live.remove(ports, port_id)
    live.remove(ports, port_id)

    assert (left(), ports.devices) == ([], {})


def test_a_device_that_does_not_appear(ports, monkeypatch):
    monkeypatch.setattr(sources, "_PATIENCE", 0.2)
    monkeypatch.setattr(
        ports, "ensure", lambda name, port_id, _: ports.devices.update({name: port_id})
    )
    with pytest.raises(Unavailable, match="has not made the device"):
        LiveClient(ports, Source(str(uuid.uuid4()), "fa:16:3e:00:77:07", "198.18.77.7/24"))

    for each in left():
        netns.remove(each)
