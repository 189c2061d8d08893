# SPDX-License-Identifier: Apache-2.0
"""What is tried with what."""

from __future__ import annotations

import dataclasses

from matrix import suites
from matrix.environments import Environment, lowest
from sandbox.settings import python_version

OLDEST, MIDDLE, NEWEST = "bookworm", "trixie", "sid"
"""Debian's releases, by their OVN: 23.03, 25.03, 26.03."""
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
_OLD_OCTAVIA = ("octavia==15.1.0", "octavia-lib==3.6.0")
"""Release 2024.2, two years older than the one that the sandbox runs."""


@dataclasses.dataclass(frozen=True)
class Cell:
    """One line of the table."""

    name: str
    """For `--only`."""
    tests: tuple[str, ...]
    what: str
    """The tests in words."""
    suite: str = OLDEST
    """Debian's release whose OVN is used."""
    environment: Environment | None = None
    """None: the sandbox's own, with the newest Octavia."""


_SERVERS = "ovsdb-server, northd"
_PACKETS = "packets"
_API = "Octavia's API"
_LIBRARIES = "core, adapters, scenarios"
_CLIENTS = "clients"


def all_cells() -> list[Cell]:
    """Return everything that is tried, in the order of the table."""
    cells = [
        Cell(f"ovn-{suite}", suites.SERVERS, _SERVERS, suite) for suite in (OLDEST, MIDDLE, NEWEST)
    ]
    cells += [
        Cell(f"packets-{suite}", suites.PACKETS, _PACKETS, suite)
        for suite in (OLDEST, MIDDLE, NEWEST)
    ]
    cells.append(Cell("clients", suites.CLIENTS, _CLIENTS))
    cells += [
        Cell(name, suites.LIBRARIES, _LIBRARIES, environment=Environment(name, version))
        for name, version in ((f"python-{version}", version) for version in PYTHONS)
    ]
    octavia = Environment("octavia-15", python_version(), _OLD_OCTAVIA)
    cells.append(Cell(octavia.name, suites.OCTAVIA, _LIBRARIES, environment=octavia))
    api = dataclasses.replace(octavia, name="octavia-15-api", sandbox=True)
    cells.append(Cell(api.name, suites.SERVICES, _API, environment=api))
    oldest = Environment("oldest-libraries", PYTHONS[0], lowest())
    words = f"{_LIBRARIES}; oldest libraries"
    cells.append(Cell(oldest.name, suites.LIBRARIES, words, environment=oldest))
    return cells
