# SPDX-License-Identifier: Apache-2.0
"""Octavia's HTTP API, as far as comparing needs it: load balancers, and their objects in PENDING.

The trees themselves come from octavia-driver-agent's get socket, which shows no statuses and cannot
list.
"""

from __future__ import annotations

import contextlib
import datetime
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from octavia_ovn.adapters.octavia.fields import canonical_ids
from octavia_ovn.adapters.rest import Query, Rest
from octavia_ovn.core import flavors
from octavia_ovn.core.diagnosis.snapshot import ObjectStatus
from octavia_ovn.core.listed import Listed
from octavia_ovn.core.pending import Final, Kind, Objects
from octavia_ovn.errors import NotFound
from octavia_ovn.observer import SILENT, Observer

if TYPE_CHECKING:
    from octavia_ovn.config.services import Service

OURS = "ovn"
"""The provider that load balancers of this driver have."""
# For each page Octavia sorts all load balancers seven times. One of 500 takes it 0.4 s.
_PAGE = 500
_FIELDS = (
    "id",
    "project_id",
    "provider",
    "provisioning_status",
    "listeners",
    "pools",
    "vip_sg_ids",
    "created_at",
    "updated_at",
)
_PENDING = {
    "PENDING_CREATE": Final.ACTIVE,
    "PENDING_UPDATE": Final.ACTIVE,
    "PENDING_DELETE": Final.DELETED,
}


class OctaviaApi:
    """A client; safe to share between threads. It connects with the first call.

    Every call may raise :class:`Unavailable` when Octavia or Keystone does not answer, and
    :class:`Refused` when Octavia will not answer.

    :param service: the options of `[service_auth]`
    :param clock: seconds since 1970, for an Octavia whose answers have no date
    """

    def __init__(
        self,
        service: Service,
        clock: Callable[[], float] = time.time,
        observer: Observer = SILENT,
    ) -> None:
        self.rest = Rest(
            service, "load-balancer", "Octavia", "/v2.0", page=_PAGE, observer=observer
        )
        self._clock = clock

    def load_balancers(self, provider: str = OURS) -> tuple[Listed, ...]:
        """Return all load balancers of a provider that are not DELETED.

        An account without the right to see other projects gets its own project's only, and Octavia
        does not say so: that one is not listed does not prove that it does not exist.
        """
        query: Query = {"provider": provider, "fields": _FIELDS}
        pages = self.rest.pages("/lbaas/loadbalancers", "loadbalancers", query)
        # Octavia can be configured to ignore filters.
        return tuple(
            _listed(item, self._now())
            for items in pages
            for item in items
            if item["provider"] == provider
        )

    def load_balancer(self, lb_id: str, provider: str = OURS) -> Listed | None:
        """Return one load balancer as it is listed; None if the provider has none of that id."""
        with contextlib.suppress(NotFound):
            item = self.rest.get(f"/lbaas/loadbalancers/{lb_id}")["loadbalancer"]
            deleted = item["provisioning_status"] == Final.DELETED.value
            if item["provider"] == provider and not deleted:
                return _listed(item, self._now())
        return None

    def provider(self, lb_id: str) -> str | None:
        """Return the provider of a load balancer; None if Octavia shows none of that id."""
        with contextlib.suppress(NotFound):
            return str(self.rest.get(f"/lbaas/loadbalancers/{lb_id}")["loadbalancer"]["provider"])
        return None

    def _now(self) -> float:
        """Return the time by Octavia's clock, as its own times are; this host's may differ."""
        return self._clock() if self.rest.date is None else self.rest.date

    def with_pending_children(self) -> frozenset[str]:
        """Return the ids of load balancers that have something below them in PENDING.

        Listeners, pools, monitors and L7 policies are examined. Members and L7 rules cannot be
        listed without asking for each pool and policy; see :meth:`pending`.
        """
        found: set[str] = set()
        for kind in ("listeners", "pools"):
            found.update(*(_ids(item["loadbalancers"]) for item in self._in_pending(kind)))
        for monitor in self._in_pending("healthmonitors"):
            for pool_id in _ids(monitor["pools"]):
                with contextlib.suppress(NotFound):
                    pool = self.rest.get(f"/lbaas/pools/{pool_id}")["pool"]
                    found.update(_ids(pool["loadbalancers"]))
        for policy in self._in_pending("l7policies"):
            with contextlib.suppress(NotFound):
                listener = self.rest.get(f"/lbaas/listeners/{policy['listener_id']}")["listener"]
                found.update(_ids(listener["loadbalancers"]))
        return frozenset(found)

    def _in_pending(self, kind: str) -> Iterator[dict[str, Any]]:
        for status in _PENDING:
            items = self.rest.list(f"/lbaas/{kind}", kind, {"provisioning_status": status})
            yield from (item for item in items if item["provisioning_status"] == status)

    def pending(self, lb_id: str) -> Objects:
        """Return the objects of a load balancer that are in PENDING, and how each must end.

        Octavia's own status tree lacks pools without a listener, so the objects are asked for one
        kind after the other. Empty when the load balancer does not exist.
        """
        found: dict[tuple[Kind, str], Final] = {}
        for kind, item in self.objects(lb_id):
            final = _PENDING.get(item["provisioning_status"])
            if final is not None:
                found[kind, item["id"]] = final
        return found

    def named(self, name: str) -> tuple[str, ...]:
        """Return the ids of the load balancers that have a name."""
        query = {"name": name, "fields": ("id", "name")}
        items = self.rest.list("/lbaas/loadbalancers", "loadbalancers", query)
        # Octavia can be configured to ignore filters.
        return tuple(sorted(item["id"] for item in items if item["name"] == name))

    def flavored(self, key: str, provider: str = OURS) -> tuple[str, ...]:
        """Return the ids of the load balancers whose flavor sets a key to true.

        The account must be allowed to see flavor profiles and load balancers of all projects.
        """
        items = self.rest.list("/lbaas/flavorprofiles", "flavorprofiles", {})
        profiles = {
            item["id"]
            for item in items
            if item["provider_name"] == provider and flavors.sets(item["flavor_data"], key)
        }
        items = self.rest.list("/lbaas/flavors", "flavors", {}) if profiles else []
        chosen = [item["id"] for item in items if item["flavor_profile_id"] in profiles]
        found: set[str] = set()
        for flavor_id in chosen:
            query: Query = {"flavor_id": flavor_id, "fields": ("id", "flavor_id")}
            items = self.rest.list("/lbaas/loadbalancers", "loadbalancers", query)
            # Octavia can be configured to ignore filters.
            found |= {item["id"] for item in items if item["flavor_id"] == flavor_id}
        return tuple(sorted(found))

    def statuses(self, lb_id: str) -> dict[tuple[Kind, str], ObjectStatus]:
        """Return names and statuses of a load balancer and all that belongs to it.

        Empty when the load balancer does not exist.
        """
        return {
            (kind, item["id"]): ObjectStatus(
                item.get("name") or "", item["provisioning_status"], item["operating_status"]
            )
            for kind, item in self.objects(lb_id)
        }

    def objects(self, lb_id: str) -> Iterator[tuple[Kind, dict[str, Any]]]:
        """Yield a load balancer and all that belongs to it, as far as it exists.

        Each listener is followed by its L7 policies and their rules, each pool by its members and
        its monitor.
        """
        with contextlib.suppress(NotFound):
            yield (
                Kind.LOAD_BALANCER,
                self.rest.get(f"/lbaas/loadbalancers/{lb_id}")["loadbalancer"],
            )
            for item in self._children("listeners", lb_id):
                yield Kind.LISTENER, item
                yield from self._policies(item)
            for pool in self._children("pools", lb_id):
                yield Kind.POOL, pool
                yield from self._parts(pool)

    def listener_statistics(self, listener_id: str) -> dict[str, int] | None:
        """Return the counters that Octavia shows of a listener; None when there is none."""
        with contextlib.suppress(NotFound):
            found = self.rest.get(f"/lbaas/listeners/{listener_id}/stats")["stats"]
            return {name: int(value) for name, value in found.items()}
        return None

    def _children(self, kind: str, lb_id: str) -> list[dict[str, Any]]:
        items = self.rest.list(f"/lbaas/{kind}", kind, {"loadbalancer_id": lb_id})
        return [item for item in items if {"id": lb_id} in item["loadbalancers"]]

    def _policies(self, listener: Mapping[str, Any]) -> Iterator[tuple[Kind, dict[str, Any]]]:
        """Yield the L7 policies of a listener, and their rules."""
        for policy_id in sorted(_ids(listener.get("l7policies") or ())):
            with contextlib.suppress(NotFound):
                path = f"/lbaas/l7policies/{policy_id}"
                policy = self.rest.get(path)["l7policy"]
                yield Kind.L7POLICY, policy
                if policy.get("rules"):
                    for rule in self.rest.list(f"{path}/rules", "rules"):
                        yield Kind.L7RULE, rule

    def _parts(self, pool: Mapping[str, Any]) -> Iterator[tuple[Kind, dict[str, Any]]]:
        """Yield members and health monitor of a pool, unless the pool has gone meanwhile."""
        with contextlib.suppress(NotFound):
            if pool["members"]:
                for item in self.rest.list(f"/lbaas/pools/{pool['id']}/members", "members"):
                    yield Kind.MEMBER, item
            if pool.get("healthmonitor_id"):
                path = f"/lbaas/healthmonitors/{pool['healthmonitor_id']}"
                yield Kind.HEALTH_MONITOR, self.rest.get(path)["healthmonitor"]


def _ids(items: Iterable[Mapping[str, str]]) -> set[str]:
    return {item["id"] for item in items}


def _listed(item: Mapping[str, Any], now: float) -> Listed:
    return Listed(
        id=item["id"],
        project_id=item["project_id"],
        provisioning_status=item["provisioning_status"],
        idle=max(0.0, now - max(_times(item), default=now)),
        children=frozenset(
            each["id"] for kind in ("listeners", "pools") for each in item.get(kind) or ()
        ),
        # Older ones do not know it.
        security_groups=tuple(sorted(canonical_ids(item.get("vip_sg_ids") or ()))),
    )


def _times(item: Mapping[str, Any]) -> Iterator[float]:
    """Yield when Octavia made and changed an object; its texts are in UTC without saying so."""
    for key in ("created_at", "updated_at"):
        if item.get(key):
            moment = datetime.datetime.fromisoformat(item[key])
            yield moment.replace(tzinfo=datetime.timezone.utc).timestamp()
