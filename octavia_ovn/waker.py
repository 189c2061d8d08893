# SPDX-License-Identifier: Apache-2.0
"""Wakes a loop that waits."""

from __future__ import annotations

import os
import threading

import ovs.poller


class Waker:
    """Wakes the main loop from other threads."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._lock = threading.Lock()
        self._closed = False

    def wake(self) -> None:
        """Make the loop's wait return."""
        with self._lock:
            if self._closed:
                return
            try:
                os.write(self._write, b"!")
            except BlockingIOError:
                # The pipe is full: the loop is about to wake up anyway.
                return

    def wait(self, poller: ovs.poller.Poller) -> None:
        """Have the poller return when the loop is woken."""
        poller.fd_wait(self._read, ovs.poller.POLLIN)

    def clear(self) -> None:
        """Take note of having woken up."""
        try:
            while os.read(self._read, 4096):
                pass
        except BlockingIOError:
            return

    def close(self) -> None:
        """Close the pipe; threads that end later wake nothing any more."""
        with self._lock:
            self._closed = True
            os.close(self._read)
            os.close(self._write)
