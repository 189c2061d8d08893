# SPDX-License-Identifier: Apache-2.0
"""Deletions that rows record, verified with Octavia.

Octavia deletes every object that a provider reports as DELETED. Rows can be written by others, so
nothing is reported of objects that Octavia does not show below the load balancer.
"""

from __future__ import annotations

import collections
import functools
import logging
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, replace

from octavia_ovn.controller.effects import Effects
from octavia_ovn.controller.protocols import Octavia
from octavia_ovn.core.pending import Key, Kind, Pending
from octavia_ovn.core.text import plain
from octavia_ovn.errors import Unavailable

LOG = logging.getLogger(__name__)
_PATIENCE = 10
"""How often Octavia is asked whether it is deleting a load balancer, with back-off for two minutes:
a request is in the rows before Octavia commits it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What Octavia has said about the deletions of a load balancer's requests until now.

    :param foreign: what must not be reported: it belongs to another load balancer, or to none any
        more, as a request whose end Octavia has accepted is reported again together with a later
        one; None while Octavia is being asked
    :param goes: whether the load balancer itself is to go, so that its ports may be deleted
    """

    foreign: frozenset[Key] | None = frozenset()
    goes: bool = False


class Deletions:
    """Asks Octavia once for each request."""

    def __init__(self, effects: Effects, octavia: Octavia) -> None:
        self._effects = effects
        self._octavia = octavia
        self._asked: collections.Counter[Hashable] = collections.Counter()
        self._used: dict[str, frozenset[Hashable]] = {}
        """The questions about each load balancer."""

    def answer(self, lb_id: str, pending: Pending) -> Answer:
        """Return what Octavia says; what is not known is asked."""
        wanted = pending.questionable
        self._use(lb_id, *_questions(lb_id, pending))
        if pending.deleting:
            goes = self._goes(lb_id, pending)
            if not goes:
                return Answer(None if goes is None else wanted | {(Kind.LOAD_BALANCER, lb_id)})
        if not wanted:
            return Answer(goes=pending.deleting)
        ask = functools.partial(self._octavia.owned, lb_id, wanted)
        done = self._effects.ask(_owned(lb_id, pending), ask, lb_id)
        foreign = None if done is None else wanted - (done.value or frozenset())
        return Answer(foreign, pending.deleting)

    def _goes(self, lb_id: str, pending: Pending) -> bool | None:
        """Return whether a load balancer is to go; None while Octavia is being asked."""
        if pending.orphaned:
            key = _orphaned(lb_id, pending)
            known = self._effects.get(key, functools.partial(self._octavia.tree, lb_id), lb_id)
            return None if known is None else known.value is None and known.refusal is None
        key = _leaving(lb_id, pending)
        done = self._effects.get(key, functools.partial(self._is_leaving, lb_id, key), lb_id)
        return None if done is None else bool(done.value)

    def _is_leaving(self, lb_id: str, key: Hashable) -> bool:
        """Whether Octavia is deleting a load balancer; called in other threads.

        With a load balancer its VIP port and its address go, so Octavia must show that it wants
        that. Otherwise the rows keep serving it, as after a request that Octavia has rolled back:
        but not one in ERROR, whose tenant may have deleted it.
        """
        leaving = self._octavia.is_leaving(lb_id)
        if leaving is None:
            raise Unavailable(f"load balancer {lb_id} is in ERROR; delete it again")
        if not leaving:
            self._asked[key] += 1
            if self._asked[key] <= _PATIENCE:
                raise Unavailable(f"Octavia is not deleting load balancer {lb_id} yet")
        return leaving

    def forget(self, lb_id: str) -> None:
        """Forget the answers about requests that have ended."""
        self._use(lb_id)

    def _use(self, lb_id: str, *keys: Hashable) -> None:
        """Forget the answers to all questions about a load balancer but these.

        Octavia may say something else by now, and the writer of a row may repeat a question.
        """
        used = self._used.get(lb_id, frozenset())
        for key in used.difference(keys):
            self._effects.forget(key)
            self._effects.later(self._asked.pop, key, None)
        if keys:
            self._effects.later(self._used.__setitem__, lb_id, frozenset(keys))
        elif used:
            self._effects.later(self._used.pop, lb_id, None)


def _questions(lb_id: str, pending: Pending) -> Iterator[Hashable]:
    """Yield the questions about some requests."""
    if pending.questionable:
        yield _owned(lb_id, pending)
    if pending.orphaned:
        yield _orphaned(lb_id, pending)
    elif pending.deleting:
        yield _leaving(lb_id, pending)


def _owned(lb_id: str, pending: Pending) -> Hashable:
    return ("deletions", lb_id, pending.requests, pending.questionable)


def _leaving(lb_id: str, pending: Pending) -> Hashable:
    return ("leaving", lb_id, pending.requests)


def _orphaned(lb_id: str, pending: Pending) -> Hashable:
    return ("orphaned", lb_id, pending.requests)


def log_foreign(lb_id: str, foreign: frozenset[Key]) -> None:
    """Log what is not reported."""
    words = ", ".join(sorted(f"{kind.singular} {plain(each)}" for kind, each in foreign))
    LOG.info("Load balancer %s: Octavia has no such part of it: %s", plain(lb_id), words)


def without(pending: Pending, foreign: frozenset[Key]) -> Pending | None:
    """Return what Octavia waits for, without what must not be reported; None if that is all.

    One that is an orphan has nothing that Octavia waits for, unless its rows were forged.
    """
    kept = {key: final for key, final in pending.objects.items() if key not in foreign}
    return replace(pending, objects=kept, orphaned=False) if kept else None
