# SPDX-License-Identifier: Apache-2.0
"""The configuration for people who must not see secrets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from oslo_config import cfg

from octavia_ovn.config.octavia import DRIVER_AGENT_OPTS, list_opts, register_opts
from octavia_ovn.config.reader import Reader
from octavia_ovn.config.requests import OCTAVIA_OPTS
from octavia_ovn.config.services import FALLBACK, credentials_opts, service_opts
from octavia_ovn.errors import BadConfiguration

MASK = "***"
_NOTIFICATIONS = [
    cfg.MultiStrOpt("driver", default=[]),
    cfg.StrOpt("transport_url", secret=True),
    cfg.ListOpt("topics", default=["notifications"]),
]
"""Of oslo.messaging, which is loaded only to send."""
_NAMES = re.compile("password|passcode|secret|token|otp|access_key|consumer_key")
"""Names of options that may be secret although their definition does not say so."""
_ACCOUNT = re.compile(r"(?<=://)(.*)@.*", re.DOTALL)
"""The account in a URL, and what follows; it may contain any character."""
_PASSWORD = re.compile(r":([^:@,/]*)@")
_SHORT = 8
"""A shorter secret is a part of other words."""


class MaskedConfiguration:
    """The options of our sections, and their secrets.

    :param conf: a parsed configuration; it is not changed
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._reader = Reader(conf, register_opts)
        self._secrets: set[str] = set()
        self.options = {section: self._section(section, opts) for section, opts in self._opts()}
        """Values by section and name, as they are in effect; None is left out."""

    def conceal(self, content: Any) -> Any:
        """Return content without the secrets of the configuration.

        :param content: what JSON can express
        """
        if isinstance(content, str):
            for secret in self._secrets:
                content = content.replace(secret, MASK)
            return content
        if isinstance(content, Mapping):
            return {self.conceal(key): self.conceal(each) for key, each in content.items()}
        if isinstance(content, (list, tuple)):
            return [self.conceal(each) for each in content]
        return content

    def _opts(self) -> Iterator[tuple[str, list[cfg.Opt]]]:
        """Yield sections and their options."""
        found: dict[str, dict[str, cfg.Opt]] = {}
        access = service_opts()
        for section, opts in (
            *list_opts(),
            ("driver_agent", DRIVER_AGENT_OPTS),
            ("neutron", access),
            (FALLBACK, access),
            *((section, [opt]) for section, opt in OCTAVIA_OPTS),
            ("oslo_messaging_notifications", _NOTIFICATIONS),
            *credentials_opts(self._reader, ("neutron", FALLBACK)),
        ):
            found.setdefault(section, {}).update({opt.dest: opt for opt in opts})
        for section, named in found.items():
            yield section, list(named.values())

    def _section(self, section: str, opts: Iterable[cfg.Opt]) -> dict[str, Any]:
        self._reader.add(section, opts)
        values = ((opt, self._value(section, opt)) for opt in opts)
        return {opt.dest: value for opt, value in values if value is not None}

    def _value(self, section: str, opt: cfg.Opt) -> Any:
        is_secret = opt.secret or _NAMES.search(opt.dest)
        try:
            value = self._reader.get(section, opt.dest)
        except BadConfiguration as error:
            value = str(error)
        shown = self._shown(value)
        if is_secret:
            self._remember(value)
            return MASK if value else None
        return shown

    def _shown(self, value: Any) -> Any:
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if isinstance(value, (list, tuple)):
            return [self._shown(each) for each in value]
        return _ACCOUNT.sub(self._account, str(value))

    def _account(self, found: re.Match[str]) -> str:
        self._remember(found[1], *_PASSWORD.findall(f"{found[1]}@"))
        return MASK

    def _remember(self, *secrets: Any) -> None:
        self._secrets.update(str(each) for each in secrets if each and len(str(each)) >= _SHORT)
