# SPDX-License-Identifier: Apache-2.0
"""Replicas that are closed at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from octavia_ovn.adapters.ovsdb.endpoint import Endpoint
from tests.functional.ovsdb.replica.watched import Watched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def watch() -> Iterator[Callable[..., Watched]]:
    """Make replicas that are closed at the end."""
    made: list[Watched] = []

    def make(where: Endpoint, **options: Any) -> Watched:
        made.append(Watched(where, **options))
        made[-1].until(lambda: made[-1].replica.synced)
        return made[-1]

    yield make
    for watched in made:
        watched.replica.close()
