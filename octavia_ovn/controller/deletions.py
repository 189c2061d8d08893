"""What rows say that Octavia wants deleted, held against what Octavia says itself.

Octavia deletes whatever a provider reports as DELETED. Rows can be written by others, so nothing is
reported that Octavia does not show on its way out.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Hashable
from dataclasses import replace

from octavia_ovn.controller.ports import Confirmed, Octavia
from octavia_ovn.controller.tasks import Tasks
from octavia_ovn.core.pending import Key, Kind, Pending
from octavia_ovn.core.text import plain

LOG = logging.getLogger(__name__)


class Deletions:
    """Asks Octavia once for each request.

    :param confirmed: asks it what it wants deleted
    """

    def __init__(self, tasks: Tasks, octavia: Octavia, confirmed: Confirmed) -> None:
        self._tasks = tasks
        self._octavia = octavia
        self._confirmed = confirmed

    def doubtful(self, lb_id: str, pending: Pending) -> frozenset[Key] | None:
        """Return what Octavia does not want deleted; None while it is being asked."""
        if pending.orphaned:
            return self._known(lb_id, pending)
        wanted = pending.questionable
        if not wanted:
            return frozenset()
        ask = functools.partial(self._confirmed, lb_id, pending.objects)
        done = self._tasks.get(_key(lb_id, pending), ask, lb_id)
        if done is None:
            return None
        return wanted.difference(done.value or ())

    def _known(self, lb_id: str, pending: Pending) -> frozenset[Key] | None:
        """Return a load balancer that is to go as unknown to Octavia, although it is known."""
        ask = functools.partial(self._octavia.tree, lb_id)
        done = self._tasks.get(_key(lb_id, pending), ask, lb_id)
        if done is None:
            return None
        known = done.value is not None or done.refusal is not None
        return frozenset({(Kind.LOAD_BALANCER, lb_id)} if known else ())

    def forget(self, lb_id: str, pending: Pending | None) -> None:
        """Forget the answer about a request that has ended."""
        if pending is not None and (pending.questionable or pending.orphaned):
            self._tasks.forget(_key(lb_id, pending))


def _key(lb_id: str, pending: Pending) -> Hashable:
    return ("deletions", lb_id, pending.requests, pending.questionable)


def without(lb_id: str, pending: Pending, doubtful: frozenset[Key]) -> Pending | None:
    """Return what Octavia waits for if it does not wait for deletions that are doubtful.

    What else the rows say of the request may be wrong, too: they are made what Octavia says.
    """
    words = ", ".join(sorted(f"{kind.singular} {plain(each)}" for kind, each in doubtful))
    LOG.warning("Load balancer %s: Octavia does not want deleted: %s", plain(lb_id), words)
    kept = {key: final for key, final in pending.objects.items() if key not in doubtful}
    return replace(pending, objects=kept, resync=True) if kept else None
