# SPDX-License-Identifier: Apache-2.0
"""The project's own errors: whose fault, and whether a retry can help.

Outside libraries have their own exceptions; adapters turn them into these, with the original as
cause, so that nothing above the adapters depends on a library's hierarchy.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from octavia_ovn.core.text import plain


class OctaviaOvnError(Exception):
    """The base of this package's errors; the message is a sentence for operators.

    It may quote what a tenant or another service has written, and ends in logs and on terminals.

    :cvar tenant: what a tenant reads instead, where the message may name servers, paths and
        options; empty where the message itself is for tenants, too
    """

    tenant = ""

    def __str__(self) -> str:
        """Return the message without control characters."""
        return plain(super().__str__())


def failure(work: Callable[[], object]) -> OctaviaOvnError | None:
    """Call a function; return the :class:`OctaviaOvnError` that it raises, to be logged.

    oslo.log appends an error that is being handled to each warning, with its class: a line that
    names the error itself says it once only where the handler has been left.
    """
    try:
        work()
    except OctaviaOvnError as error:
        return error
    return None


class Unavailable(OctaviaOvnError):
    """A service did not answer, or answered that it cannot serve now: trying again later helps."""

    tenant = "A service that the provider needs does not answer now; nothing has changed."


class Unanswered(Unavailable):
    """A request was sent and no answer came: whether it was executed is not known."""

    tenant = (
        "A service that the provider needs did not answer, so whether anything has changed is not"
        " known. Check the load balancer before you try again."
    )


class Changed(OctaviaOvnError):
    """What a transaction was decided on has changed meanwhile: read and decide again."""


class Refused(OctaviaOvnError):
    """A service understood the request and will not do it: trying the same again does not help."""


class NotFound(Refused):
    """What was asked for does not exist."""


class Conflict(Refused):
    """Something else holds what was asked for, such as an address or a port."""


class BadConfiguration(OctaviaOvnError):
    """An option is missing or wrong; the message names it and says what to set."""

    tenant = "The provider is not configured rightly; the log of Octavia's API says more."


@contextlib.contextmanager
def undoing(undo: Callable[[], object]) -> Iterator[None]:
    """Undo what was prepared for a request if the block, which records it, fails with any error.

    After :class:`Unanswered` it may be recorded: the comparison of the agent finds out.

    :param undo: does not raise
    """
    try:
        yield
    except Unanswered:
        raise
    except Exception:  # each error, also a defect: what was prepared must not be left
        undo()
        raise
