# SPDX-License-Identifier: Apache-2.0
"""Access to OpenStack services: the options of keystoneauth, and their predecessors."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from keystoneauth1 import loading
from keystoneauth1.exceptions import NoMatchingPlugin
from oslo_config import cfg

from octavia_ovn.config.reader import Reader
from octavia_ovn.errors import BadConfiguration

FALLBACK = "service_auth"
_HTTP_TIMEOUT = 10.0
_PREDECESSORS: Mapping[str, tuple[str, Callable[[str], object]]] = {
    "endpoint_override": ("endpoint", str),
    "cafile": ("ca_certificates_file", str),
    "valid_interfaces": ("endpoint_type", lambda kind: [kind.removesuffix("URL")]),
}
"""Deprecated names in `[neutron]`, and how to read their values."""

NEUTRON_OPTS = [
    cfg.StrOpt(
        "endpoint",
        help="URL of Neutron, instead of the one in Keystone's catalog.",
        deprecated_for_removal=True,
        deprecated_reason="endpoint_override replaces it.",
    ),
    cfg.StrOpt(
        "endpoint_type",
        help="Interface of Neutron in Keystone's catalog.",
        deprecated_for_removal=True,
        deprecated_reason="valid_interfaces replaces it.",
    ),
    cfg.StrOpt(
        "ca_certificates_file",
        help="CA certificates that Neutron is verified with.",
        deprecated_for_removal=True,
        deprecated_reason="cafile replaces it.",
    ),
]


@dataclass(frozen=True, slots=True)
class Service:
    """Access to an OpenStack service.

    :param section: the section that the options come from, for messages
    :param auth_type: keystoneauth's name of the way to authenticate; empty when none is set
    :param auth: the options of that way, with secrets
    :param cafile: path of a PEM file, or None; so are the next two
    :param insecure: whether the certificate of an HTTPS endpoint goes unverified
    :param timeout: seconds for connecting and for each wait for data
    :param interfaces: names in order of preference; empty means keystoneauth's default
    """

    section: str
    auth_type: str
    auth: Mapping[str, Any] = field(repr=False)
    cafile: str | None
    certfile: str | None
    keyfile: str | None
    insecure: bool
    timeout: float
    region_name: str | None
    interfaces: tuple[str, ...]
    endpoint_override: str | None


def service_opts() -> list[cfg.Opt]:
    """Return the options by which any service is reached."""
    return [
        *loading.get_session_conf_options(),
        *loading.get_adapter_conf_options(include_deprecated=False),
        *loading.get_auth_common_conf_options(),
    ]


def service(reader: Reader, section: str) -> Service:
    """Return how to reach the service of a section.

    A section without credentials of its own borrows what it does not set from `[service_auth]`, as
    deployments that were configured before Octavia had complete `[neutron]` sections rely on. One
    with credentials borrows nothing: half of one account and half of another is neither.
    """
    auth_type = _auth_type(reader, section)
    opts = _plugin_options(auth_type, section)
    auth = _auth_values(reader, section, opts)
    sections = [section]
    if section != FALLBACK and _is_incomplete(opts, auth):
        sections.append(FALLBACK)
        auth = {**_auth_values(reader, FALLBACK, opts), **auth}

    def first(name: str) -> Any:
        values = (_service_option(reader, each, name) for each in sections)
        return next((value for value in values if value), None)

    return Service(
        section=section,
        auth_type=auth_type or "",
        auth=auth,
        cafile=first("cafile"),
        certfile=first("certfile"),
        keyfile=first("keyfile"),
        insecure=bool(first("insecure")),
        timeout=reader.get(section, "timeout") or _HTTP_TIMEOUT,
        region_name=first("region_name"),
        interfaces=tuple(first("valid_interfaces") or ()),
        endpoint_override=_service_option(reader, section, "endpoint_override"),
    )


def _service_option(reader: Reader, section: str, name: str) -> Any:
    """Return an option of keystoneauth, or that of its deprecated predecessor in `[neutron]`."""
    value = reader.get(section, name)
    if value or section != "neutron" or name not in _PREDECESSORS:
        return value
    predecessor, converted = _PREDECESSORS[name]
    old = reader.get(section, predecessor)
    return converted(old) if old else value


def _auth_section(reader: Reader, section: str) -> str:
    """Return the section that holds the credentials for another one."""
    return reader.get(section, "auth_section") or section


def _auth_type(reader: Reader, section: str) -> str | None:
    """Return how a section authenticates, which may be said in `[service_auth]`."""
    own = _auth_option(reader, section, "auth_type")
    return own or _auth_option(reader, FALLBACK, "auth_type")


def _auth_option(reader: Reader, section: str, name: str) -> str | None:
    section = _auth_section(reader, section)
    reader.add(section, loading.get_auth_common_conf_options())
    value: str | None = reader.get(section, name)
    return value


def _plugin_options(auth_type: str | None, section: str) -> list[cfg.Opt]:
    """Return the options of a way to authenticate.

    :raises BadConfiguration: when keystoneauth does not know it
    """
    if not auth_type:
        return []
    try:
        return list(loading.get_auth_plugin_conf_options(auth_type))
    except NoMatchingPlugin as error:
        raise BadConfiguration(f"[{section}] auth_type is wrong: {error}") from error


def credentials_opts(
    reader: Reader, sections: Iterable[str]
) -> Iterator[tuple[str, list[cfg.Opt]]]:
    """Yield the sections with the credentials for others, and their options.

    An unknown way to authenticate has none.
    """
    for section in sections:
        with contextlib.suppress(BadConfiguration):
            auth_type = _auth_type(reader, section)
            common = loading.get_auth_common_conf_options()
            opts = [*common, *_plugin_options(auth_type, section)]
            yield _auth_section(reader, section), opts


def _auth_values(reader: Reader, section: str, opts: list[cfg.Opt]) -> dict[str, Any]:
    """Return the options of a way to authenticate that are set."""
    section = _auth_section(reader, section)
    reader.add(section, opts)
    values = {opt.dest: reader.get(section, opt.dest) for opt in opts}
    return {name: value for name, value in values.items() if value is not None}


def _is_incomplete(opts: list[cfg.Opt], auth: Mapping[str, Any]) -> bool:
    """Whether a section cannot authenticate alone: no secret in it, or something required not."""
    secrets = {opt.dest for opt in opts if opt.secret}
    required = {opt.dest for opt in opts if opt.required}
    return bool(secrets and not secrets & auth.keys()) or not required <= auth.keys()
