# SPDX-License-Identifier: Apache-2.0
"""What carries requests from this process to the code of octavia-driver-agent."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, Protocol

TIMEOUT = 60.0
"""Seconds for a request. More than a database has a transaction wait for a lock (MySQL: 50): a
status that is sent again before that may be executed twice."""


class Service(enum.Enum):
    """A service of octavia-driver-agent; each has a socket."""

    STATUS = "status"
    STATS = "stats"
    GET = "get"


class Transport(Protocol):
    """Delivers requests; safe to share between threads."""

    def ask(self, service: Service, request: Mapping[str, object]) -> dict[str, Any]:
        """Return the answer to a request; both are what JSON can express.

        :raises Unanswered: when no answer comes in time, and the request may still be executed
        :raises Unavailable: when octavia-driver-agent or its database does not serve
        """
