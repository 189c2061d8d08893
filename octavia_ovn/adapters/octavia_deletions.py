"""Whether Octavia wants deleted what rows say that it does.

Octavia deletes any object that a provider reports as DELETED, whosever it is, and whoever may write
the Northbound database may write into rows what is to be reported. So only what Octavia shows below
the load balancer and on its way out is reported.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from octavia_ovn.adapters.octavia import Octavia
from octavia_ovn.adapters.rest import Rest
from octavia_ovn.core import changes
from octavia_ovn.core.pending import Final, Key, Kind, Objects, questionable
from octavia_ovn.errors import NotFound, OctaviaOvnError

LOG = logging.getLogger(__name__)

_PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Seconds between two questions: a request is in the rows before Octavia commits it."""
_SINGLY = 5
"""Members that are asked for one by one; of more, the whole pool is listed."""
_PARTS = frozenset({Kind.MEMBER, Kind.HEALTH_MONITOR})

Json = Mapping[str, Any]


class Deletions:
    """Asks Octavia's API; where that does not answer, the driver agent, which shows no statuses.

    :param rest: Octavia's API
    :param octavia: Octavia's trees, from the driver agent
    :param sleep: waits that many seconds
    """

    def __init__(
        self, rest: Rest, octavia: Octavia, sleep: Callable[[float], object] = time.sleep
    ) -> None:
        self._rest = rest
        self._octavia = octavia
        self._sleep = sleep

    def confirmed(self, lb_id: str, objects: Objects) -> frozenset[Key]:
        """Return those of a load balancer's objects that Octavia wants deleted.

        Of L7 policies and rules that stay, which end in ERROR, it is enough that they belong to it.

        :param objects: what a request is about, and how each must end
        :raises Unavailable: when Octavia does not answer
        """
        wanted = questionable(objects)
        found: frozenset[Key] = frozenset()
        for pause in (*_PAUSES, 0.0):
            try:
                found = wanted & frozenset(self._shown(lb_id, objects, wanted))
            except OctaviaOvnError as error:
                LOG.debug("Octavia's API does not show load balancer %s: %s", lb_id, error)
                return wanted & self._known(lb_id)
            if found == wanted:
                break
            self._sleep(pause)
        return found

    def _known(self, lb_id: str) -> frozenset[Key]:
        tree = self._octavia.tree(lb_id)
        return changes.objects(tree) if tree else frozenset({(Kind.LOAD_BALANCER, lb_id)})

    def _shown(self, lb_id: str, objects: Objects, wanted: frozenset[Key]) -> Iterator[Key]:
        """Yield what is on its way out, of the load balancer's own."""
        lb: Json = {}
        if (Kind.LOAD_BALANCER, lb_id) in wanted:
            lb = self._get(f"/lbaas/loadbalancers/{lb_id}", "loadbalancer")
            if not lb or _is_going(lb):
                yield Kind.LOAD_BALANCER, lb_id
        whole = _is_going(lb)
        # What goes with the load balancer need not be asked for.
        listeners = dict.fromkeys(_ids(lb.get("listeners")), True) if whole else {}
        for listener_id in _of(Kind.LISTENER, wanted) - listeners.keys():
            listeners[listener_id] = self._listener_goes(lb_id, listener_id) is True
        yield from ((Kind.LISTENER, each) for each, goes in listeners.items() if goes)
        for policy_id in _of(Kind.L7POLICY, objects):
            yield from self._policy(lb_id, policy_id, listeners, objects)
        asked: Iterable[Key] = objects if any(kind in _PARTS for kind, _ in wanted) else wanted
        for pool_id in _of(Kind.POOL, asked):
            yield from self._pool(lb_id, pool_id, whole, wanted)

    def _listener_goes(self, lb_id: str, listener_id: str) -> bool | None:
        """Whether a listener is on its way out; None when it is not the load balancer's."""
        listener = self._get(f"/lbaas/listeners/{listener_id}", "listener")
        return _is_going(listener) if _is_of(listener, lb_id) else None

    def _pool(self, lb_id: str, pool_id: str, going: bool, wanted: frozenset[Key]) -> Iterator[Key]:
        pool = self._get(f"/lbaas/pools/{pool_id}", "pool")
        if not _is_of(pool, lb_id):
            return
        going = going or _is_going(pool)
        if going:
            yield Kind.POOL, pool_id
        monitor = pool.get("healthmonitor_id") or ""
        if (Kind.HEALTH_MONITOR, monitor) in wanted and (
            going or self._goes(f"/lbaas/healthmonitors/{monitor}", "healthmonitor")
        ):
            yield Kind.HEALTH_MONITOR, monitor
        members = _of(Kind.MEMBER, wanted) & _ids(pool.get("members"))
        for member_id in members if going else self._members(pool_id, members):
            yield Kind.MEMBER, member_id

    def _members(self, pool_id: str, members: set[str]) -> Iterator[str]:
        """Yield those members of a pool that are on their way out."""
        path = f"/lbaas/pools/{pool_id}/members"
        if len(members) > _SINGLY:
            yield from (each["id"] for each in self._rest.list(path, "members") if _is_going(each))
            return
        yield from (each for each in sorted(members) if self._goes(f"{path}/{each}", "member"))

    def _policy(
        self, lb_id: str, policy_id: str, listeners: Mapping[str, bool], objects: Objects
    ) -> Iterator[Key]:
        path = f"/lbaas/l7policies/{policy_id}"
        policy = self._get(path, "l7policy")
        parent = policy.get("listener_id")
        goes = parent and (listeners.get(parent) or self._listener_goes(lb_id, parent))
        if goes is None:
            return
        going = goes or _is_going(policy)
        if going or objects[Kind.L7POLICY, policy_id] is Final.ACTIVE:
            yield Kind.L7POLICY, policy_id
        for rule_id in _of(Kind.L7RULE, objects) & _ids(policy.get("rules")):
            stays = objects[Kind.L7RULE, rule_id] is Final.ACTIVE
            if going or stays or self._goes(f"{path}/rules/{rule_id}", "rule"):
                yield Kind.L7RULE, rule_id

    def _goes(self, path: str, key: str) -> bool:
        return _is_going(self._get(path, key))

    def _get(self, path: str, key: str) -> Json:
        """Return an object; an empty one when there is none."""
        try:
            found: Json = self._rest.get(path)[key]
        except NotFound:
            return {}
        return found


def _is_going(item: Json) -> bool:
    return bool(item.get("provisioning_status") == "PENDING_DELETE")


def _is_of(item: Json, lb_id: str) -> bool:
    return {"id": lb_id} in item.get("loadbalancers", ())


def _ids(items: list[Mapping[str, str]] | None) -> set[str]:
    return {each["id"] for each in items or ()}


def _of(kind: Kind, keys: Iterable[Key]) -> set[str]:
    return {object_id for each, object_id in keys if each is kind}
