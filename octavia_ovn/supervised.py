# SPDX-License-Identifier: Apache-2.0
"""How this project runs threads: no error ends one, and none keeps the process from ending."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

from octavia_ovn.core.backoff import backoff
from octavia_ovn.errors import Unavailable
from octavia_ovn.observer import SILENT, Observer

LOG = logging.getLogger(__name__)

FIRST_PAUSE = 0.5
"""Seconds between a crash and the next run of the body; doubled with every crash in a row."""
LONGEST_PAUSE = 30.0
_SOUND = 60.0
"""Seconds after which a run that crashes counts as the first crash again."""


class SupervisedThread:
    """A daemon thread that ends when its body returns or when it is stopped, never by an error.

    A crash of the body is logged with its traceback and counted, and the body is run again after a
    pause. What the body must clean up in any case belongs into its own `finally`.

    :param body: does the work; returns when there is none left
    :param name: of the thread, and of its crashes in logs and metrics; threads that share it count
        as one
    :param observer: is notified of crashes
    """

    def __init__(self, body: Callable[[], object], name: str, observer: Observer = SILENT) -> None:
        self._body = body
        self.name = name
        self._observer = observer
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin; once only."""
        self._thread.start()

    def stop(self) -> None:
        """Run the body no more after a crash; a running body is stopped by its owner."""
        self._stopped.set()

    def join(self, timeout: float) -> None:
        """Wait until the thread has ended, for that many seconds at most; 0 does not wait."""
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _run(self) -> None:
        crashes = 0
        while not self._stopped.is_set():
            began = time.monotonic()
            try:
                self._body()
            # What this class is for: no error ends the thread.
            except Exception:
                if time.monotonic() - began >= _SOUND:
                    crashes = 0
                pause = backoff(crashes, FIRST_PAUSE, LONGEST_PAUSE)
                crashes += 1
                LOG.exception("The thread %s crashed; it runs again in %.1f s", self.name, pause)
                self._observer.crashes(self.name)
                self._stopped.wait(pause)
            else:
                return


class DaemonExecutor(Executor):
    """Runs each task in a daemon thread of its own; its caller bounds their number.

    :param name: of the threads
    :param observer: is notified of crashes
    """

    def __init__(self, name: str, observer: Observer = SILENT) -> None:
        self._name = name
        self._observer = observer

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Start a task; it fails with Unavailable when the system has no threads left."""
        future: Future[Any] = Future()

        def run() -> None:
            try:
                future.set_result(function(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - it is raised where the result is used
                future.set_exception(error)

        try:
            SupervisedThread(run, self._name, self._observer).start()
        except RuntimeError as error:
            future.set_exception(Unavailable(f"No thread can be started: {error}"))
        return future
