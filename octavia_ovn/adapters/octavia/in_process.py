# SPDX-License-Identifier: Apache-2.0
"""Octavia's own functions, called in the process of the provider agent.

The provider agent is a child of octavia-driver-agent, with Octavia's code and configuration loaded.
A server of the sockets forks a process for each request, which calls one function: 150 ms and more.
The call itself takes 2 ms. Only the functions that those servers call are used, and only where they
are loaded already: nothing here imports Octavia, so API workers and commands use the sockets.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent import futures
from operator import attrgetter
from types import ModuleType
from typing import Any

from oslo_config import cfg

from octavia_ovn.adapters.octavia.transport import TIMEOUT, Service, Transport
from octavia_ovn.errors import OctaviaOvnError, Unanswered, Unavailable
from octavia_ovn.supervised import SupervisedThread

LOG = logging.getLogger(__name__)

_MAX_CALLS = 50
"""As many as a socket of octavia-driver-agent has child processes by default, and fewer than the
connections in oslo.db's pool by default."""
STATUS_TIMEOUT = 300.0
"""Seconds for a status that Octavia has begun to write. While it waits for a lock, which PostgreSQL
has it do for as long as it takes, the same again would count quotas down twice, and a later status
could be overtaken."""
_UPDATER = "octavia.api.drivers.driver_agent.driver_updater"
_GET = "octavia.api.drivers.driver_agent.driver_get"
SIGNATURES = (
    (_UPDATER, "DriverUpdater", "(**kwargs)"),
    (_UPDATER, "DriverUpdater.update_loadbalancer_status", "(self, status)"),
    (_UPDATER, "DriverUpdater.update_listener_statistics", "(self, statistics)"),
    (_GET, "process_get", "(get_data)"),
)
"""Functions of Octavia 15 to 19 by module and name."""


class InProcess:
    """Calls Octavia's functions.

    Each call has a thread of its own: a database can have it wait for a lock for longer than the
    caller may wait, and a thread cannot be interrupted.

    :param updater: Octavia's class `DriverUpdater`
    :param get: Octavia's function `process_get`
    :param timeout: seconds for one request
    :param status_timeout: the same for a status that has begun
    :param max_calls: most calls at a time, including those whose caller has given up
    """

    def __init__(
        self,
        updater: Callable[[], Any],
        get: Callable[[dict[str, Any]], object],
        timeout: float = TIMEOUT,
        status_timeout: float = STATUS_TIMEOUT,
        max_calls: int = _MAX_CALLS,
    ) -> None:
        from oslo_serialization import jsonutils  # noqa: PLC0415 - see database_errors

        self._database_errors = database_errors()
        self._dumps: Callable[[object], str] = jsonutils.dumps
        self._updater = updater
        self._get = get
        self._timeout = timeout
        self._status_timeout = status_timeout
        self._slots = threading.BoundedSemaphore(max_calls)
        self._connecting = threading.Lock()
        self._connected = False

    def ask(self, service: Service, request: Mapping[str, object]) -> dict[str, Any]:
        """Return the answer to a request, see :class:`Transport`.

        :raises Exception: any error of Octavia except those of its database
        """
        began = time.monotonic()
        answer: futures.Future[dict[str, Any]] = futures.Future()
        self._start(answer, service, json.dumps(request))
        futures.wait([answer], max(0.0, began + self._timeout - time.monotonic()))
        if answer.cancel():
            raise Unavailable(f"Octavia's database was not reached within {self._timeout:g} s")
        if service is Service.STATUS:
            futures.wait([answer], max(0.0, began + self._status_timeout - time.monotonic()))
        if not answer.done():
            waited = time.monotonic() - began
            raise Unanswered(f"Octavia's database did not answer within {waited:.0f} s")
        try:
            return answer.result()
        except self._database_errors as error:
            raise Unavailable(f"Octavia's database does not serve: {error}") from error

    def _start(self, answer: futures.Future[dict[str, Any]], service: Service, body: str) -> None:
        if not self._slots.acquire(timeout=self._timeout):
            raise Unavailable(f"Octavia's database was not reached within {self._timeout:g} s")
        try:
            SupervisedThread(lambda: self._run(answer, service, body), "octavia").start()
        except RuntimeError as error:  # the system has no threads left
            self._slots.release()
            raise Unavailable(f"Octavia cannot be called: {error}") from error

    def _run(self, answer: futures.Future[dict[str, Any]], service: Service, body: str) -> None:
        """Answer a request, unless its caller has given up before Octavia could be called."""
        try:
            self._connect()
            if answer.set_running_or_notify_cancel():
                answer.set_result(self._call(service, json.loads(body)))
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            if answer.running() or answer.set_running_or_notify_cancel():
                answer.set_exception(error)
        finally:
            self._slots.release()

    def _connect(self) -> None:
        """Have Octavia set up its connection pool, which it must not do in two threads at once."""
        if self._connected:
            return
        with self._connecting:
            if not self._connected:
                self._updater()
                self._connected = True

    def _call(self, service: Service, request: dict[str, Any]) -> dict[str, Any]:
        answer = self._get(request) if service is Service.GET else self._update(service, request)
        copy = json.loads(self._dumps(answer))
        if not isinstance(copy, dict):
            raise TypeError(f"Octavia answers {copy!r}")
        return copy

    def _update(self, service: Service, request: dict[str, Any]) -> object:
        updater = self._updater()
        # After some errors Octavia leaves a transaction open: its own process ends with it.
        with contextlib.closing(updater.db_session):
            if service is Service.STATUS:
                return updater.update_loadbalancer_status(request)
            return updater.update_listener_statistics(request)


def database_errors() -> tuple[type[Exception], ...]:
    """Return the errors of Octavia's database layer.

    Processes that do not load Octavia need not have its parts.
    """
    from oslo_db.exception import DBError  # noqa: PLC0415
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    return DBError, SQLAlchemyError


class Fallback:
    """Uses one transport until it fails in a way that is not foreseen, another one from then on.

    A status is not sent again at once: Octavia may have counted quotas down for a part of it.

    :param first: any exception of it other than :mod:`octavia_ovn.errors` ends its use
    :param second: used instead
    """

    def __init__(self, first: Transport, second: Transport) -> None:
        self._transport = self._first = first
        self._second = second
        self._lock = threading.Lock()

    def ask(self, service: Service, request: Mapping[str, object]) -> dict[str, Any]:
        """Return the answer to a request, see :class:`Transport`."""
        transport = self._transport
        try:
            return transport.ask(service, request)
        except OctaviaOvnError:
            raise
        except Exception as error:
            if transport is self._second:
                raise
            self._switch(service, error)
            if service is Service.STATUS:
                raise Unanswered(f"Octavia's code has failed: {error!r}") from error
        return self._second.ask(service, request)

    def _switch(self, service: Service, error: Exception) -> None:
        with self._lock:
            if self._transport is self._second:
                return
            self._transport = self._second
        LOG.error(
            "A call of Octavia's code in this process failed (%s); the sockets of"
            " octavia-driver-agent are used from now on",
            service.value,
            exc_info=error,
        )


def choose(path: str, sockets: Transport, conf: cfg.ConfigOpts = cfg.CONF) -> Transport:
    """Return the transport for this process, and log which one it is.

    :param path: `auto` or `socket`, see `[ovn] status_path`
    :param sockets: used where Octavia's functions cannot be called
    :param conf: the configuration that Octavia's database layer reads
    """
    loaded = sys.modules
    if path == "socket" or not {_UPDATER, _GET} <= loaded.keys():
        LOG.debug("Octavia is reached through the sockets of octavia-driver-agent")
        return sockets
    problem = _problem(loaded, conf)
    if problem:
        LOG.warning("Octavia is reached through the sockets of octavia-driver-agent: %s", problem)
        return sockets
    LOG.info("Octavia is reached in this process, without the sockets of octavia-driver-agent")
    direct = InProcess(loaded[_UPDATER].DriverUpdater, loaded[_GET].process_get)
    return Fallback(direct, sockets)


def _problem(loaded: Mapping[str, ModuleType], conf: cfg.ConfigOpts) -> str:
    """Return why Octavia's functions cannot be called; empty if they can."""
    for module, name, expected in SIGNATURES:
        try:
            found = str(inspect.signature(attrgetter(name)(loaded[module])))
        except (AttributeError, TypeError, ValueError) as error:
            return f"{module}.{name} is not usable ({error})"
        if found != expected:
            return f"{module}.{name} has the parameters {found}, not {expected}"
    try:
        configured = bool(conf.database.connection)
    except cfg.NoSuchOptError:
        configured = False
    return "" if configured else "[database] connection is not set"
