# SPDX-License-Identifier: Apache-2.0
"""Neutron's security groups in OVN, read to decide who may reach a VIP.

OVN applies the ACLs of a group where packets enter and leave ports, and no packet passes the port
of a VIP. So the rules are read from these ACLs, and computed into what a VIP denies. The ACLs
count, not Neutron's answers: Neutron removes the ACL of a rule before its own record of it.

Only what is understood allows clients.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from octavia_ovn.core import model
from octavia_ovn.core.security_groups import LAST_PORT, GroupRule, network

_GROUP = "pg_"
_ALLOWING = frozenset({"allow", "allow-related", "allow-stateless"})
_SOURCE = re.compile(r"ip([46])\.src == (\$?)([\w.:/]+)")
_VERSION = re.compile("ip([46])")
_PORT = re.compile(r"(tcp|udp|sctp)\.dst (==|>=|<=) (\d+)")


def port_group(group_id: str) -> str:
    """Return the name of the Port_Group of a security group."""
    return _GROUP + group_id.replace("-", "_")


def group_id(name: str) -> str:
    """Return the id of the security group whose Port_Group has a name."""
    return name.removeprefix(_GROUP).replace("_", "-")


def rule(group: str, direction: str, match: str, action: str) -> GroupRule | None:
    """Return what a row of ACL lets in; None when it allows no client, or is not understood.

    :param group: the name of the Port_Group that has it
    """
    port, *terms = match.split(" && ")
    if direction != "to-lport" or action not in _ALLOWING or port != f"outport == @{group}":
        return None
    return _Reader().read(terms)


class _Reader:
    """Reads the terms of a match, as Neutron writes them, in order."""

    def __init__(self) -> None:
        self._version = 0
        self._source = ""
        self._protocol: model.Protocol | None = None
        self._ports = {">=": 0, "<=": LAST_PORT}

    def read(self, terms: Iterable[str]) -> GroupRule | None:
        if not all(map(self._term, terms)) or not self._version:
            return None
        first, last = self._ports[">="], self._ports["<="]
        return GroupRule(self._version, self._source, self._protocol, first, last)

    def _term(self, term: str) -> bool:
        """Take note of a term; return whether it is understood."""
        if version := _VERSION.fullmatch(term):
            self._version = int(version[1])
        elif source := _SOURCE.fullmatch(term):
            return self._read_source(int(source[1]), *source.groups()[1:])
        elif port := _PORT.fullmatch(term):
            return self._read_port(*port.groups())
        elif term in {each.value for each in model.Protocol} and self._protocol is None:
            self._protocol = model.Protocol(term)
        else:
            return False
        return True

    def _read_source(self, version: int, sign: str, text: str) -> bool:
        found = None if sign else network(text)
        known = sign or (found is not None and found.version == version)
        if version != self._version or self._source or not known:
            return False
        self._source = f"${text}" if sign else str(found)
        return True

    def _read_port(self, protocol: str, comparison: str, number: str) -> bool:
        if self._protocol is None or protocol != self._protocol.value:
            return False
        bounds = (">=", "<=") if comparison == "==" else (comparison,)
        self._ports |= dict.fromkeys(bounds, int(number))
        return True
