# SPDX-License-Identifier: Apache-2.0
"""Deletions that rows record, verified with Octavia.

Octavia deletes every object that a provider reports as DELETED. Rows can be written by others, so
nothing is reported of objects that Octavia does not show below the load balancer.
"""

from __future__ import annotations

import collections
import functools
import logging
from collections.abc import Hashable
from dataclasses import replace

from octavia_ovn.controller.effects import Effects
from octavia_ovn.controller.protocols import Octavia
from octavia_ovn.core.pending import Key, Kind, Pending
from octavia_ovn.core.text import plain
from octavia_ovn.errors import Unavailable

LOG = logging.getLogger(__name__)
_PATIENCE = 10
"""How often Octavia is asked whether it is deleting a load balancer, with back-off for two minutes:
a request is in the rows before Octavia commits it."""


class Deletions:
    """Asks Octavia once for each request."""

    def __init__(self, effects: Effects, octavia: Octavia) -> None:
        self._effects = effects
        self._octavia = octavia
        self._asked: collections.Counter[Hashable] = collections.Counter()

    def foreign(self, lb_id: str, pending: Pending) -> frozenset[Key] | None:
        """Return what must not be reported; None while Octavia is being asked.

        That is what belongs to another load balancer, or to none any more: a request whose end
        Octavia has accepted is reported again together with a later one.
        """
        if pending.orphaned:
            return self._known(lb_id, pending)
        wanted = pending.questionable
        if not wanted:
            return frozenset()
        ask = functools.partial(self._belonging, lb_id, wanted, _key(lb_id, pending))
        done = self._effects.get(_key(lb_id, pending), ask, lb_id)
        return None if done is None else wanted - (done.value or frozenset())

    def _belonging(self, lb_id: str, wanted: frozenset[Key], key: Hashable) -> frozenset[Key]:
        """Return what may be reported; called in other threads.

        With a load balancer its VIP port and its address go, so Octavia must show that it wants
        that. Otherwise the rows keep serving it, as after a request that Octavia has rolled back.
        """
        if (Kind.LOAD_BALANCER, lb_id) in wanted and not self._octavia.is_leaving(lb_id):
            self._asked[key] += 1
            if self._asked[key] > _PATIENCE:
                return frozenset()
            raise Unavailable(f"Octavia is not deleting load balancer {lb_id} yet")
        return self._octavia.belonging(lb_id, wanted)

    def _known(self, lb_id: str, pending: Pending) -> frozenset[Key] | None:
        """Return a load balancer that is to go as unknown to Octavia, although it is known."""
        ask = functools.partial(self._octavia.tree, lb_id)
        done = self._effects.get(_key(lb_id, pending), ask, lb_id)
        if done is None:
            return None
        known = done.value is not None or done.refusal is not None
        return frozenset({(Kind.LOAD_BALANCER, lb_id)} if known else ())

    def forget(self, lb_id: str, pending: Pending | None) -> None:
        """Forget the answer about a request that has ended."""
        if pending is not None and (pending.questionable or pending.orphaned):
            self._effects.forget(_key(lb_id, pending))
            self._effects.later(self._asked.pop, _key(lb_id, pending), None)


def _key(lb_id: str, pending: Pending) -> Hashable:
    return ("deletions", lb_id, pending.requests, pending.questionable)


def log_foreign(lb_id: str, foreign: frozenset[Key]) -> None:
    """Log what is not reported."""
    words = ", ".join(sorted(f"{kind.singular} {plain(each)}" for kind, each in foreign))
    LOG.info("Load balancer %s: Octavia has no such part of it: %s", plain(lb_id), words)


def without(pending: Pending, foreign: frozenset[Key]) -> Pending | None:
    """Return what Octavia waits for, without what must not be reported; None if that is all."""
    kept = {key: final for key, final in pending.objects.items() if key not in foreign}
    return replace(pending, objects=kept) if kept else None
