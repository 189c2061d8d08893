# SPDX-License-Identifier: Apache-2.0
"""Where checks of monitored members come from: a port of the service in each of their subnets.

OVN's checks and the probes of the chassis have ports of their own: OVN answers for the address of
the one, and a hypervisor's kernel for that of the other.
"""

from __future__ import annotations

import functools
from collections.abc import Hashable

from octavia_ovn.controller.effects import Effects
from octavia_ovn.controller.protocols import Neutron, SwitchPorts
from octavia_ovn.core import model
from octavia_ovn.core.dependencies import Resource
from octavia_ovn.core.health import Source
from octavia_ovn.core.neutron_port import NeutronPort
from octavia_ovn.core.probing import plan, spec
from octavia_ovn.core.rows import ClearAddresses, Operation
from octavia_ovn.core.topology import Subnet

TASKS = {Resource.MONITORED: "source", Resource.PROBED: "probe source"}
"""Kind of source → kind of the task that makes it."""
RELEASES = {Resource.MONITORED: "release", Resource.PROBED: "release probe source"}
"""Kind of source → kind of the task that deletes it."""
_SERVICE = ("project",)
PATIENCE = 60.0
"""Seconds for which a load balancer waits for a service that fails; then it is served unchecked."""


class NoSource(Exception):
    """There is none yet; the load balancer is reconciled again when there is.

    :param operations: what must be written before there can be one
    :param lasting: whether it has not come for so long that nothing else should wait for it
    """

    def __init__(self, *operations: Operation, lasting: bool = False) -> None:
        super().__init__()
        self.operations = operations
        self.lasting = lasting


class Sources:
    """Finds them, and has Neutron make them."""

    def __init__(self, neutron: Neutron, effects: Effects) -> None:
        self._neutron = neutron
        self._effects = effects

    def find(
        self, lb: model.LoadBalancer, subnet: Subnet, ports: SwitchPorts, owner: str
    ) -> Source | None:
        """Return the port that checks of a member come from; None when Neutron refuses one.

        The port must belong to the service: on a shared network any tenant can make one that looks
        like it. That of the former driver belongs to a tenant, and will do for members of the same
        one, who answer the checks anyway.

        :param ports: those of the subnet's switch
        :param owner: the project of the member's port; empty when there is no such port
        :raises NoSource: when it is not there yet
        """
        key = (TASKS[Resource.MONITORED], subnet.id)
        project = self._project(lb.id, subnet, Resource.MONITORED)
        found = ports.monitor_source(subnet.id, [project, owner] if owner else [project])
        if found is None:
            port = self._made(lb.id, subnet, project, Resource.MONITORED)
            return _source(port, subnet) if port is not None else None
        if found.answers:
            raise NoSource(ClearAddresses(found.port))
        # Until Neutron has answered, the hypervisors have some time to follow.
        if self._effects.is_first_attempt(key, lb.id):
            raise NoSource
        # From now on OVN says it: were the port deleted, another would have to be made.
        self._effects.forget(key)
        return found

    def find_for_probes(
        self, lb: model.LoadBalancer, subnet: Subnet, ports: SwitchPorts
    ) -> spec.Source | None:
        """Return the port that chassis probe members from; None when Neutron refuses one.

        :param ports: those of the subnet's switch
        :raises NoSource: when it is not there yet
        """
        project = self._project(lb.id, subnet, Resource.PROBED)
        found = ports.probe_source(subnet.id, project)
        if found is None:
            if self._made(lb.id, subnet, project, Resource.PROBED) is None:
                return None
            raise NoSource  # until OVN has it, too
        self._effects.forget((TASKS[Resource.PROBED], subnet.id))
        return plan.source(found.name, found.mac, found.addresses, subnet.cidr)

    def _made(
        self, waiter: str, subnet: Subnet, project: str, kind: Resource
    ) -> NeutronPort | None:
        make = functools.partial(
            self._neutron.make_hm_port, subnet.id, subnet.network_id, project, kind
        )
        key = (TASKS[kind], subnet.id)
        done = self._effects.get(key, make, waiter)
        if done is None:
            raise self._not_yet(key)
        return done.value

    def _project(self, waiter: str, subnet: Subnet, kind: Resource) -> str:
        """Return the project that the service's ports belong to.

        :raises NoSource: also while the port is being deleted; that is not tried again
        """
        found = self._service_project(waiter)
        release = (RELEASES[kind], subnet.id)
        if self._effects.is_running(release, waiter):
            self._effects.forget(release)
            raise NoSource
        return found

    def _service_project(self, waiter: str) -> str:
        done = self._effects.get(_SERVICE, self._neutron.project, waiter)
        if done is None or done.value is None:
            raise self._not_yet(_SERVICE)
        return done.value

    def _not_yet(self, key: Hashable) -> NoSource:
        return NoSource(lasting=self._effects.failing_for(key) >= PATIENCE)


def _source(port: NeutronPort, subnet: Subnet) -> Source | None:
    found = (each.address for each in port.fixed_ips if each.subnet_id == subnet.id)
    return next((Source(port.id, address) for address in found), None)
