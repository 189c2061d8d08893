# SPDX-License-Identifier: Apache-2.0
"""Restrictions by the operator on requests, besides those by OVN itself.

Only new parts of a change are judged. Existing objects stay, can be changed and are restored, even
after the operator has switched their kind off.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from octavia_ovn.core import ip, model
from octavia_ovn.core.desired import access_control
from octavia_ovn.core.request import changes, limits


@dataclass(frozen=True, slots=True)
class Admission:
    """The operator's choices.

    :param strict_algorithms: whether ROUND_ROBIN is refused where the flavor does not say
    :param carried: protocols of layer 7 that are carried as TCP
    :param max_members: most members of a pool; 0 means no limit, as in the next two
    :param max_allowed_cidrs: most networks that a listener allows
    :param max_denied_cidrs: most networks of one IP version that describe the denied addresses
    :param probes: whether checks that OVN cannot make are left to a program on each chassis
    """

    strict_algorithms: bool = False
    carried: frozenset[model.Application] = frozenset(model.Application)
    max_members: int = 0
    max_allowed_cidrs: int = 0
    max_denied_cidrs: int = 0
    probes: bool = False

    def check(self, change: changes.Change, lb: model.LoadBalancer | None) -> None:
        """Refuse a change that the operator does not permit.

        :param lb: the load balancer before the change
        :raises Unsupported: naming the option
        """
        match change:
            case changes.CreateLoadBalancer(lb=new):
                for listener in new.listeners:
                    self._check_listener(listener, None)
                for pool in new.pools:
                    self._check_pool(pool, None, new.flavor)
            case changes.PutListener(listener=listener):
                self._check_listener(listener, lb.listener(listener.id) if lb else None)
            case changes.PutPool(pool=pool):
                before, flavor = (lb.pool(pool.id), lb.flavor) if lb else (None, model.Flavor())
                self._check_pool(pool, before, flavor)
            case changes.PutMember() | changes.ReplaceMembers() if lb:
                found = lb.pool(change.pool_id)
                known = {each.id for each in found.members} if found else set()
                self._check_members(_members_after(change, known), known)

    def _check_listener(self, now: model.Listener, before: model.Listener | None) -> None:
        if before is None:
            self._check_carried(now.application)
        if before is None or before.allowed_cidrs != now.allowed_cidrs:
            self._check_cidrs(now.allowed_cidrs)

    def _check_pool(self, now: model.Pool, before: model.Pool | None, flavor: model.Flavor) -> None:
        if before is None:
            self._check_carried(now.application)
            self._check_members([each.id for each in now.members], ())
        if before is None or before.algorithm is not now.algorithm:
            self._check_algorithm(now.algorithm, flavor)

    def _check_carried(self, application: model.Application | None) -> None:
        if application is not None and application not in self.carried:
            name = application.value
            raise limits.refuse(limits.NOT_CARRIED, value=name, option=name.lower())

    def _check_algorithm(self, algorithm: model.Algorithm, flavor: model.Flavor) -> None:
        strict, where = flavor.strict_algorithms, "the load balancer's flavor"
        if strict is None:
            strict, where = self.strict_algorithms, "[ovn]"
        if strict and algorithm is model.Algorithm.ROUND_ROBIN:
            raise limits.refuse(limits.STRICT, where=where)

    def _check_members(self, after: Collection[str], before: Collection[str]) -> None:
        if 0 < self.max_members < len(after) and not set(after) <= set(before):
            raise limits.refuse(limits.MEMBERS, value=len(after), most=self.max_members)

    def _check_cidrs(self, cidrs: tuple[str, ...]) -> None:
        if 0 < self.max_allowed_cidrs < len(cidrs):
            raise limits.refuse(limits.CIDRS, value=len(cidrs), most=self.max_allowed_cidrs)
        for version in set(map(ip.family, cidrs)) if self.max_denied_cidrs else ():
            denied = len(access_control.complement(cidrs, version))
            if denied > self.max_denied_cidrs:
                raise limits.refuse(limits.DENIED, value=denied, most=self.max_denied_cidrs)


def _members_after(
    change: changes.PutMember | changes.ReplaceMembers, known: Collection[str]
) -> Collection[str]:
    """Return the ids of a pool's members after a change."""
    if isinstance(change, changes.PutMember):
        return {*known, change.member.id}
    return {each.id for each in change.members}
