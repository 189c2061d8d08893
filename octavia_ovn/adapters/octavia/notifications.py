# SPDX-License-Identifier: Apache-2.0
"""Octavia's notifications for billing, which its controller worker sends of amphora only.

Octavia's own functions build the payload, from its database, which keeps deleted load balancers for
days. oslo.messaging sends it, as Octavia's configuration says. A notification has an effect on no
load balancer: it waits in a queue until the database and the message broker have it.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import logging
import queue
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from oslo_config import cfg

from octavia_ovn.adapters.octavia.in_process import database_errors
from octavia_ovn.core.backoff import backoff
from octavia_ovn.core.request.events import Event
from octavia_ovn.errors import BadConfiguration, Unavailable
from octavia_ovn.observer import SILENT, Observer
from octavia_ovn.supervised import SupervisedThread

LOG = logging.getLogger(__name__)

CAPACITY = 10_000
"""Events that wait: a few hundred bytes each."""
SENT, DROPPED, FAILED = "sent", "dropped", "failed"
RESULTS = (SENT, DROPPED, FAILED)
"""What becomes of an event: the broker has it, the queue had no place, or it cannot be sent."""
THREAD = "notifications"

_FLUSH_TIMEOUT = 5.0
"""Seconds for events that wait when the agent stops."""
_POLL = 0.5
"""Seconds between two checks whether the thread shall end, while nothing waits."""
_FIRST_RETRY = 1.0
_LONGEST_RETRY = 30.0
_SERVERS = 5
"""Further servers of the message broker that are tried in a row, the first one again if it is the
only one."""
_DRIVERS = "oslo.messaging.notify.drivers"
_LOGGERS = ("messaging", "notifier")
_OF_PAYLOAD = (TypeError, ValueError, RecursionError)
"""Errors that repeat with the event, not with the broker."""

Payload = Mapping[str, Any]


class Broker(Protocol):
    """The way to the consumers."""

    def send(self, event: Event, payload: Payload) -> None:
        """Return once the message broker has an event.

        :raises Unavailable: when the broker cannot be reached
        """

    def close(self) -> None:
        """End the connection."""


class Notifications:
    """Sends events in the order in which they come, in a thread of its own.

    :param load: returns the payload for a load balancer, None when Octavia has purged it; raises
        Unavailable when the database does not serve
    :param broker: used by the thread only
    :param capacity: events that wait at most; later ones are dropped
    """

    def __init__(
        self,
        load: Callable[[str], Payload | None],
        broker: Broker,
        observer: Observer = SILENT,
        capacity: int = CAPACITY,
    ) -> None:
        self._load = load
        self._broker = broker
        self._observer = observer
        self._queue: queue.Queue[tuple[str, Event]] = queue.Queue(capacity)
        self._closed = threading.Event()
        self._is_full = False
        self._thread = SupervisedThread(self._run, THREAD, observer)

    def start(self) -> None:
        """Begin to send; once only."""
        self._thread.start()

    def announce(self, lb_id: str, event: Event) -> None:
        """Have an event sent; never waits."""
        was_full, self._is_full = self._is_full, False
        try:
            self._queue.put_nowait((lb_id, event))
        except queue.Full:
            self._is_full = True
            self._observer.announces(DROPPED)
        if self._is_full and not was_full:
            LOG.error(
                "%d notifications wait for the message broker or Octavia's database; further ones"
                " are dropped, beginning with %s of load balancer %s",
                self._queue.maxsize,
                event.value,
                lb_id,
            )

    def close(self, timeout: float) -> None:
        """Send what waits, for that many seconds at most."""
        self._closed.set()
        self._thread.join(timeout)
        self._thread.stop()
        if not self._thread.is_alive():
            self._broker.close()
        left = self._queue.qsize()
        if left:
            LOG.warning("The agent stops before %d notifications are sent", left)

    def _run(self) -> None:
        while not (self._closed.is_set() and self._queue.empty()):
            with contextlib.suppress(queue.Empty):
                self._deliver(*self._queue.get(timeout=_POLL))

    def _deliver(self, lb_id: str, event: Event) -> None:
        """Send an event; an unexpected error costs this event only."""
        result = FAILED
        try:
            if self._is_sent(lb_id, event):
                result = SENT
        finally:
            self._observer.announces(result)

    def _is_sent(self, lb_id: str, event: Event) -> bool:
        """Send an event as soon as the database and the broker answer, unless the agent stops."""
        failures = 0
        reason: object
        while True:
            try:
                payload = self._load(lb_id)
                if payload is None:
                    reason = "no payload"
                    break
                self._broker.send(event, payload)
            except Unavailable as error:
                reason = error
            else:
                return True
            level = logging.DEBUG if failures else logging.WARNING
            LOG.log(level, "Notifications wait: %s", reason)
            if self._closed.wait(backoff(failures, _FIRST_RETRY, _LONGEST_RETRY)):
                break
            failures += 1
        LOG.warning("%s of load balancer %s is not sent: %s", event.value, lb_id, reason)
        return False


def announcer(
    opened: contextlib.ExitStack,
    observer: Observer,
    *,
    enabled: bool,
    conf: cfg.ConfigOpts = cfg.CONF,
) -> Callable[[str, Event], object]:
    """Return what has events sent; nothing is sent when that is not enabled or not possible.

    Load balancers do not depend on it.

    :param opened: ends the thread
    :param conf: Octavia's configuration
    """
    if enabled:
        try:
            found = Notifications(loader(), OsloMessaging(conf), observer)
        except BadConfiguration as error:
            reason = error
        else:
            opened.callback(found.close, timeout=_FLUSH_TIMEOUT)
            found.start()
            return found.announce
        LOG.error("[ovn] event_notifications is true, but none are sent: %s", reason)
    return lambda _, __: None


def loader() -> Callable[[str], Payload | None]:
    """Return what reads payloads by Octavia's functions, which octavia-driver-agent has loaded.

    :raises BadConfiguration: when they are not loaded
    """
    names = ("octavia.db.api", "octavia.db.repositories", "octavia.api.drivers.utils")
    try:
        api, repositories, utils = (sys.modules[each] for each in names)
    except KeyError as error:
        raise BadConfiguration(f"Octavia's code is not loaded in this process: {error}") from error

    def load(lb_id: str) -> Payload | None:
        with _database(), contextlib.closing(api.get_session()) as session:
            with session.begin():
                found = repositories.LoadBalancerRepository().get(session, id=lb_id)
            if found is None:
                return None
            payload: Payload = utils.db_loadbalancer_to_provider_loadbalancer(found).to_dict()
            return payload

    return load


@contextlib.contextmanager
def _database() -> Iterator[None]:
    errors = database_errors()
    try:
        yield
    except errors as error:
        raise Unavailable(f"Octavia's database does not serve: {error}") from error


class OsloMessaging:
    """Sends events as Octavia's controller worker does; nothing is connected before the first.

    :param conf: Octavia's configuration
    :raises BadConfiguration: naming what is missing or wrong
    """

    def __init__(self, conf: cfg.ConfigOpts = cfg.CONF) -> None:
        # Parts of Octavia, loaded only when notifications are enabled.
        import oslo_messaging  # noqa: PLC0415
        from oslo_context.context import RequestContext  # noqa: PLC0415

        oslo_messaging.set_transport_defaults(control_exchange="octavia")
        try:
            self._transport = oslo_messaging.get_notification_transport(conf)
            options = conf.oslo_messaging_notifications
            _check_driver(options.driver)
            # Without end, oslo.messaging would not even try the second server of a cluster.
            retry = max(_SERVERS, options.retry)
            self._notifier = oslo_messaging.Notifier(self._transport, retry=retry)
        except cfg.Error as error:
            raise BadConfiguration(str(error)) from error
        except ValueError as error:  # its text may contain a part of the password
            raise BadConfiguration("transport_url cannot be parsed") from error
        except (oslo_messaging.MessagingException, ImportError) as error:
            raise BadConfiguration(f"oslo.messaging cannot be used: {error}") from error
        self._context = RequestContext

    def send(self, event: Event, payload: Payload) -> None:
        """Send an event, see :class:`Broker`."""
        context = self._context(project_id=payload["project_id"], overwrite=False)
        with _given_up() as errors:
            self._notifier.info(context, event.value, payload)
        for error in errors:
            if isinstance(error, _OF_PAYLOAD) and not isinstance(error, (OSError, cfg.Error)):
                raise error
            raise Unavailable(f"The message broker has not taken one: {error}") from error

    def close(self) -> None:
        """End the connection."""
        self._transport.cleanup()


def _check_driver(names: Sequence[str]) -> None:
    """Refuse drivers that oslo.messaging does not have: it would send nothing, without an error.

    :raises BadConfiguration: naming the option
    """
    known = {each.name for each in importlib.metadata.entry_points(group=_DRIVERS)}
    if not known.intersection(names):
        given = ", ".join(filter(None, names))
        problem = f"has no {given}" if given else "is not set"
        msg = f"[oslo_messaging_notifications] driver {problem}: set it to messagingv2"
        raise BadConfiguration(msg)


@contextlib.contextmanager
def _given_up() -> Iterator[list[BaseException]]:
    """Collect the errors by which oslo.messaging gives messages up: it only logs them."""
    errors: list[BaseException] = []
    thread = threading.get_ident()

    def keep(record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if error is None or threading.get_ident() != thread:
            return True
        errors.append(error)
        return False

    loggers = [logging.getLogger(f"oslo_messaging.notify.{each}") for each in _LOGGERS]
    for each in loggers:
        each.addFilter(keep)
    try:
        yield errors
    finally:
        for each in loggers:
            each.removeFilter(keep)
