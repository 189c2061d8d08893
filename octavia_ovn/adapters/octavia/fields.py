# SPDX-License-Identifier: Apache-2.0
"""The fields of Octavia's objects, as tables: which field of the model each one sets, and how.

One table serves creating and changing: a field that is absent sets nothing. `Unset` ends here.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from octavia_lib.api.drivers import data_models
from octavia_lib.common import constants

from octavia_ovn.core import ip, model
from octavia_ovn.core.request import limits
from octavia_ovn.core.request.patches import Patch

T = TypeVar("T")
Fields = Mapping[str, Any]
Table = tuple[tuple[str, str, Callable[[Any], Any]], ...]
"""Octavia's name of a field, the model's name, and the function that converts the value."""

_APPLICATIONS = {each.value for each in model.Application}
_UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_NOT_NULL = frozenset(
    {
        "address",
        "delay",
        "lb_algorithm",
        "max_retries",
        "protocol",
        "protocol_port",
        "timeout",
        "type",
    }
)
"""Fields without a default: where a request says null, Octavia's database refuses the object."""
_FULL_MASKS = {"255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "/32", "/128"}


@dataclass(frozen=True, slots=True)
class DriverDefaults:
    """What the operator has decided about the meaning of requests.

    :param usual: the values of options that ask for nothing
    """

    persistence: model.Mechanism = model.Mechanism.HASH
    usual: limits.Usual = limits.BUILT_IN


def canonical_ids(value: Any) -> Any:
    """Return a value of Octavia's with the UUIDs in it in lower case; models are changed.

    Octavia and Neutron compare ids without regard to case, and Octavia passes on those of a request
    as they are. In OVN and in the rows an id in capitals would be another object.
    """
    if isinstance(value, str):
        lower = value.lower()
        return lower if lower != value and _UUID.fullmatch(value) else value
    if isinstance(value, dict):
        return {key: canonical_ids(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(canonical_ids(each) for each in value)
    if isinstance(value, data_models.BaseDataModel):
        for name, each in vars(value).items():
            setattr(value, name, canonical_ids(each))
    return value


def fields(*sources: data_models.BaseDataModel | Fields) -> dict[str, Any]:
    """Return the fields that are set, those of later objects over those of earlier ones.

    Octavia's get socket delivers unset fields as None; None therefore counts as set only in an
    object of the API.
    """
    found: dict[str, Any] = {}
    for source in sources:
        items = source if isinstance(source, Mapping) else vars(source)
        found.update(
            {
                key: value
                for key, value in items.items()
                if not isinstance(value, data_models.UnsetType)
            }
        )
    return found


def valid(build: Callable[[], T]) -> T:
    """Return what is built; what is wrong with it becomes the user's error.

    :raises Unsupported: when it cannot be built
    """
    try:
        return build()
    except (ValueError, TypeError, ipaddress.AddressValueError) as error:
        raise limits.Unsupported(str(error)) from error


def patch(kind: type[T], table: Table, values: Fields) -> Patch[T]:
    """Return what values set of an object.

    :raises Unsupported: when a value is wrong, or is something that OVN cannot do
    """
    null = [name for name, *_ in table if name in _NOT_NULL and values.get(name, "") is None]
    if null:
        raise limits.refuse(limits.NULL, option=min(null))
    return valid(
        lambda: Patch(
            kind,
            {ours: convert(values[name]) for name, ours, convert in table if name in values},
        )
    )


def problems(table: Table, values: Fields) -> Iterator[str]:
    """Yield a sentence for each value that is wrong, or is something that OVN cannot do."""
    for name, _, convert in table:
        if name in values:
            try:
                convert(values[name])
            except (limits.Unsupported, ValueError, TypeError) as error:
                yield f"{name}: {error}"


def names(table: Table) -> frozenset[str]:
    """Return Octavia's names of the fields of a table."""
    return frozenset(name for name, _, _ in table)


# --- values. None requests the default, as in Octavia ------------------------------------------


def _same(value: Any) -> Any:
    return value


def _or(default: T) -> Callable[[T | None], T]:
    return lambda value: default if value is None else value


def enabled(value: bool | None) -> bool:
    """Return an administrative state."""
    return value is not False


def _or_none(value: T | None) -> T | None:
    return value or None


def _limit(value: int | None) -> int | None:
    # Amphora, too, takes 0 for no limit; new ones are refused.
    return value if value and value > 0 else None


def _networks(value: Any) -> tuple[str, ...]:
    return ip.canonical_networks(value or ())


def _address_or_none(value: str | None) -> str | None:
    return ip.canonical_address(value) if value else None


def _codes(value: str | None) -> str | None:
    # Octavia lets blanks pass around the commas.
    return re.sub(r"\s", "", value) if value else None


def _http_version(value: float | None) -> str | None:
    return f"{value:.1f}" if value else None


def _application(name: str) -> model.Application | None:
    return model.Application(name) if name in _APPLICATIONS else None


def _protocol(name: str) -> model.Protocol:
    if name in _APPLICATIONS:
        return model.Protocol.TCP
    try:
        return model.Protocol[name]
    except KeyError:
        sentence = limits.METRICS if name == constants.PROTOCOL_PROMETHEUS else limits.PROTOCOLS
        raise limits.refuse(sentence, value=name) from None


Choice = TypeVar("Choice", model.Algorithm, model.MonitorType)


def _choice(kind: type[Choice], sentence: str) -> Callable[[str], Choice]:
    def choose(name: str) -> Choice:
        try:
            return kind(name)
        except ValueError:
            raise limits.refuse(sentence, value=name) from None

    return choose


def _persistence(
    defaults: DriverDefaults,
) -> Callable[[Fields | None], Patch[model.SessionPersistence] | None]:
    def read(value: Fields | None) -> Patch[model.SessionPersistence] | None:
        if not value:
            return None
        if value.get("type") != "SOURCE_IP":
            raise limits.refuse(limits.PERSISTENCE, value=value.get("type"))
        granularity = value.get("persistence_granularity")
        if granularity and granularity not in _FULL_MASKS:
            raise limits.refuse(limits.GRANULARITY, value=granularity)
        found: dict[str, object] = {"mechanism": defaults.persistence}
        # Octavia keeps the time-out that it has when a request names none.
        if "persistence_timeout" in value:
            found["timeout"] = value["persistence_timeout"] or None
        return Patch(model.SessionPersistence, found)

    return read


# --- the tables ---------------------------------------------------------------------------------

LISTENER: Table = (
    ("listener_id", "id", _same),
    ("protocol", "protocol", _protocol),
    ("protocol", "application", _application),
    ("protocol_port", "port", _same),
    ("default_pool_id", "pool_id", _or_none),
    ("admin_state_up", "enabled", enabled),
    ("allowed_cidrs", "allowed_cidrs", _networks),
    ("connection_limit", "connection_limit", _limit),
)

MEMBER: Table = (
    ("member_id", "id", _same),
    ("address", "address", ip.canonical_address),
    ("protocol_port", "port", _same),
    ("subnet_id", "subnet_id", _or_none),
    ("weight", "weight", _or(1)),
    ("backup", "backup", bool),
    ("admin_state_up", "enabled", enabled),
    ("monitor_address", "monitor_address", _address_or_none),
    ("monitor_port", "monitor_port", _or_none),
)

HEALTH_MONITOR: Table = (
    ("healthmonitor_id", "id", _same),
    ("type", "type", _choice(model.MonitorType, limits.MONITORS)),
    ("delay", "delay", _same),
    ("timeout", "timeout", _same),
    ("max_retries", "max_retries", _same),
    ("max_retries_down", "max_retries_down", _or(3)),
    ("admin_state_up", "enabled", enabled),
    ("http_method", "http_method", _or_none),
    ("url_path", "url_path", _or_none),
    ("expected_codes", "expected_codes", _codes),
    ("http_version", "http_version", _http_version),
    ("domain_name", "domain_name", _or_none),
)


def pool(defaults: DriverDefaults) -> Table:
    """Return the table of a pool itself, without its members and its monitor."""
    return (
        ("pool_id", "id", _same),
        ("protocol", "protocol", _protocol),
        ("protocol", "application", _application),
        ("lb_algorithm", "algorithm", _choice(model.Algorithm, limits.ALGORITHMS)),
        ("session_persistence", "persistence", _persistence(defaults)),
        ("admin_state_up", "enabled", enabled),
    )
