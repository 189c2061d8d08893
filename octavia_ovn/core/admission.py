"""What the operator lets tenants ask for, beyond what OVN cannot do anyway.

Only what a change brings is judged. What is there already stays, can be changed and is restored,
whatever has been switched off since.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from octavia_ovn.core import changes, limits, model


@dataclass(frozen=True, slots=True)
class Admission:
    """The operator's choices.

    :param strict_algorithms: whether ROUND_ROBIN is refused where the flavor does not say
    :param carried: protocols of layer 7 that are carried as TCP
    """

    strict_algorithms: bool = False
    carried: frozenset[model.Application] = frozenset(model.Application)

    def check(self, change: changes.Change, lb: model.LoadBalancer | None) -> None:
        """Refuse what tenants may not ask for.

        :param lb: the load balancer before the change
        :raises Unsupported: naming the option
        """
        if isinstance(change, changes.CreateLoadBalancer):
            self._check_carried((*change.lb.listeners, *change.lb.pools))
            self._check_algorithms(change.lb.pools, change.lb.flavor)
        elif isinstance(change, changes.PutListener):
            if lb is None or lb.listener(change.listener.id) is None:
                self._check_carried([change.listener])
        elif isinstance(change, changes.PutPool):
            before = lb.pool(change.pool.id) if lb else None
            if before is None:
                self._check_carried([change.pool])
            if before is None or before.algorithm is not change.pool.algorithm:
                self._check_algorithms([change.pool], lb.flavor if lb else model.Flavor())

    def _check_carried(self, things: Iterable[model.Listener | model.Pool]) -> None:
        for each in things:
            if each.application is not None and each.application not in self.carried:
                name = each.application.value
                raise limits.refuse(limits.NOT_CARRIED, value=name, option=name.lower())

    def _check_algorithms(self, pools: Iterable[model.Pool], flavor: model.Flavor) -> None:
        strict, where = flavor.strict_algorithms, "the load balancer's flavor"
        if strict is None:
            strict, where = self.strict_algorithms, "[ovn]"
        if strict and any(pool.algorithm is model.Algorithm.ROUND_ROBIN for pool in pools):
            raise limits.refuse(limits.STRICT, where=where)
