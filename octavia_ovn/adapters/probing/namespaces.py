# SPDX-License-Identifier: Apache-2.0
"""Network namespaces of this host, and a device in one of them.

A namespace belongs to a thread: work in another namespace is done by another thread, except that a
socket is made in between.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import ipaddress
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from pyroute2 import IPRoute, netns
from pyroute2.netlink.exceptions import NetlinkError

from octavia_ovn.adapters.probing.announcement import announce
from octavia_ovn.core.probing.spec import Source
from octavia_ovn.errors import Unavailable
from octavia_ovn.supervised import DaemonExecutor

LOG = logging.getLogger(__name__)

_LOOPBACK = 1
_NODAD = 0x02
"""A flag of an IPv6 address: it is used at once, OVN having chosen it for this port only."""
_PAUSE = 0.05
_IPV6 = Path("/proc/sys/net/ipv6/conf")
_NO_ROUTERS = (("accept_ra", "0"), ("autoconf", "0"), ("accept_redirects", "0"))
_NO_PORT_YET = getattr(socket, "IP_BIND_ADDRESS_NO_PORT", 24)
_LIBC = ctypes.CDLL(None, use_errno=True)
T = TypeVar("T")


class Namespace:
    """A named namespace, made if it is not there.

    :param name: as `ip netns` lists it
    :raises Unavailable: when it cannot be made
    """

    def __init__(self, name: str) -> None:
        self.name = name
        path = f"{netns.NETNS_RUN_DIR}/{name}"
        try:
            if name in netns.listnetns() and not _is_namespace(path):
                # A mount point whose mount is gone.
                remove(name)
            if name not in netns.listnetns():
                _make(name)
            self.fd = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise Unavailable(f"Network namespace {name} cannot be made: {error}") from error

    def close(self) -> None:
        """Forget it; it stays."""
        os.close(self.fd)

    def adopt(self, device: str, source: Source, patience: float) -> None:
        """Move a device into it, and configure it as a source of probes.

        :param device: in the namespace of this process, or in this one
        :param patience: seconds that the device may take to appear
        :raises Unavailable: when it does not appear, or cannot be configured
        """
        deadline = time.monotonic() + patience
        try:
            while not self._adopted(device, source):
                if time.monotonic() > deadline:
                    raise Unavailable(f"Open vSwitch has not made the device {device}")
                time.sleep(_PAUSE)
        except (OSError, NetlinkError) as error:
            raise Unavailable(f"The device {device} cannot be used: {error}") from error

    def announce(self, device: str, source: Source) -> None:
        """Tell the neighbors of a source its MAC.

        :param device: in this namespace
        :raises OSError: when it cannot be sent
        """
        _inside(self.fd, lambda: announce(device, source))

    def _adopted(self, device: str, source: Source) -> bool:
        if is_here(device):
            # One that is in the namespace, too, is what a switch that has ended has left.
            _inside(self.fd, lambda: _delete(device))
            _move(device, self.fd)
        return _inside(self.fd, lambda: _configure(device, source))


def is_here(device: str) -> bool:
    """Whether a device is in the namespace of this process, where the switch makes it."""
    try:
        return socket.if_nametoindex(device) > 0
    except OSError:
        return False


def listed(prefix: str) -> list[str]:
    """Return the names of namespaces with a prefix."""
    return [each for each in netns.listnetns() if each.startswith(prefix)]


def remove(name: str) -> None:
    """Remove a namespace, and with it what is in it."""
    with contextlib.suppress(OSError):
        netns.remove(name)


def _make(name: str) -> None:
    """Make a namespace: by a thread that enters it and ends.

    The library's `create` forks, which may end in a deadlock in a process with threads.
    """

    def run() -> None:
        if _LIBC.unshare(netns.CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "unshare failed")
        netns.attach(name, threading.get_native_id())

    DaemonExecutor("probe-namespace").submit(run).result()


def _is_namespace(path: str) -> bool:
    """Whether a file is a namespace, by its file system."""
    return Path(path).stat().st_dev == Path("/proc/self/ns/net").stat().st_dev


def _move(device: str, namespace: int) -> None:
    """Move a device from the namespace of this process into another."""
    with IPRoute() as route:
        for index in route.link_lookup(ifname=device):
            route.link("set", index=index, net_ns_fd=namespace)


def _delete(device: str) -> None:
    """Delete a device of this thread's namespace, if it is there."""
    with IPRoute() as route:
        for index in route.link_lookup(ifname=device):
            route.link("del", index=index)


def _configure(device: str, source: Source) -> bool:
    """Configure a device of this thread's namespace; return whether it is there.

    It has no address but that of the source, and no route but that to its subnet: the members.
    """
    with IPRoute() as route:
        found = route.link_lookup(ifname=device)
        if not found:
            return False
        index = found[0]
        for option, value in _NO_ROUTERS:
            with contextlib.suppress(FileNotFoundError):  # without IPv6
                (_IPV6 / device / option).write_text(value)
        wanted = ipaddress.ip_interface(source.address)
        route.link("set", index=_LOOPBACK, state="up")
        if route.get_links(index)[0].get_attr("IFLA_ADDRESS") != source.mac:
            route.link("set", index=index, address=source.mac)
        route.link("set", index=index, state="up")
        _address(route, index, wanted)
    return True


def _address(route: Any, index: int, wanted: Any) -> None:
    place = (wanted.ip, wanted.network.prefixlen)
    missing = True
    for each in route.get_addr(index=index):
        address = ipaddress.ip_address(each.get_attr("IFA_ADDRESS"))
        if (address, each["prefixlen"]) == place:
            missing = False
        elif not address.is_link_local:
            route.addr("del", index=index, address=str(address), prefixlen=each["prefixlen"])
    if missing:
        flags = {"flags": _NODAD} if wanted.version == 6 else {}  # noqa: PLR2004 - IPv6
        route.addr("add", index=index, address=str(place[0]), prefixlen=place[1], **flags)


def _inside(namespace: int, work: Callable[[], T]) -> T:
    """Do work in a namespace, and return its result: in a thread that ends there."""

    def run() -> T:
        _enter(namespace)
        return work()

    done: Future[T] = DaemonExecutor("probe-namespace").submit(run)
    return done.result()


class SocketMaker:
    """Makes sockets in namespaces: the thread that asks for one is there for that moment.

    To have another thread do it would cost a fifth of what a probe by TCP costs (measured). A main
    thread that a signal may interrupt there must not do it itself.
    """

    def __init__(self) -> None:
        self._home: int | None = os.open("/proc/thread-self/ns/net", os.O_RDONLY)

    def make(self, namespace: int, address: str, kind: int, protocol: int) -> socket.socket:
        """Make a socket that sends from an address of a namespace, without blocking.

        :param namespace: its file descriptor
        :raises OSError: when the namespace or the address is not there, or after :meth:`close`
        """
        if self._home is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        try:
            _enter(namespace)
            return _bound(address, kind, protocol)
        finally:
            self._return(self._home)

    def close(self) -> None:
        """Make none any more."""
        home, self._home = self._home, None
        if home is not None:
            os.close(home)

    def _return(self, home: int) -> None:
        try:
            _enter(home)
        except OSError as error:
            # All that this thread did next would be done in the network of a tenant.
            LOG.critical("The network namespace of this host cannot be entered again: %s", error)
            os.abort()


def _enter(namespace: int) -> None:
    if _LIBC.setns(namespace, netns.CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _bound(address: str, kind: int, protocol: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = socket.socket(family, kind, protocol)
    try:
        made.setblocking(False)
        if kind == socket.SOCK_STREAM:
            made.setsockopt(socket.SOL_IP, _NO_PORT_YET, 1)
        made.bind((address, 0))
    except OSError:
        made.close()
        raise
    return made
