# SPDX-License-Identifier: Apache-2.0
"""Which clients reach which addresses."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tests.sandbox.plane import CROWD

if TYPE_CHECKING:
    from sandbox.api import Json
    from tests.sandbox.plane import Plane

WELCOME, STRANGERS = CROWD[:2], CROWD[-2:]
"""Clients outside: those that tests admit, and others."""


def vips(lb: Json) -> tuple[str, str]:
    return lb["vip_address"], lb["additional_vips"][0]["ip_address"]


def reaches(plane: Plane, client: str, where: str, kind: str = "tcp") -> bool:
    """Whether a client is answered; all its attempts must fare alike."""
    (answer,) = plane.ask(client, where, 3, kind=kind)
    assert answer in {"one", "two", "timeout"}
    return answer != "timeout"


def reached(plane: Plane, *attempts: tuple[str, str]) -> set[tuple[str, str]]:
    """Return which clients get which addresses; all try at once, for no answer takes seconds."""
    with ThreadPoolExecutor(len(attempts)) as pool:
        answered = list(pool.map(lambda attempt: reaches(plane, *attempt), attempts))
    return set(itertools.compress(attempts, answered))


def outside(plane: Plane, where: str) -> set[str]:
    """Return which of some clients outside are answered."""
    answers = plane.ask_from([*WELCOME, *STRANGERS], where, 1)
    return {client for client, answer in answers.items() if answer == {"one"}}
