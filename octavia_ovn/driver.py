# SPDX-License-Identifier: Apache-2.0
"""The provider driver that Octavia's API workers load: validate, record, answer.

Octavia makes a new object for each request and calls it inside its own open database transaction.
A call only records the request in the Northbound database, where the agent finds it. When a call
returns, the request cannot be lost; when it raises, nothing has changed.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from octavia_lib.api.drivers import data_models, exceptions, provider_base
from oslo_log import log

from octavia_ovn import errors, wiring
from octavia_ovn.adapters.neutron.vip_ports import VipRequest
from octavia_ovn.adapters.octavia import data_models as models
from octavia_ovn.controller.drift.once import Action, sync
from octavia_ovn.core import flavors, pending, zones
from octavia_ovn.core.listed import Listed
from octavia_ovn.core.pending import Kind
from octavia_ovn.core.request import changes, limits

LOG = log.getLogger(__name__)
F = TypeVar("F", bound=Callable[..., Any])


# With octavia-lib 3.9 and later Octavia answers 409; before, 500 with the same message.
CONFLICT = getattr(exceptions, "Conflict", exceptions.DriverError)
_UNFORESEEN = "The provider has failed; the log of Octavia's API says more."
_FILTERS = {"id", "project_id"}


def _fits(listed: Listed, filters: Mapping[str, str]) -> bool:
    return all(getattr(listed, name) == value for name, value in filters.items())


def _answer(call: F) -> F:
    """Call with ids in lower case, and convert errors to those of octavia-lib."""

    @functools.wraps(call)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return call(*models.canonical_ids(args), **models.canonical_ids(kwargs))
        except limits.Unsupported as error:
            raise exceptions.UnsupportedOptionError(
                user_fault_string=str(error), operator_fault_string=str(error)
            ) from error
        except errors.Conflict as error:
            raise CONFLICT(
                user_fault_string=str(error), operator_fault_string=str(error)
            ) from error
        except errors.OctaviaOvnError as error:
            failure = error
        except Exception as error:
            LOG.exception("%s failed unexpectedly", call.__name__)
            raise exceptions.DriverError(
                user_fault_string=_UNFORESEEN, operator_fault_string=repr(error)
            ) from error
        # Not in the handler: see errors.failure.
        LOG.error("%s failed: %s", call.__name__, failure)
        raise exceptions.DriverError(
            user_fault_string=failure.tenant or str(failure), operator_fault_string=str(failure)
        ) from failure

    return wrapper  # type: ignore[return-value]


class OvnProviderDriver(provider_base.ProviderDriver):  # type: ignore[misc]
    """Octavia's `ovn` provider."""

    # --- load balancers

    @_answer
    def create_vip_port(
        self,
        loadbalancer_id: str,
        project_id: str,
        vip_dictionary: dict[str, Any],
        additional_vip_dicts: Sequence[dict[str, Any]] | None = None,
    ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Create the Neutron ports of the VIPs, or check the one that the user provides."""
        context = wiring.get()
        limits.check("load balancer", vip_dictionary, context.defaults.usual)
        # If the database does not answer, no port is created.
        context.recorder.ping()
        request = VipRequest(
            loadbalancer_id, project_id, vip_dictionary, additional_vip_dicts or ()
        )
        return context.vip_ports.create(request)

    @_answer
    def loadbalancer_create(self, loadbalancer: data_models.LoadBalancer) -> None:
        """Record a new load balancer with all that came with it."""
        context = wiring.get()
        with errors.undoing(lambda: context.vip_ports.undo(loadbalancer.loadbalancer_id)):
            self._create(loadbalancer, context)

    @staticmethod
    def _create(loadbalancer: data_models.LoadBalancer, context: wiring.Runtime) -> None:
        vip_lookup = models.VipLookup(context.cidr, context.vip_ports.is_user_port)
        values = models.fields(loadbalancer)
        lb = models.load_balancer(values, context.defaults, vip_lookup)
        with contextlib.ExitStack() as stack:
            if lb.vips[0].user_port and values.get("vip_qos_policy_id"):
                port_id, policy_id = values["vip_port_id"], values["vip_qos_policy_id"]
                stack.enter_context(context.vip_ports.qos_policy(port_id, policy_id))
            context.recorder.record(changes.CreateLoadBalancer(lb), lb_id=lb.id)

    @_answer
    def loadbalancer_delete(
        self,
        loadbalancer: data_models.LoadBalancer,
        cascade: bool = False,  # noqa: ARG002
    ) -> None:
        """Record the deletion of a load balancer and its children; Octavia checks `cascade`."""
        values = models.fields(loadbalancer)
        lb = models.bare(values)
        change = changes.DeleteLoadBalancer(lb, models.children(values))
        wiring.get().recorder.record(change, lb_id=lb.id)

    @_answer
    def loadbalancer_update(
        self,
        old_loadbalancer: data_models.LoadBalancer,
        new_loadbalancer: data_models.LoadBalancer,
    ) -> None:
        """Record a new administrative state; names and descriptions are Octavia's own."""
        context = wiring.get()
        values = models.fields(new_loadbalancer)
        limits.check("load balancer", values, context.defaults.usual)
        groups = limits.VIP_GROUPS in context.defaults.usual.permitted
        change = changes.UpdateLoadBalancer(values.get("admin_state_up"), groups)
        with contextlib.ExitStack() as stack:
            if "vip_qos_policy_id" in values:
                # If the database does not answer, the policy is not changed.
                context.recorder.ping()
                port_id, policy_id = old_loadbalancer.vip_port_id, values["vip_qos_policy_id"]
                stack.enter_context(context.vip_ports.qos_policy(port_id, policy_id))
            context.recorder.record(change, lb_id=new_loadbalancer.loadbalancer_id)

    @_answer
    def loadbalancer_failover(self, loadbalancer_id: str) -> None:
        """Have the agent compare the load balancer with Octavia and repair its rows."""
        wiring.get().recorder.record(changes.Resync(loadbalancer_id), lb_id=loadbalancer_id)

    # --- listeners

    @_answer
    def listener_create(self, listener: data_models.Listener) -> None:
        """Record a new listener."""
        context, values = wiring.get(), models.fields(listener)
        change = changes.PutListener(models.listener(values, context.defaults))
        context.recorder.record(change, lb_id=values["loadbalancer_id"])

    @_answer
    def listener_update(
        self, old_listener: data_models.Listener, new_listener: data_models.Listener
    ) -> None:
        """Record what changes of a listener."""
        context = wiring.get()
        update = models.listener_update(old_listener, new_listener, context.defaults)
        context.recorder.record(update, lb_id=old_listener.loadbalancer_id)

    @_answer
    def listener_delete(self, listener: data_models.Listener) -> None:
        """Record the deletion of a listener."""
        below = models.children(models.fields(listener), "l7policies")
        change = changes.DeleteListener(listener.listener_id, below)
        wiring.get().recorder.record(change, lb_id=listener.loadbalancer_id)

    # --- pools

    @_answer
    def pool_create(self, pool: data_models.Pool) -> None:
        """Record a new pool, as the default pool of the listener that it names."""
        context, values = wiring.get(), models.fields(pool)
        new = models.pool(values, context.defaults)
        lb_id, listener_id = values["loadbalancer_id"], values.get("listener_id") or None
        try:
            context.recorder.record(changes.PutPool(new, listener_id), lb_id=lb_id)
        except errors.NotFound:
            if listener_id and context.octavia.load_balancer_of(listener_id) != lb_id:
                raise limits.refuse(
                    limits.FOREIGN_LISTENER, listener=listener_id, lb=lb_id
                ) from None
            raise

    @_answer
    def pool_update(self, old_pool: data_models.Pool, new_pool: data_models.Pool) -> None:
        """Record what changes of a pool."""
        context = wiring.get()
        update = models.pool_update(old_pool, new_pool, context.defaults)
        context.recorder.record(update, lb_id=old_pool.loadbalancer_id)

    @_answer
    def pool_delete(self, pool: data_models.Pool) -> None:
        """Record the deletion of a pool with its members and its monitor."""
        change = changes.DeletePool(pool.pool_id, models.children(models.fields(pool)))
        wiring.get().recorder.record(change, lb_id=pool.loadbalancer_id)

    # --- members

    @_answer
    def member_create(self, member: data_models.Member) -> None:
        """Record a new member."""
        change = changes.PutMember(member.pool_id, models.member(models.fields(member)))
        wiring.get().recorder.record(change, pool_id=member.pool_id)

    @_answer
    def member_update(self, old_member: data_models.Member, new_member: data_models.Member) -> None:
        """Record what changes of a member."""
        update = models.member_update(old_member, new_member)
        wiring.get().recorder.record(update, pool_id=update.pool_id)

    @_answer
    def member_delete(self, member: data_models.Member) -> None:
        """Record the deletion of a member."""
        change = changes.DeleteMember(member.pool_id, member.member_id)
        wiring.get().recorder.record(change, pool_id=member.pool_id)

    @_answer
    def member_batch_update(self, pool_id: str, members: Sequence[data_models.Member]) -> None:
        """Record all members that a pool has now: all of them, or none if one is refused."""
        update = models.members_update(pool_id, members)
        wiring.get().recorder.record(update, pool_id=pool_id)

    # --- health monitors

    @_answer
    def health_monitor_create(self, healthmonitor: data_models.HealthMonitor) -> None:
        """Record a new health monitor."""
        context = wiring.get()
        monitor = models.health_monitor(models.fields(healthmonitor), context.defaults)
        change = changes.PutMonitor(healthmonitor.pool_id, monitor)
        context.recorder.record(change, pool_id=healthmonitor.pool_id)

    @_answer
    def health_monitor_update(
        self,
        old_healthmonitor: data_models.HealthMonitor,
        new_healthmonitor: data_models.HealthMonitor,
    ) -> None:
        """Record what changes of a health monitor."""
        context = wiring.get()
        update = models.health_monitor_update(
            old_healthmonitor, new_healthmonitor, context.defaults
        )
        context.recorder.record(update, pool_id=update.pool_id)

    @_answer
    def health_monitor_delete(self, healthmonitor: data_models.HealthMonitor) -> None:
        """Record the deletion of a health monitor."""
        change = changes.DeleteMonitor(healthmonitor.pool_id, healthmonitor.healthmonitor_id)
        wiring.get().recorder.record(change, pool_id=healthmonitor.pool_id)

    # --- comparing

    @_answer
    def do_sync(self, **filters: str) -> None:
        """Compare load balancers with Octavia and record repairs, which the agent applies.

        :param filters: `id` or `project_id` of the load balancers; `provider` may only be `ovn`
        """
        if filters.pop("provider", "ovn") != "ovn" or not filters.keys() <= _FILTERS:
            raise limits.Unsupported("Load balancers can be selected by id and project_id only.")
        results = sync(
            wiring.get().repair(), lambda listed: _fits(listed, filters) if filters else True
        )
        for result in results:
            finding = result.finding
            if result.action is not Action.NOTHING:
                LOG.warning(
                    "Load balancer %s is %s: %s",
                    finding.lb_id,
                    finding.state.value,
                    result.reason or result.action.value,
                )

    # --- flavors and availability zones

    @_answer
    def get_supported_flavor_metadata(self) -> dict[str, str]:
        """Return the keys that a flavor may have, with their meanings."""
        return dict(flavors.DESCRIPTIONS)

    @_answer
    def validate_flavor(self, flavor_metadata: dict[str, Any]) -> None:
        """Refuse a flavor with an unknown key or a wrong value."""
        models.flavor(flavor_metadata)

    @_answer
    def get_supported_availability_zone_metadata(self) -> dict[str, str]:
        """Return the keys that an availability zone may have, with their meanings."""
        return dict(zones.DESCRIPTIONS)

    @_answer
    def validate_availability_zone(self, availability_zone_metadata: dict[str, Any]) -> None:
        """Refuse a zone with an unknown key or a wrong value."""
        models.zone(availability_zone_metadata)

    # --- layer 7: not supported; what Octavia has nevertheless can be deleted

    @_answer
    def _refuse_l7(self, *_: object) -> None:
        raise limits.refuse(limits.L7)

    l7policy_create = l7policy_update = _refuse_l7
    l7rule_create = l7rule_update = _refuse_l7

    @_answer
    def l7policy_delete(self, l7policy: data_models.L7Policy) -> None:
        """Record the deletion of a policy with its rules."""
        policy = wiring.get().octavia.l7policy(l7policy.l7policy_id)
        self._release(policy, models.children({"l7policies": [policy]}))

    @_answer
    def l7rule_delete(self, l7rule: data_models.L7Rule) -> None:
        """Record the deletion of a rule."""
        policy = wiring.get().octavia.l7policy(l7rule.l7policy_id)
        rule = pending.deleted(Kind.L7RULE, [l7rule.l7rule_id])
        self._release(policy, rule | pending.active(Kind.L7POLICY, [l7rule.l7policy_id]))

    @staticmethod
    def _release(policy: models.Fields, objects: pending.Objects) -> None:
        context, listener_id = wiring.get(), policy["listener_id"]
        lb_id = context.octavia.load_balancer_of(listener_id)
        listener = pending.active(Kind.LISTENER, [listener_id])
        context.recorder.record(changes.Release(lb_id, {**objects, **listener}), lb_id=lb_id)
