# SPDX-License-Identifier: Apache-2.0
"""Which component an HTTP error comes from, and what it means for the request.

Only the service itself knows whether an object exists and what its policy forbids. Proxies,
middleware and a service that has not started wholly answer with the same status codes, but not in
the service's own format: such an answer says nothing about the object, and the request is repeated.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass


class Meaning(enum.Enum):
    """What an error means for a request."""

    LATER = "the service cannot answer now"
    FOREIGN = "something in front of the service has answered"
    ACCOUNT = "the service does not accept the token"
    FORBIDDEN = "the service's policy does not allow it"
    MISSING = "the object does not exist"
    TAKEN = "something else holds what was asked for"
    REFUSED = "the service will not do it"


@dataclass(frozen=True, slots=True)
class Fault:
    """An error in the service's own words.

    :param kind: its type, such as `PortNotFound`; empty if the service names none
    :param message: a sentence
    """

    kind: str
    message: str


Reader = Callable[[Mapping[str, object]], "Fault | None"]
"""Returns the fault in the body of an answer; None for a body that is not the service's own."""


def neutron(body: Mapping[str, object]) -> Fault | None:
    """Read an error of Neutron's API."""
    for value in (body.get("NeutronError"), body.get("NotImplementedError")):
        if isinstance(value, Mapping):
            return Fault(str(value.get("type", "")), str(value.get("message", "")))
        if isinstance(value, str):
            return Fault("", value)
    # What policy hides from a GET is not wrapped.
    if body.keys() == {"type", "message", "detail"}:
        return Fault(str(body["type"]), str(body["message"]))
    return None


def octavia(body: Mapping[str, object]) -> Fault | None:
    """Read an error of Octavia's API."""
    message = body.get("faultstring")
    # What Octavia raises before it has found the controller of a path is formatted by Pecan or
    # WebOb; all of it has this title, with any status.
    if message is None and body.get("title") == "Bad Request":
        message = body.get("description") or body.get("message", "")
        message = str(message).rpartition("<br />")[2].strip()
    if message is None:
        return None
    kind = "NotFound" if "not found" in str(message).lower() else ""
    return Fault(kind, str(message))


READERS: Mapping[str, Reader] = {"network": neutron, "load-balancer": octavia}
"""Service type in Keystone's catalog → how its errors are read."""

_RULES: tuple[tuple[str, str, Meaning], ...] = (
    ("401", ".*", Meaning.ACCOUNT),
    ("403", ".*", Meaning.FORBIDDEN),
    # "The resource could not be found": hidden by policy, or Neutron lacks the extension.
    ("404", "HTTPNotFound", Meaning.FORBIDDEN),
    ("404", r"\w*NotFound(On\w+)?", Meaning.MISSING),
    # No other object is in the way of OverQuota or an exhausted subnet: another name does not help.
    ("409", "OverQuota|IpAddressGenerationFailure.*", Meaning.REFUSED),
    # Several errors in one, as when OVN refuses a port; a generated MAC that is taken.
    ("409", "Conflict|MacAddressInUse", Meaning.LATER),
    ("409", ".*", Meaning.TAKEN),
    ("408|412|42[359]", ".*", Meaning.LATER),
    ("501", ".*", Meaning.REFUSED),
    ("5..", ".*", Meaning.LATER),
    (".*", ".*", Meaning.REFUSED),
)
"""Status, kind of fault → what it means; the first line that fits. For the service's own errors."""


def meaning(status: int, fault: Fault | None) -> Meaning:
    """Return what an answer means.

    :param status: HTTP status code, 400 or more
    :param fault: as a :data:`Reader` has read it
    """
    if fault is None:
        # Keystone's middleware checks tokens for the service.
        return Meaning.ACCOUNT if status == 401 else Meaning.FOREIGN  # noqa: PLR2004
    return next(
        found
        for code, kind, found in _RULES
        if re.fullmatch(code, str(status)) and re.fullmatch(kind, fault.kind)
    )
