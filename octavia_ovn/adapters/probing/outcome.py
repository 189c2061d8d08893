# SPDX-License-Identifier: Apache-2.0
"""How a probe ends when it does not succeed: the member's fault, or not."""

from __future__ import annotations

import errno
import os

_OF_MEMBERS = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset",
    errno.ECONNABORTED: "connection reset",
    errno.EPIPE: "connection closed",
    errno.EHOSTUNREACH: "host unreachable",
    errno.ETIMEDOUT: "no answer",
}
"""Errors of sockets that speak against the member; others have their cause on this host."""


class Failed(Exception):
    """The member did not answer as it should; the message says what happened."""


class NotDone(Exception):
    """The probe could not be made, and says nothing about the member; the message says why.

    :param usual: whether it is expected, or in the log already
    """

    def __init__(self, reason: str, *, usual: bool = False) -> None:
        super().__init__(reason)
        self.usual = usual


def verdict(error: OSError) -> Failed | NotDone:
    """Return what an error of a socket says."""
    reason = _OF_MEMBERS.get(error.errno or 0)
    if reason is not None:
        return Failed(reason)
    return NotDone(os.strerror(error.errno) if error.errno else str(error))
