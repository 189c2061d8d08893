"""The project's own errors: whose fault, and whether a retry can help.

Outside libraries have their own exceptions; adapters turn them into these, with the original as
cause, so that nothing above the adapters depends on a library's hierarchy.
"""

from __future__ import annotations

from octavia_ovn.core.text import plain


class OctaviaOvnError(Exception):
    """Any error of ours; the message is a sentence that an operator can act on.

    It may quote what a tenant or another service has written, and ends in logs and on terminals.
    """

    def __str__(self) -> str:
        """Return the message, in which nothing does anything but be seen."""
        return plain(super().__str__())


class Unavailable(OctaviaOvnError):
    """A service did not answer, or answered that it cannot serve now: trying again later helps."""


class Unanswered(Unavailable):
    """A request was sent and no answer came: whether it was executed is not known."""


class Refused(OctaviaOvnError):
    """A service understood the request and will not do it: trying the same again does not help."""


class NotFound(Refused):
    """What was asked for does not exist."""


class Conflict(Refused):
    """Something else holds what was asked for, such as an address or a port."""


class BadConfiguration(OctaviaOvnError):
    """An option is missing or wrong; the message names it and says what to set."""
