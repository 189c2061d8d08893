# SPDX-License-Identifier: Apache-2.0
"""Live traces: packets of a temporary client on this chassis, beside what the trace says."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from octavia_ovn.adapters.openvswitch.host import LocalSwitch
from octavia_ovn.adapters.openvswitch.probe_ports import LIVE, ProbePorts
from octavia_ovn.cli.sources import Sources
from octavia_ovn.core import model
from octavia_ovn.core.diagnosis.live import Live, with_members
from octavia_ovn.core.diagnosis.path import Client, NoPath, paths
from octavia_ovn.core.diagnosis.snapshot import Snapshot
from octavia_ovn.core.diagnosis.trace import Explanation, explain
from octavia_ovn.core.probing import plan
from octavia_ovn.core.probing.spec import Source
from octavia_ovn.errors import BadConfiguration, NotFound, Refused, Unavailable, failure

if TYPE_CHECKING:
    from octavia_ovn.adapters.probing.live import LiveClient

_TIMEOUT = 10.0
"""Seconds that Open vSwitch's database may take."""
_SECOND_TRY = 2.0
"""Seconds until a listener that fails against expectation is tried again: other hypervisors may not
have learned of the client's port yet."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks for.

    :param address: one of its VIPs; None for all
    :param port: only listeners on this port
    :param count: how many connections or datagrams go to each listener
    :param folder: where the sockets of Open vSwitch are
    :param continual: whether it is repeated all the time: only TCP is tried, and the connection
        tracker is not asked who has answered, which takes long on a busy chassis
    """

    address: str | None
    port: int | None
    count: int
    folder: str
    continual: bool = False


Read = Callable[[str, str | None], tuple[Snapshot, Client | None]]
"""Reads a load balancer, and the client with the port of that id."""


def observe(found: Sources, lb: str, wanted: Wanted) -> tuple[list[Live], tuple[str, ...]]:
    """Send packets to all listeners.

    :param lb: id or name of the load balancer
    :returns: what happened, and notes about sources that did not answer
    :raises NotFound: when there is no such load balancer or VIP
    :raises Refused: when another live trace is running on this chassis
    :raises Unavailable: when the client cannot be made or removed, or the trace was interrupted
    :raises BadConfiguration: when a package is missing
    """
    try:
        with staged(found, wanted, found.snapshot) as stage:
            return stage.play(lb)
    except KeyboardInterrupt:
        raise Unavailable("The live trace was interrupted; its port has been removed.") from None


@contextlib.contextmanager
def staged(found: Sources, wanted: Wanted, read: Read) -> Iterator[Stage]:
    """Have the place of a live trace for a `with` block; signals end it by KeyboardInterrupt.

    :raises Refused: when another live trace is running on this chassis
    :raises Unavailable: when what is there cannot be removed
    :raises BadConfiguration: when a package is missing
    """
    with _exclusive(wanted.folder), _interrupted_by_signals():
        stage = Stage(found, wanted, read)
        stage.clear()
        try:
            yield stage
        finally:
            with _uninterrupted():
                stage.finish()


@dataclass
class Stage:
    """The place of one live trace: this chassis.

    It makes the port in Neutron first and deletes it last, so that Neutron knows all that is there.
    """

    found: Sources
    wanted: Wanted
    read: Read
    clients: dict[str, tuple[Source, LiveClient]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        try:
            from octavia_ovn.adapters.probing.live import (  # noqa: PLC0415 - packages of an extra
                LiveClient,
                remove,
            )
        except ImportError as error:
            msg = f"--live: a package is missing ({error}): install octavia-ovn[health]"
            raise BadConfiguration(msg) from error
        self.make, self.remove = LiveClient, remove
        self.switch = LocalSwitch(self.wanted.folder)
        self.ports = ProbePorts(self.switch, self.wanted.folder, _TIMEOUT, LIVE)
        self.neutron = self.found.parts.neutron
        self.chassis = self.switch.identity().chassis
        self.project = self.neutron.project()

    def clear(self) -> None:
        """Remove the ports of this trace, and what a trace that was killed has left."""
        for _, each in self.clients.values():
            each.close()
        self.clients.clear()
        known = [each.id for each in self.neutron.live_ports(self.chassis, self.project)]
        for port_id in sorted({*known, *self.ports.port_ids()}):
            self.remove(self.ports, port_id)
        for port_id in known:
            self.neutron.delete_port(port_id)

    def finish(self) -> None:
        """Remove what this trace has made.

        :raises Unavailable: when that fails
        """
        error = failure(self.clear)
        if error is not None:
            raise Unavailable(
                "The client of this trace is left; the next live trace on this chassis removes it:"
                f" {error}"
            )

    def play(self, lb: str) -> tuple[list[Live], tuple[str, ...]]:
        """Send packets to all listeners of all VIPs.

        :raises NotFound: when there is no such load balancer or VIP
        :raises Unavailable: when the client cannot be made, or the rows cannot be read
        """
        snapshot, _ = self.read(lb, None)
        vips = snapshot.lb.vips if snapshot.lb else ()
        chosen = [each for each in vips if self.wanted.address in (None, each.address)]
        if not chosen:
            known = ", ".join(each.address for each in vips) or "none that is known"
            raise NotFound(f"--to: a live trace goes to VIPs; the load balancer has {known}.")
        lives: list[Live] = []
        for vip in chosen:
            lives += self._to(lb, vip)
        notes = (note for each in lives for note in each.explanation.path.snapshot.notes)
        return lives, tuple(dict.fromkeys(notes))

    def _to(self, lb: str, vip: model.Vip) -> Iterator[Live]:
        source, sender = self._client(vip)
        # It is read when the port is bound: the trace is about this client.
        snapshot, read = self.read(lb, source.port)
        address = source.address.partition("/")[0]
        client = Client((address,), read.port if read else None)
        try:
            found = paths(snapshot, client, vip.address, self.wanted.port)
        except NoPath as error:
            raise NotFound(str(error)) from error
        for each in found:
            if not self.wanted.continual or each.protocol == "tcp":
                yield self._tried(explain(each), sender)

    def _client(self, vip: model.Vip) -> tuple[Source, LiveClient]:
        """Return a client in the subnet of a VIP; it is made if it is not there."""
        if not vip.subnet_id:
            raise NotFound(f"The subnet of the VIP {vip.address} is not known.")
        made = self.clients.get(vip.subnet_id)
        if made is None:
            made = self.clients[vip.subnet_id] = self._made(vip.subnet_id)
        return made

    def _made(self, subnet_id: str) -> tuple[Source, LiveClient]:
        subnet = self.neutron.subnet(subnet_id)
        port = self.neutron.make_live_port(self.chassis, subnet_id, subnet.network_id, self.project)
        addresses = (each.address for each in port.fixed_ips)
        source = plan.source(port.id, port.mac, addresses, subnet.cidr)
        if source is None:
            raise Unavailable(f"Neutron has given port {port.id} no address in {subnet.cidr}.")
        return source, self.make(self.ports, source)

    def _tried(self, explanation: Explanation, sender: LiveClient) -> Live:
        live = self._try(explanation, sender)
        if live.agrees is False:
            time.sleep(_SECOND_TRY)
            live = self._try(explanation, sender)
        return live

    def _try(self, explanation: Explanation, sender: LiveClient) -> Live:
        path = explanation.path
        if not path.port:
            return Live(explanation, ())
        ends = path.protocol, path.destination, path.port
        with sender.attempts(*ends, self.wanted.count) as attempts:
            live = Live(explanation, attempts)
            if self.wanted.continual:
                return live
            with contextlib.suppress(Unavailable):  # then it is not known who has answered
                live = with_members(live, self.switch.connections())
            return live


@contextlib.contextmanager
def _exclusive(folder: str) -> Iterator[None]:
    """Let no other live trace run on this chassis meanwhile: what it finds would be left overs.

    The lock ends with the process.
    """
    try:
        place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise Unavailable(f"There is no Open vSwitch in {folder}: {error.strerror}.") from error
    try:
        fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(place)
        msg = "Another live trace is running on this chassis, or octavia-ovn watch."
        raise Refused(msg) from None
    try:
        yield
    finally:
        os.close(place)


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


@contextlib.contextmanager
def _handled_by(handler: Any) -> Iterator[None]:
    """Have signals handled in another way, except those that are ignored, as under nohup."""
    heeded = [each for each in _SIGNALS if signal.getsignal(each) is not signal.SIG_IGN]
    before = {each: signal.signal(each, handler) for each in heeded}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)


def _interrupted_by_signals() -> contextlib.AbstractContextManager[None]:
    """Have signals that end the process remove the client before."""
    return _handled_by(_interrupt)


def _uninterrupted() -> contextlib.AbstractContextManager[None]:
    return _handled_by(signal.SIG_IGN)
