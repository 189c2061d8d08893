# SPDX-License-Identifier: Apache-2.0
"""The description of a probe: what to ask of a member, from where, and how often."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from octavia_ovn.core import model
from octavia_ovn.core.ip import canonical_address
from octavia_ovn.core.model import HTTP_FORMS, MonitorType

_MAC = re.compile("[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_MOST = 1 << 16
"""More than any port, and than any time or count that Octavia accepts for checks."""
MAX_ID = 64
"""Characters of an id: those of Octavia and Neutron have 36."""


def check_id(value: str) -> None:
    """Refuse an id that is none, or so long that messages and memory would grow with it.

    :raises ValueError: when it is one
    """
    model.check_id(value)
    if len(value) > MAX_ID:
        msg = f"an id of {len(value)} characters"
        raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Source:
    """The port that probes of a subnet's members come from: a localport, bound on each chassis.

    :param port: the id of the Neutron port, and name of the switch port
    :param address: with the length of the subnet's prefix, such as `10.0.0.7/24`
    """

    port: str
    mac: str
    address: str

    def __post_init__(self) -> None:
        check_id(self.port)
        if not _MAC.fullmatch(self.mac):
            msg = f"{self.mac!r} is not a MAC address"
            raise ValueError(msg)
        if str(ipaddress.ip_interface(self.address)) != self.address:
            msg = f"{self.address!r} is not an address with a prefix"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Probe:
    """A probe of one member.

    :param id: of the member
    :param address: of the member, in the subnet of the source: a probe reaches nothing else
    :param port: 0 for PING, which has none
    :param delay: seconds from one probe to the next
    :param timeout: seconds for an answer
    :param rise: successes in a row until the member is UP
    :param fall: failures in a row until it is DOWN
    :param http_method: this and the rest as in :class:`octavia_ovn.core.model.HealthMonitor`
    """

    id: str
    source: Source
    address: str
    port: int
    type: MonitorType
    delay: int
    timeout: int
    rise: int
    fall: int
    http_method: str = "GET"
    url_path: str = "/"
    expected_codes: str = "200"
    http_version: str | None = None
    domain_name: str | None = None

    def __post_init__(self) -> None:
        check_id(self.id)
        for name, least in _NUMBERS:
            if not least <= getattr(self, name) < _MOST:
                msg = f"{getattr(self, name)!r} is not valid in {name}"
                raise ValueError(msg)
        _check_target(self)
        for name, form in HTTP_FORMS.items():
            text = getattr(self, name)
            if text is not None and not form.fullmatch(text):
                msg = f"{text!r} is not valid in {name}"
                raise ValueError(msg)

    @property
    def version(self) -> str:
        """A digest of all fields: results of another version say nothing about this one."""
        text = json.dumps(write(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def expects(self, code: int) -> bool:
        """Whether an HTTP answer with that status code is a success."""
        low, _, high = self.expected_codes.partition("-")
        if high:
            return int(low) <= code <= int(high)
        return str(code) in self.expected_codes.split(",")


_NUMBERS = (("port", 0), ("delay", 1), ("timeout", 1), ("rise", 1), ("fall", 1))


def _check_target(probe: Probe) -> None:
    """Refuse a target outside of the source's subnet, and one that is no member's.

    :raises ValueError: when it is one
    """
    source = ipaddress.ip_interface(probe.source.address)
    target = ipaddress.ip_address(probe.address)
    special = target.is_link_local or target.is_loopback or target.is_multicast
    if (
        canonical_address(probe.address) != probe.address
        or target not in source.network
        or target == source.ip
        or special
    ):
        msg = f"{probe.address!r} cannot be probed from {probe.source.address}"
        raise ValueError(msg)


def write(probe: Probe) -> dict[str, Any]:
    """Return a probe for JSON."""
    return {key: value for key, value in asdict(probe).items() if value is not None}


_STRINGS = frozenset({"id", "address", *HTTP_FORMS})


def read(values: Mapping[str, Any]) -> Probe:
    """Return the probe that :func:`write` wrote.

    :raises ValueError: and LookupError, TypeError when the values are nonsense
    """
    known = {each.name for each in fields(Probe)}
    for key, value in values.items():
        wanted = str if key in _STRINGS else int
        if key not in known or (key not in ("type", "source") and type(value) is not wanted):
            msg = f"{key!r} is not valid in a probe"
            raise ValueError(msg)
    rest = {**values, "type": MonitorType(values["type"]), "source": Source(**values["source"])}
    return Probe(**rest)
