# SPDX-License-Identifier: Apache-2.0
"""Octavia's own knowledge of a load balancer, through the driver agent's get socket."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Any

from octavia_lib.common import constants

from octavia_ovn.adapters.octavia import data_models as models
from octavia_ovn.adapters.octavia.api import OURS, OctaviaApi
from octavia_ovn.adapters.octavia.driver_agent import DriverAgent
from octavia_ovn.core import model
from octavia_ovn.core.pending import Key, Kind
from octavia_ovn.core.request import limits
from octavia_ovn.errors import NotFound, Refused


class Octavia:
    """Reads load balancers from Octavia.

    :param agent: its get socket, which shows objects without their statuses
    :param listing: its API, which shows statuses
    :param sleep: waits that many seconds
    """

    def __init__(
        self,
        agent: DriverAgent,
        defaults: models.DriverDefaults,
        listing: OctaviaApi,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._agent = agent
        self._preferences = defaults
        self._listing = listing
        self._sleep = sleep
        self._owners: dict[Key, str] = {}
        """What Octavia has shown → its load balancer. Nothing ever becomes part of another one."""

    def tree(self, lb_id: str) -> model.LoadBalancer | None:
        """Return a load balancer with all that belongs to it; None when it does not exist.

        :raises Unavailable: when Octavia does not answer
        :raises Refused: when it holds something that OVN cannot do
        """
        found = self._tree(lb_id)
        if found is None:
            return None
        try:
            return models.existing_load_balancer(found, self._preferences)
        except limits.Unsupported as error:
            raise Refused(str(error)) from error

    def exists(self, lb_id: str) -> bool:
        """Whether Octavia has committed a load balancer that is not DELETED.

        :raises Unavailable: when Octavia does not answer
        """
        return self._tree(lb_id) is not None

    def _tree(self, lb_id: str) -> dict[str, Any] | None:
        """Return a load balancer, without fields that are None; remember what it consists of."""
        found = self._agent.get_load_balancer(lb_id)
        if found is None:
            return None
        tree = _set(found)
        if len(self._owners) >= _REMEMBERED:
            self._owners.clear()
        children = frozenset(models.children(tree))
        if children:  # else one question more would be asked of the first child
            self._owners |= dict.fromkeys({(Kind.LOAD_BALANCER, lb_id), *children}, lb_id)
        return tree

    def owned(self, lb_id: str, keys: Collection[Key]) -> frozenset[Key]:
        """Return those of some objects that Octavia has, or has had, below a load balancer.

        Octavia deletes any object that a provider reports as DELETED, also one of another tenant,
        and any client that may write the Northbound database can write reports into rows. It
        ignores those about what it has deleted, so what it has shown is not asked for again.

        :raises Unavailable: when Octavia does not answer
        """
        known = frozenset(key for key in keys if self._owners.get(key) == lb_id)
        unknown = frozenset(keys) - known
        return known | self.belonging(lb_id, unknown) if unknown else known

    def belonging(self, lb_id: str, keys: Collection[Key]) -> frozenset[Key]:
        """Return those of some objects that Octavia has below a load balancer now, and itself.

        :raises Unavailable: when Octavia does not answer
        """
        wanted = frozenset(keys)
        whole = (Kind.LOAD_BALANCER, lb_id)
        # Octavia takes three quarters of the time for one object, of a large load balancer a tenth.
        if whole in self._owners and len(wanted) == 1:
            (key,) = wanted
            if self._owners.get(self._parent(key)) == lb_id:
                return wanted
        has = {whole, *models.children(self._tree(lb_id) or {})}
        # Octavia does not load the L7 policies of listeners, nor their rules.
        for kind in (Kind.L7POLICY, Kind.L7RULE):
            asked = sorted(key for key in wanted if key[0] is kind)
            has.update(key for key in asked if self._parent(key) in has)
        return wanted & has

    def _parent(self, key: Key) -> Key:
        """Return what Octavia shows an object below: nothing that exists if it does not show it."""
        kind, object_id = key
        if kind is Kind.LOAD_BALANCER:
            return key
        parent, field = _PARENTS[kind]
        found = self._agent.get(kind.value, object_id) or {}
        return parent, str(found.get(field))

    def updated_groups(self, lb_id: str) -> frozenset[str] | None:
        """Return the security groups of a VIP once Octavia has committed an update of it.

        Octavia commits soon after the provider has answered: it is asked again for two seconds.

        :returns: None while Octavia shows no request on the load balancer
        :raises Unavailable: when Octavia's API does not answer
        """
        for pause in (*_PAUSES, None):
            listed = self._listing.load_balancer(lb_id)
            if listed is not None and listed.provisioning_status.startswith("PENDING"):
                return frozenset(listed.security_groups)
            if pause is not None:
                self._sleep(pause)
        return None

    def is_leaving(self, lb_id: str) -> bool | None:
        """Whether Octavia is deleting a load balancer, has deleted it, or does not show it to us.

        Not one of another provider: rows can be named after any, and Octavia deletes the VIP port
        of a load balancer of amphora that is reported as DELETED.

        :returns: None for one in ERROR: so ends a deletion that Neutron refuses, too
        :raises Unavailable: when Octavia's API does not answer
        """
        try:
            listed = self._listing.load_balancer(lb_id)
            if listed is None:
                return self._listing.provider(lb_id) in (None, OURS)
        except Refused:
            return True
        if listed.provisioning_status == constants.ERROR:
            return None
        return bool(listed.provisioning_status == constants.PENDING_DELETE)

    def l7policy(self, policy_id: str) -> dict[str, Any]:
        """Return an L7 policy with its rules and the id of its listener.

        :raises NotFound: when Octavia does not know it
        :raises Unavailable: when Octavia does not answer
        """
        return self._get(constants.L7POLICIES, policy_id)

    def load_balancer_of(self, listener_id: str) -> str:
        """Return the id of the load balancer that a listener belongs to.

        :raises NotFound: when Octavia does not know the listener
        :raises Unavailable: when Octavia does not answer
        """
        return str(self._get(constants.LISTENERS, listener_id)["loadbalancer_id"])

    def _get(self, kind: str, object_id: str) -> dict[str, Any]:
        found = self._agent.get(kind, object_id)
        if found is None:
            raise NotFound(f"Octavia does not know {object_id} among its {kind}.")
        return found


_PARENTS = {
    Kind.MEMBER: (Kind.POOL, "pool_id"),
    Kind.HEALTH_MONITOR: (Kind.POOL, "pool_id"),
    Kind.POOL: (Kind.LOAD_BALANCER, "loadbalancer_id"),
    Kind.L7RULE: (Kind.L7POLICY, "l7policy_id"),
    Kind.L7POLICY: (Kind.LISTENER, "listener_id"),
    Kind.LISTENER: (Kind.LOAD_BALANCER, "loadbalancer_id"),
}
"""The kind of an object's parent, and the field that has its id."""
_REMEMBERED = 20_000  # objects
_PAUSES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
"""Seconds between looks whether Octavia has committed."""


def _set(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
