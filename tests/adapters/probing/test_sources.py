# SPDX-License-Identifier: Apache-2.0
"""Sources on a chassis while Open vSwitch does not do what it is asked for."""

import asyncio
import os
import socket
import subprocess
import uuid
from pathlib import Path

import pytest
from pyroute2 import netns

from octavia_ovn.adapters.probing import namespaces, sources
from octavia_ovn.adapters.probing.outcome import NotDone
from octavia_ovn.adapters.probing.sources import Sources, clean, device
from octavia_ovn.core.probing.spec import Source
from octavia_ovn.errors import Refused, Unavailable

PREFIX = f"test-{os.getpid()}-"
"""Of namespaces, in place of that of the program, which others may run on this machine."""


class Ports:
    """A switch whose devices are pairs of virtual Ethernet."""

    def __init__(self):
        self.devices = set()
        self.trouble = ""
        self.calls = 0

    def ensure(self, name, port_id, mac):
        self.calls += 1
        if self.trouble:
            raise Unavailable(self.trouble)
        if name not in self.devices:
            self.devices.add(name)
            self.make(name)

    def make(self, name):
        ip("link", "add", name, "type", "veth", "peer", "name", f"p{name[4:]}")
        ip("link", "set", f"p{name[4:]}", "up")

    def remove(self, name):
        self.devices.discard(name)
        subprocess.run(["ip", "link", "del", f"p{name[4:]}"], check=False, capture_output=True)

    def names(self):
        return sorted(self.devices)

    def error(self, name):
        return ""


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


def shown(source, *words):
    argv = ["ip", "-n", PREFIX + source.port, *words]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def ports(monkeypatch):
    for name in ("_FIRST_PAUSE", "_LOOK"):
        monkeypatch.setattr(sources, name, 0.05)
    monkeypatch.setattr(sources, "PREFIX", PREFIX)
    made = Ports()
    yield made
    for each in netns.listnetns():
        if each.startswith(PREFIX):
            netns.remove(each)
    for each in made.names():
        made.remove(each)


def source(address="10.0.0.7/24", port=None):
    return Source(port or str(uuid.uuid4()), "fa:16:3e:00:00:07", address)


def run(story, ports):
    async def main():
        made = Sources(ports)
        try:
            await story(made)
        finally:
            made.close()

    asyncio.run(asyncio.wait_for(main(), 20))


async def ready(outlet):
    await asyncio.wait_for(outlet.ready.wait(), 10)


@pytest.mark.parametrize("address", ["10.0.0.7/24", "fd00:1::7/64"])
def test_a_source_has_its_address_and_no_way_out(ports, address):
    wanted = source(address)

    async def story(made):
        outlet = made.take(wanted)
        await ready(outlet)
        assert made.counts() == {True: 1, False: 0}
        peer = await outlet.socket(socket.SOCK_STREAM, 0)
        with peer:
            assert peer.getsockname()[0] == address.partition("/")[0]
            assert not peer.getblocking()

    run(story, ports)
    assert wanted.mac in shown(wanted, "link", "show", device(wanted))
    assert f" {address} " in shown(wanted, "address", "show", device(wanted))
    for family in ("-4", "-6"):
        assert "default" not in shown(wanted, family, "route")


@pytest.mark.parametrize("address", ["10.0.0.7/24", "fd00:1::7/64"])
def test_neighbors_that_remember_another_mac_are_told(ports, address):
    """An earlier port had the address. OVN answers ARP for members: they see no request."""
    wanted, near = source(address), address.replace("7/", "9/")
    peer, neighbor = f"p{device(wanted)[4:]}", address.partition("/")[0]

    async def story(made):
        ports.ensure(device(wanted), "", "")
        ip("address", "add", near, "dev", peer, "nodad")
        words = ("lladdr", "fa:16:3e:99:99:99", "nud", "reachable", "dev", peer)
        ip("neighbor", "add", neighbor, *words)
        await ready(made.take(wanted))
        for _ in range(100):
            argv = ["ip", "neighbor", "show", neighbor, "dev", peer]
            found = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
            if wanted.mac in found:
                break
            await asyncio.sleep(0.05)
        assert wanted.mac in found

    run(story, ports)


def test_a_device_that_has_gone_is_made_again(ports):
    wanted = source()

    async def story(made):
        outlet = made.take(wanted)
        await ready(outlet)
        ports.remove(device(wanted))
        with pytest.raises(NotDone, match="is not in namespace"):
            await outlet.socket(socket.SOCK_STREAM, 0)
        await ready(outlet)
        (await outlet.socket(socket.SOCK_STREAM, 0)).close()

    run(story, ports)
    assert ports.calls == 2


def test_a_device_that_the_switch_has_made_again_is_taken(ports):
    wanted = source()

    async def story(made):
        outlet = made.take(wanted)
        await ready(outlet)
        # What a switch that was killed leaves is in the namespace, too.
        ip("-n", PREFIX + wanted.port, "link", "set", device(wanted), "down")
        ip("link", "del", f"p{device(wanted)[4:]}")
        ip("-n", PREFIX + wanted.port, "link", "add", device(wanted), "type", "veth",
           "peer", "name", "other")  # fmt: skip
        ports.make(device(wanted))
        await asyncio.sleep(0.3)
        await ready(outlet)
        assert f"p{device(wanted)[4:]}" not in shown(wanted, "link")
        (await outlet.socket(socket.SOCK_STREAM, 0)).close()

    run(story, ports)


def test_a_source_whose_address_changes(ports):
    old = source()
    new = source("10.0.0.9/25", old.port)

    async def story(made):
        outlet = made.take(old)
        await ready(outlet)
        assert made.take(new) is outlet
        assert not outlet.ready.is_set()
        await ready(outlet)
        with await outlet.socket(socket.SOCK_STREAM, 0) as peer:
            assert peer.getsockname()[0] == "10.0.0.9"

    run(story, ports)
    text = shown(old, "-4", "address", "show", device(old))
    assert "10.0.0.9/25" in text
    assert "10.0.0.7" not in text


def test_trouble_is_logged_once_for_each_reason_and_so_is_its_end(ports, caplog):
    caplog.set_level("INFO")
    ports.trouble = "the database is away"

    async def story(made):
        outlet = made.take(source())
        await asyncio.sleep(0.5)
        assert made.counts() == {True: 0, False: 1}
        with pytest.raises(NotDone, match="the database is away"):
            await outlet.socket(socket.SOCK_STREAM, 0)
        ports.trouble = ""
        await ready(outlet)

    run(story, ports)
    assert ports.calls > 2
    assert caplog.text.count("No probes from 10.0.0.7/24") == 1
    assert "Probes from 10.0.0.7/24 are made again" in caplog.text


def test_a_mount_point_without_its_namespace(ports):
    wanted = source()
    (Path(netns.NETNS_RUN_DIR) / (PREFIX + wanted.port)).touch()

    async def story(made):
        outlet = made.take(wanted)
        await ready(outlet)
        (await outlet.socket(socket.SOCK_STREAM, 0)).close()

    run(story, ports)


def test_a_device_that_never_comes(ports, monkeypatch):
    monkeypatch.setattr(sources, "_PATIENCE", 0.2)
    monkeypatch.setattr(ports, "make", lambda _: None)
    monkeypatch.setattr(ports, "error", lambda _: "could not open network device")

    async def story(made):
        outlet = made.take(source())
        await asyncio.sleep(0.5)
        assert outlet.problem.endswith("the device " + device(outlet.source) + ": could not open"
                                       " network device")  # fmt: skip

    run(story, ports)


def test_a_port_whose_device_has_gone_for_good_is_made_anew(ports, monkeypatch):
    """A switch makes a device with its port only: this one went with its namespace."""
    monkeypatch.setattr(sources, "_PATIENCE", 0.2)
    wanted = source()
    ports.devices.add(device(wanted))

    async def story(made):
        await ready(made.take(wanted))

    run(story, ports)


def test_sources_without_probes_and_leftovers_are_removed(ports):
    kept, ended, left = source(), source(), source()
    ports.ensure(device(left), left.port, left.mac)
    netns.create(PREFIX + left.port)

    async def story(made):
        outlets = [made.take(each) for each in (kept, ended)]
        for each in outlets:
            await ready(each)
        outlets[1].users -= 1
        await made.tidy()
        assert ports.names() == [device(kept)]
        found = netns.listnetns()
        assert PREFIX + kept.port in found
        assert PREFIX + ended.port not in found
        assert PREFIX + left.port not in found
        # A source may come again.
        await ready(made.take(ended))

    run(story, ports)
    # A program that ends leaves them to the next.
    assert set(ports.names()) == {device(kept), device(ended)}
    assert clean(ports) == (2, 2)
    assert ports.names() == []
    assert PREFIX + kept.port not in netns.listnetns()


def test_a_source_that_is_needed_again_during_a_removal_stays(ports, monkeypatch):
    async def story(made):
        first, second = source(), source()
        outlets = [made.take(each) for each in (first, second)]
        for each in outlets:
            await ready(each)
            each.users -= 1
        end = sources.Outlet.end

        async def slowly(outlet):
            assert made.take(second) is outlets[1]
            await end(outlet)

        monkeypatch.setattr(sources.Outlet, "end", slowly)
        await made.tidy()
        assert outlets[1].ready.is_set()
        assert ports.names() == [device(second)]

    run(story, ports)


@pytest.mark.parametrize("error", [Refused("constraint violation"), KeyError("bridge")])
def test_whatever_is_wrong_is_tried_again(ports, monkeypatch, error, caplog):
    def wrong(*_):
        raise error

    monkeypatch.setattr(ports, "ensure", wrong)

    async def story(made):
        outlet = made.take(source())
        while outlet.problem == "the port is being made":
            await asyncio.sleep(0.01)
        monkeypatch.undo()
        monkeypatch.setattr(sources, "PREFIX", PREFIX)
        await ready(outlet)

    run(story, ports)


def test_a_removal_that_fails_leaves_no_descriptor(ports, monkeypatch):
    def away(_):
        raise Unavailable("the switch is away")

    async def story(made):
        outlet = made.take(source())
        await ready(outlet)
        descriptor = outlet._namespace.fd
        outlet.users -= 1
        monkeypatch.setattr(ports, "remove", away)
        with pytest.raises(Unavailable):
            await made.tidy()
        monkeypatch.undo()
        monkeypatch.setattr(sources, "PREFIX", PREFIX)
        await asyncio.sleep(0.1)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)

    run(story, ports)


def test_no_socket_is_made_after_the_end(ports):
    """A cancellation may be swallowed, and the number of a descriptor be another's by then."""

    async def story(made):
        outlet = made.take(source())
        await ready(outlet)
        made._sockets.close()
        with pytest.raises(NotDone):
            await outlet.socket(socket.SOCK_STREAM, 0)
        made._sockets.close()

    run(story, ports)


def test_a_thread_that_cannot_come_back_does_nothing_more(monkeypatch, caplog):
    class Aborted(Exception):
        pass

    def abort():
        raise Aborted

    sockets = namespaces.SocketMaker()
    own = os.open("/proc/self/ns/net", os.O_RDONLY)
    os.close(sockets._home)
    sockets._home = os.open("/dev/null", os.O_RDONLY)
    monkeypatch.setattr(os, "abort", abort)
    with pytest.raises(Aborted):
        sockets.make(own, "127.0.0.1", socket.SOCK_STREAM, 0)
    assert "cannot be entered again: [Errno 22]" in caplog.text
    sockets.close()
    os.close(own)
