"""The command `octavia-ovn-stats`: counts on one chassis what load balancers carry.

It reads counters of the local Open vSwitch and sends what has grown to the agents. It writes
nothing but its own memory.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from octavia_ovn import quiet  # noqa: F401 - before the libraries that warn

# isort: split
import ovs.poller
from oslo_log import log

from octavia_ovn import statistics_options
from octavia_ovn.adapters.local_switch import Identity, LocalSwitch
from octavia_ovn.adapters.openflow import Bridge
from octavia_ovn.adapters.ovsdb_endpoint import Endpoint
from octavia_ovn.adapters.southbound_flows import SouthboundFlows
from octavia_ovn.adapters.statistics_file import StatisticsFile
from octavia_ovn.adapters.statistics_sockets import CollectorSocket
from octavia_ovn.command import configured
from octavia_ovn.core.statistics.conntrack import open_connections
from octavia_ovn.core.statistics.messages import (
    Acknowledgement,
    Levels,
    Message,
    Report,
    in_parts,
)
from octavia_ovn.core.statistics.meter import Growth
from octavia_ovn.core.statistics.openflow import FlowCounters
from octavia_ovn.core.statistics.tally import attribute, serves
from octavia_ovn.core.statistics.traffic import Key, Traffic, add
from octavia_ovn.core.statistics.watchlist import Watchlist
from octavia_ovn.errors import BadConfiguration, OctaviaOvnError, Unavailable

LOG = log.getLogger(__name__)

_PROBE = 60000  # milliseconds
_LINGER = 60
"""Looks for which a listener without open connections is still reported, so that an agent that has
just taken over learns that there are none any more."""
_LOAD = 20
"""A reading is followed by a pause of that many times its duration, whatever the interval is: so
this process and the switch use 5 % of a processor for it at most."""
_PATIENCE = 60.0
"""Seconds; agents that change take less."""
_FAILED = 1
_USAGE = 2


class Schedule:
    """Says when something is due that happens now and then; times are monotonic seconds.

    :param interval: 0 means never
    """

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self.due = 0.0 if interval else math.inf

    def strikes(self, now: float) -> bool:
        """Whether it is due; if so, it is due again an interval later."""
        if now < self.due:
            return False
        self.due = now + self._interval
        return True

    def put_off(self, until: float) -> None:
        """Have it due at that time at the earliest."""
        self.due = max(self.due, until)


class Silence:
    """Complains when nobody acknowledges; nothing else would show it, since nothing is lost."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._complained = False

    def broken(self) -> None:
        """Take note of an acknowledgement."""
        self._since = None
        if self._complained:
            LOG.info("An agent acknowledges reports again")
        self._complained = False

    def lasts(self, now: float) -> None:
        """Take note that reports are waiting for one."""
        if self._since is None:
            self._since = now
        elif now - self._since > _PATIENCE and not self._complained:
            self._complained = True
            LOG.warning(
                "No agent has acknowledged reports for %d s. They are kept. Does an agent act, with"
                " the same [%s] key, and does UDP pass to and from its port?",
                now - self._since,
                statistics_options.SECTION,
            )


class Collector:
    """One chassis's collector."""

    def __init__(self, settings: statistics_options.CollectorStatistics) -> None:
        self._switch = LocalSwitch(settings.ovs_rundir)
        self._file = StatisticsFile(settings.state_file)
        self._memory = self._file.load()
        self._southbound = SouthboundFlows(
            Endpoint.parse(*dataclasses.astuple(settings.sb)),
            _PROBE,
            with_names=bool(settings.metrics_port),
        )
        self._socket = CollectorSocket(settings.controllers, settings.key)
        self._read = Schedule(settings.read_interval)
        self._send = Schedule(settings.send_interval)
        self._look = Schedule(settings.connections_interval)
        self._watchlist = Watchlist()
        self._identity: Identity | None = None
        self._bridge: Bridge | None = None
        self._linger: dict[Key, int] = {}
        self._turn_number = 0
        self._levels_are_new = False
        self._silence = Silence()
        self._complaint = ""
        self._for_metrics = bool(settings.metrics_port)
        self.totals: dict[Key, Traffic] = {}
        """Since this process began, of listeners that there are."""
        self.open: dict[Key, int] = {}

    @property
    def names(self) -> Mapping[str, str]:
        """The names of load balancers by hint."""
        return self._southbound.names

    def run(self, goes_on: Callable[[], bool]) -> None:
        """Work until told to stop; then read and send once more."""
        try:
            while goes_on():
                self._turn()
                self._wait()
            self._try(self._count)
            self._deliver()
        finally:
            self._southbound.close()
            self._socket.close()
            if self._bridge is not None:
                self._bridge.close()

    def _turn(self) -> None:
        now = time.monotonic()
        self._watchlist.added(self._southbound.run(), now)
        for message in self._socket.receive():
            if isinstance(message, Acknowledgement) and message.incarnation == (
                self._memory.incarnation
            ):
                self._memory.outbox.acknowledge(message.numbers)
                self._silence.broken()
        if self._read.strikes(now) and self._southbound.synced:
            self._try(self._count)
            after = time.monotonic()
            self._read.put_off(after + _LOAD * (after - now))
        if self._look.strikes(now) and self._southbound.synced:
            self._try(self._look_at_connections)
        if self._send.strikes(now):
            self._deliver()

    def _try(self, work: Callable[[], None]) -> None:
        """Do what the local switch may not be there for; complain once of each problem."""
        try:
            work()
        except Unavailable as error:
            if str(error) != self._complaint:
                LOG.warning("%s", error)
            self._complaint = str(error)
        else:
            self._complaint = ""

    def _count(self) -> None:
        catalog = self._southbound.flows
        cookies = self._watchlist.due(catalog, time.monotonic())
        flows: list[FlowCounters] = []
        grown: list[Growth] = []
        try:
            for reading in self._switch_bridge().read(cookies):
                ours = [each for each in reading.flows if serves(catalog.get(each.cookie), each)]
                self._watchlist.seen(reading.asked, (each.cookie for each in ours))
                flows += ours
                grown += self._memory.meter.advance(reading.asked, ours, reading.moment)
        finally:
            traffic = attribute(catalog, flows, grown)
            self._memory.outbox.add(traffic)
            if self._for_metrics:
                add(self.totals, traffic)

    def _switch_bridge(self) -> Bridge:
        if self._bridge is None:
            self._bridge = Bridge(self._switch.management(self._who().bridge))
        return self._bridge

    def _who(self) -> Identity:
        if self._identity is None:
            self._identity = self._switch.identity()
            LOG.info("This is chassis %s, bridge %s", *dataclasses.astuple(self._identity))
        return self._identity

    def _look_at_connections(self) -> None:
        present = self._watchlist.present
        flows = self._southbound.flows
        found = open_connections(
            self._switch.connections(), (flows[each] for each in present if each in flows)
        )
        self._linger = {key: left - 1 for key, left in self._linger.items() if left > 1}
        self._linger |= dict.fromkeys(found, _LINGER)
        self.open = {key: found.get(key, 0) for key in self._linger}
        self._levels_are_new = True

    def _deliver(self) -> None:
        """Write down what has been counted, and only then send it."""
        outbox = self._memory.outbox
        outbox.fill()
        self._file.save(self._memory)
        if outbox.reports:
            self._silence.lasts(time.monotonic())
        if self._identity is not None:
            self._socket.send(self._messages(self._identity.chassis))
            self._levels_are_new = False
        if self._for_metrics:
            flows = self._southbound.flows.values()
            self._keep({Key(each.hint, each.port) for each in flows})

    def _keep(self, known: Collection[Key]) -> None:
        for key in [key for key in self.totals if key not in known]:
            del self.totals[key]

    def _messages(self, chassis: str) -> Iterator[Message]:
        sender = (chassis, self._memory.incarnation)
        outbox = self._memory.outbox
        for number, traffic in outbox.reports.items():
            yield Report(*sender, number, outbox.floor, traffic)
        if self._levels_are_new and self.open:
            # Larger than that of any former process of this chassis, without remembering it.
            self._turn_number = max(self._turn_number + 1, int(time.time()))
            for part in in_parts(self.open):
                yield Levels(*sender, self._turn_number, part)

    def _wait(self) -> None:
        poller = ovs.poller.Poller()
        self._southbound.wait(poller)
        for fileno in self._socket.filenos():
            poller.fd_wait(fileno, ovs.poller.POLLIN)
        due = min(each.due for each in (self._read, self._look, self._send))
        poller.timer_wait(max(0, int(1000 * (due - time.monotonic())) + 1))
        poller.block()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command until SIGTERM or SIGINT.

    :param arguments: of the command line; None for those of the process
    :returns: 0, or 1 when something that is needed is wrong, 2 when the command line is
    """
    conf = configured(
        arguments,
        name="octavia-ovn-stats",
        project="octavia-ovn-stats",
        description="Count on a chassis what load balancers carry, and tell Octavia's agents.",
        opts=statistics_options.list_opts(),
    )
    if conf is None:
        return _USAGE
    try:
        settings = statistics_options.collector(conf)
        collector = Collector(settings)
        with offered(collector, settings), _stopping() as goes_on:
            collector.run(goes_on)
    except OctaviaOvnError as error:
        LOG.error("%s", error)  # noqa: TRY400 - a sentence for an operator, not a defect
        return _FAILED
    return 0


@contextlib.contextmanager
def offered(
    collector: Collector, settings: statistics_options.CollectorStatistics
) -> Iterator[None]:
    """Serve counters to Prometheus if somebody wants it, who pays for the library then.

    :raises BadConfiguration: when the library is not installed
    """
    if not settings.metrics_port:
        yield
        return
    try:
        from octavia_ovn.adapters import (  # noqa: PLC0415 - see above
            prometheus_exporter,
            statistics_metrics,
        )
    except ImportError as error:
        msg = (
            f"[{statistics_options.SECTION}] metrics_port is {settings.metrics_port}, but a package"
            f" is missing ({error}): install octavia-ovn[metrics], or set metrics_port to 0"
        )
        raise BadConfiguration(msg) from error
    registry = statistics_metrics.registry(collector)
    address = settings.metrics_address, settings.metrics_port
    with prometheus_exporter.served(registry, *address, statistics_options.SECTION):
        yield


@contextlib.contextmanager
def _stopping() -> Iterator[Callable[[], bool]]:
    """Give a function that is true until somebody ends the process."""
    signals: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _: signals.append(received))
    yield lambda: not signals


if __name__ == "__main__":
    sys.exit(main())
