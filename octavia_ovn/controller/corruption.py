# SPDX-License-Identifier: Apache-2.0
"""Rows that cannot be read completely, because others have changed them."""

from __future__ import annotations

import collections
import functools
import logging
from collections.abc import Sequence

from octavia_ovn.controller.effects import Effects
from octavia_ovn.controller.protocols import Octavia
from octavia_ovn.controller.tasks import Done
from octavia_ovn.core import codec, model
from octavia_ovn.core.pending import UNSERVED, Final, Pending
from octavia_ovn.core.request import changes
from octavia_ovn.core.rows import Row
from octavia_ovn.errors import Unavailable
from octavia_ovn.observer import SILENT, Drift, Observer

LOG = logging.getLogger(__name__)

Problems = tuple[str, ...]
_Key = tuple[str, str, Problems]
_PATIENCE = 10
"""How often Octavia is asked for a request that it does not show, with back-off for two minutes."""


def read(rows: Sequence[Row]) -> tuple[codec.Decoded | None, Problems]:
    """Return what rows say, None when not even a VIP can be read, and what cannot be read."""
    try:
        decoded = codec.decode(rows)
    except codec.Undecodable as error:
        return None, (str(error),)
    return decoded, decoded.problems


class CorruptRows:
    """Asks Octavia once about a damaged load balancer, and logs once what was wrong."""

    def __init__(self, octavia: Octavia, effects: Effects, observer: Observer = SILENT) -> None:
        self._octavia = octavia
        self._observer = observer
        self._effects = effects
        self._keys: dict[str, _Key] = {}
        self._asked: collections.Counter[_Key] = collections.Counter()

    def octavia_state(
        self, lb_id: str, problems: Problems, pending: Pending | None
    ) -> Done[model.LoadBalancer | None] | None:
        """Return Octavia's answer; None while it is being asked."""
        key = ("damage", lb_id, problems)
        if self._keys.get(lb_id) != key:
            self.forget(lb_id)
            self._effects.later(self._found, lb_id, key)
        work = functools.partial(self._committed, key, pending)
        return self._effects.get(key, work, lb_id)

    def _found(self, lb_id: str, key: _Key) -> None:
        self._keys[lb_id] = key
        self._observer.finds(Drift.DAMAGED)
        LOG.warning(
            "Load balancer %s is damaged and will be restored from Octavia: %s",
            lb_id,
            "; ".join(key[-1]),
        )

    def recovered(self, lb_id: str) -> None:
        """Note that the rows are readable."""
        if self.forget(lb_id):
            self._effects.later(self._observer.repairs, Drift.DAMAGED)

    def forget(self, lb_id: str) -> bool:
        """Forget what was wrong with a load balancer; return whether anything was."""
        key = self._keys.get(lb_id)
        if key is not None:
            self._effects.forget(key)
            self._effects.later(self._keys.pop, lb_id, None)
            self._effects.later(self._asked.pop, key, None)
        return key is not None

    def _committed(self, key: _Key, pending: Pending | None) -> model.LoadBalancer | None:
        """Return Octavia's tree once it has what was asked for; called in other threads.

        After two minutes the request has been rolled back, or others have written it.
        """
        _, lb_id, _ = key
        tree = self._octavia.tree(lb_id)
        objects = pending.objects if pending else {}
        wanted = {
            each
            for each, final in objects.items()
            if final is Final.ACTIVE and each[0] not in UNSERVED
        }
        if tree is not None and not wanted <= changes.objects(tree):
            self._asked[key] += 1
            if self._asked[key] <= _PATIENCE:
                raise Unavailable(
                    f"Octavia has not committed a request on load balancer {lb_id} yet"
                )
        return tree
