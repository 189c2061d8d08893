# SPDX-License-Identifier: Apache-2.0
"""The security groups of VIPs: which ones Octavia has, and who they let in."""

from __future__ import annotations

import collections
import functools
from collections.abc import Hashable, Sequence
from dataclasses import replace

from octavia_ovn.controller import corruption
from octavia_ovn.controller.effects import Effects
from octavia_ovn.controller.protocols import Northbound, Octavia, Southbound
from octavia_ovn.core import model
from octavia_ovn.core.dependencies import Dependency, Resource
from octavia_ovn.core.desired import vip_groups
from octavia_ovn.core.pending import Pending
from octavia_ovn.core.request import record
from octavia_ovn.core.rows import Row
from octavia_ovn.core.security_groups import Admitted
from octavia_ovn.errors import Unavailable

_PATIENCE = 10
"""How often Octavia is asked whether it has committed an update, with back-off for two minutes: a
request is in the rows before Octavia commits it."""
_NO_ONE = Admitted()


class Admission:
    """Finds who may reach load balancers.

    :param most: networks of one IP version that may describe what a listener denies; 0 for any
        number
    """

    def __init__(self, nb: Northbound, sb: Southbound, most: int) -> None:
        self._nb = nb
        self._sb = sb
        self._most = most

    def find(self, lb: model.LoadBalancer) -> tuple[Admitted | None, frozenset[Dependency]]:
        """Return who is let in, None while that is not known yet, and what it depends on."""
        if not vip_groups.applies(lb):
            return _NO_ONE, frozenset()
        groups = sorted(lb.security_groups or ())
        needed = {Dependency(Resource.GROUP, each) for each in groups}
        found = [self._nb.group_rules(each) for each in groups]
        rules = tuple(rule for each in found for rule in each or ())
        names = {each.address_set for each in rules if each.address_set}
        needed |= {Dependency(Resource.ADDRESS_SET, name) for name in names}
        sets = {name: self._sb.address_set(name) for name in sorted(names)}
        known = {name: each for name, each in sets.items() if each is not None}
        if None in found or len(known) < len(sets):
            return None, frozenset(needed)
        return Admitted(rules, known, self._most), frozenset(needed)


class UpdatedGroups:
    """Asks Octavia for the security groups of a VIP, once for each update.

    Octavia does not pass them to a provider, and commits the update after the provider has
    answered.
    """

    def __init__(self, effects: Effects, octavia: Octavia) -> None:
        self._effects = effects
        self._octavia = octavia
        self._asked: collections.Counter[Hashable] = collections.Counter()

    def settled(self, lb_id: str, rows: Sequence[Row], pending: Pending) -> Sequence[Row] | None:
        """Return the rows with the groups that Octavia has; None while it is being asked.

        While Octavia refuses to answer, or the rows are damaged, they stay as they are.
        """
        key = ("groups", lb_id, pending.requests)
        done = self._effects.get(key, functools.partial(self._ask, lb_id, key), lb_id)
        decoded, problems = corruption.read(rows)
        if done is None or done.refusal is not None or decoded is None or problems:
            return None
        self._effects.forget(key)
        self._effects.later(self._asked.pop, key, None)
        if done.value is not None:
            rows = record.rows_of(replace(decoded.lb, security_groups=done.value), rows)
        return record.with_pending(rows, replace(pending, groups=False))

    def _ask(self, lb_id: str, key: Hashable) -> frozenset[str] | None:
        """Return the groups; None if Octavia has not committed the update; in other threads."""
        groups = self._octavia.updated_groups(lb_id)
        if groups is None:
            self._asked[key] += 1
            if self._asked[key] <= _PATIENCE:
                raise Unavailable(f"Octavia has not committed the update of load balancer {lb_id}")
        return groups
