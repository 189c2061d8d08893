# SPDX-License-Identifier: Apache-2.0
"""Releases resources that no load balancer needs any more."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Mapping

from octavia_ovn.controller.check_sources import RELEASES, TASKS
from octavia_ovn.controller.protocols import Neutron, Northbound, Southbound
from octavia_ovn.controller.tasks import Tasks
from octavia_ovn.core.dependencies import Dependency, Resource


class Releases:
    """Makes the calls, and says whether those that a deletion waits for are under way."""

    def __init__(self, nb: Northbound, sb: Southbound, neutron: Neutron, tasks: Tasks) -> None:
        self._neutron = neutron
        self._tasks = tasks
        self._forgetting: Mapping[Resource, Callable[[str], None]] = {
            Resource.PORT: nb.forget_port,
            Resource.SWITCH: nb.forget_switch,
            Resource.GROUP: nb.forget_group,
            Resource.ADDRESS_SET: sb.forget_address_set,
        }
        self._awaited: dict[str, set[Hashable]] = {}

    def release(
        self, lb_id: str, dependency: Dependency, *, sources: bool, awaited: bool = False
    ) -> None:
        """Release a resource.

        :param lb_id: is enqueued when a background call has ended
        :param sources: whether ports that checks come from may be deleted
        :param awaited: whether the deletion of the load balancer waits for the call
        """
        resource, name = dependency
        after: Hashable = None
        key: tuple[Hashable, ...] = ("release", name)
        if resource in RELEASES and sources:
            after, key = (TASKS[resource], name), (RELEASES[resource], name)
            self._tasks.forget(after)
            work = functools.partial(self._neutron.delete_hm_ports, name, resource)
        elif resource == Resource.MEMBER_FIP:
            work = functools.partial(self._neutron.touch_floating_ip, name)
        else:
            if resource in self._forgetting:
                self._forgetting[resource](name)
            return
        self._tasks.run_once(key, work, lb_id, after)
        if awaited:
            self._awaited.setdefault(lb_id, set()).add(key)

    def are_under_way(self, lb_id: str) -> bool:
        """Whether a resource of a deleted load balancer is being released.

        The deletion is reported afterwards, so that networks can be deleted then. It does not wait
        while Neutron is unavailable.
        """
        keys = self._awaited.pop(lb_id, set())
        under_way = {key for key in keys if self._tasks.is_first_attempt(key, lb_id)}
        if under_way:
            self._awaited[lb_id] = under_way
        return bool(under_way)
