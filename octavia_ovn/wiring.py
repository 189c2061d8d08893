# SPDX-License-Identifier: Apache-2.0
"""Builds what API workers, the agent and the commands have in common, without any I/O.

An API worker builds it at first use, once in each process.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass

from octavia_ovn.adapters.neutron.client import Neutron
from octavia_ovn.adapters.neutron.vip_ports import VipPorts
from octavia_ovn.adapters.northbound.intents import IntentRows
from octavia_ovn.adapters.octavia.api import OctaviaApi
from octavia_ovn.adapters.octavia.data_models import DriverDefaults
from octavia_ovn.adapters.octavia.driver_agent import DriverAgent
from octavia_ovn.adapters.octavia.in_process import choose
from octavia_ovn.adapters.octavia.sockets import Sockets
from octavia_ovn.adapters.octavia.trees import Octavia
from octavia_ovn.adapters.ovsdb.endpoint import Endpoint
from octavia_ovn.adapters.ovsdb.session import OvsdbSession
from octavia_ovn.config import octavia as config
from octavia_ovn.controller.drift.compare import Repair
from octavia_ovn.controller.record import Recorder
from octavia_ovn.core.model import Mechanism
from octavia_ovn.errors import NotFound
from octavia_ovn.observer import SILENT, Observer


@dataclass(frozen=True, slots=True)
class Runtime:
    """The parts that API workers, the agent and the commands share."""

    recorder: Recorder
    neutron: Neutron
    vip_ports: VipPorts
    defaults: DriverDefaults
    driver_agent: DriverAgent
    octavia: Octavia
    listing: OctaviaApi
    grace: float

    def cidr(self, subnet_id: str) -> str | None:
        """Return the CIDR of a subnet; None when the subnet is gone."""
        try:
            return self.neutron.subnet(subnet_id).cidr
        except NotFound:
            return None

    def repair(self, *, patience: float = 5.0) -> Repair:
        """Return what compares Octavia with the rows."""
        return Repair(
            self.recorder, self.octavia, self.listing, grace=self.grace, patience=patience
        )


_lock = threading.Lock()
_by_process: dict[int, Runtime] = {}


def get() -> Runtime:
    """Return this process's runtime.

    :raises BadConfiguration: naming the option that is wrong
    """
    found = _by_process.get(os.getpid())
    if found is None:
        with _lock:
            found = _by_process.get(os.getpid()) or build(config.load())
            _by_process.clear()
            _by_process[os.getpid()] = found
    return found


def build(settings: config.Settings, observer: Observer = SILENT) -> Runtime:
    """Return new parts; nothing is connected yet.

    :param observer: is notified of calls of Neutron and Octavia
    :raises BadConfiguration: naming the option that is wrong
    """
    endpoint = Endpoint.parse(*settings.nb)
    session = OvsdbSession(
        endpoint, "OVN_Northbound", settings.connection_timeout, settings.probe_interval
    )
    neutron = Neutron(settings.neutron, observer)
    defaults = DriverDefaults(Mechanism(settings.session_persistence), settings.usual)
    sockets = Sockets(settings.status_socket, settings.stats_socket, settings.get_socket)
    driver_agent = DriverAgent(choose(settings.status_path, sockets), observer)
    listing = OctaviaApi(settings.octavia, observer=observer)
    return Runtime(
        recorder=Recorder(
            IntentRows(session),
            settings.connection_timeout,
            neutron.subnet,
            settings.admission,
        ),
        neutron=neutron,
        vip_ports=VipPorts(neutron),
        defaults=defaults,
        driver_agent=driver_agent,
        octavia=Octavia(driver_agent, defaults, listing),
        listing=listing,
        grace=settings.pending_grace,
    )
