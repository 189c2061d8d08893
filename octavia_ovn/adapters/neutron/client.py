# SPDX-License-Identifier: Apache-2.0
"""Neutron: subnets, and the ports that load balancers and their health checks need.

A port made here carries its load balancer's or subnet's id in name and device_id, so that it is
found again when an answer was lost. Ports without them are the users' and are left alone: before a
port whose id comes from elsewhere is changed or deleted, it is read from Neutron to see its owner.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from octavia_ovn.adapters.rest import Query, Rest
from octavia_ovn.core.codec import neutron
from octavia_ovn.core.dependencies import Resource
from octavia_ovn.core.ip import canonical_address
from octavia_ovn.core.neutron_port import FixedIp, NeutronPort, SeenPort
from octavia_ovn.core.topology import Subnet
from octavia_ovn.errors import Conflict, NotFound, Refused, Unavailable
from octavia_ovn.observer import SILENT, Observer

if TYPE_CHECKING:
    from octavia_ovn.config.services import Service

LOG = logging.getLogger(__name__)

_OLD_ADDITIONAL = 10
_REMEMBERED = 10_000  # subnets
_FRESH = 1.0  # seconds
_FIELDS = (
    "id",
    "name",
    "network_id",
    "project_id",
    "device_id",
    "device_owner",
    "fixed_ips",
    "mac_address",
)


class Neutron:
    """Neutron's API, as far as it is needed; safe to share between threads.

    It connects with the first call. Every call may raise :class:`Unavailable` when Neutron or
    Keystone does not answer, and :class:`Refused` when Neutron will not do it.
    """

    def __init__(
        self,
        service: Service,
        observer: Observer = SILENT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._rest = Rest(service, "network", "Neutron", "/v2.0", observer=observer)
        self._subnets: dict[str, Subnet] = {}

    def project(self) -> str:
        """Return the id of the project that the service's account is scoped to.

        No tenant can create anything in it. Empty where there is no Keystone.
        """
        return self._rest.project()

    # --- subnets

    def subnet(self, subnet_id: str) -> Subnet:
        """Return a subnet, mostly from memory once it has been seen: it never changes.

        :raises NotFound: when there is none
        """
        found = self._subnets.get(subnet_id)
        if found is None:
            found = _subnet(self._rest.get(f"/subnets/{subnet_id}")["subnet"])
            if len(self._subnets) >= _REMEMBERED:
                self._subnets.clear()
            self._subnets[subnet_id] = found
        return found

    # --- ports

    def port(self, port_id: str) -> NeutronPort:
        """Return a port.

        :raises NotFound: when there is none
        """
        return _port(self._rest.get(f"/ports/{port_id}")["port"])

    def ports_of(self, device_id: str) -> tuple[NeutronPort, ...]:
        """Return the ports of a device, the smallest id first."""
        return self._ports({"device_id": device_id})

    def list_our_ports(self) -> tuple[NeutronPort, ...]:
        """Return all VIP and health monitor ports in the cloud whose name and device agree."""
        project = self.project()
        ports = self._ports({"device_owner": (*neutron.VIP_OWNERS, neutron.HM_OWNER)})
        return tuple(
            replace(each, of_service=each.project_id == project)
            for each in ports
            if each.vip_of or each.source_of or each.probe_source_of
        )

    def delete_port(self, port_id: str) -> None:
        """Delete a port; nothing to do when it is gone already."""
        self._rest.delete(f"/ports/{port_id}")

    def set_qos_policy(self, port_id: str, policy_id: str | None) -> None:
        """Put a QoS policy on a port, or take it off with None.

        :raises NotFound: when port or policy do not exist
        """
        self.change_port(port_id, qos_policy_id=policy_id)

    def change_port(self, port_id: str, **values: object) -> None:
        """Change attributes of a port, by Neutron's names.

        :raises NotFound: when there is none
        """
        self._rest.put(f"/ports/{port_id}", {"port": values})

    def address_pairs(self, port_id: str) -> list[dict[str, Any]]:
        """Return the allowed address pairs of a port.

        :raises NotFound: when there is none
        """
        query = {"fields": "allowed_address_pairs"}
        found = self._rest.get(f"/ports/{port_id}", query)["port"]
        return list(found.get("allowed_address_pairs") or ())

    def touch_port(self, port_id: str, address: str) -> None:
        """Have Neutron write the switch port of a port again; nothing to do when it is gone.

        An update that changes nothing raises its revision number, which is enough. A port that does
        not have the address any longer is left alone.
        """
        try:
            port = self.port(port_id)
            if port.fixed_ip(None, address):
                self.change_port(port_id, name=port.name)
        except NotFound:
            return

    # --- VIP ports

    def adopt_vip_port(self, port_id: str, lb_id: str) -> None:
        """Give a VIP port that another driver made the owner and device of this driver's ports.

        Without an owner Neutron leaves the addresses off the switch port, see
        :meth:`create_vip_port`.
        """
        self.change_port(port_id, device_owner="", device_id=neutron.device_id(lb_id))

    def create_vip_port(  # noqa: PLR0913 - the properties of a VIP
        self,
        lb_id: str,
        project_id: str | None,
        network_id: str,
        subnet_id: str | None = None,
        address: str | None = None,
        index: int | None = None,
    ) -> NeutronPort:
        """Make the port of a VIP, or return the one that an earlier attempt has made.

        :param index: 1, 2, … for additional VIPs
        :raises Conflict: when something else has the address
        :raises Refused: when Neutron will not, as when a quota or a subnet is used up
        :raises Unavailable: when Neutron shows no port that was made: one that appears later is
            found by its name, see :meth:`delete_vip_ports`
        """
        name = neutron.vip_port_name(lb_id, index)
        fixed_ip = {"subnet_id": subnet_id, "ip_address": address}
        # No device_owner: then Neutron leaves the addresses off the switch port, and OVN does not
        # answer ARP for the VIP with the MAC of a port that no machine uses.
        attributes = {
            "name": name,
            "network_id": network_id,
            "device_id": neutron.device_id(lb_id),
            "admin_state_up": True,
            "project_id": project_id,
            "fixed_ips": [_without_none(fixed_ip)] if subnet_id or address else None,
        }
        try:
            return self._create_port(attributes)
        except (Conflict, Unavailable):
            made = self._find_vip_port(attributes, subnet_id, address)
            if made is None:
                raise
            return made

    def set_address(self, port_id: str, subnet_id: str | None, address: str) -> NeutronPort:
        """Give a port one address instead of those that it has.

        :raises Conflict: when something else has the address
        """
        fixed_ip = _without_none({"subnet_id": subnet_id, "ip_address": address})
        change = {"port": {"fixed_ips": [fixed_ip]}}
        return _port(self._rest.put(f"/ports/{port_id}", change)["port"])

    def _find_vip_port(
        self, attributes: Mapping[str, Any], subnet_id: str | None, address: str | None
    ) -> NeutronPort | None:
        """Return the port that a failed attempt has made; None when Neutron shows none."""
        query = {key: attributes[key] for key in ("name", "device_id", "network_id")}
        try:
            ports = self._ports(query)
        except Unavailable:
            return None
        return next((each for each in ports if each.fixed_ip(subnet_id, address)), None)

    def look_at(self, port_id: str) -> SeenPort:
        """Return a port that may have to be deleted in a moment, see :meth:`delete_vip_port`."""
        now = self._clock()
        return SeenPort(self.port(port_id), now)

    def delete_vip_port(
        self,
        port_id: str,
        lb_id: str,
        project_id: str | None = None,
        seen: SeenPort | None = None,
    ) -> None:
        """Delete a VIP port that a driver has made; when it is gone, what was made in its place.

        A client that may write the Northbound database can name any port: one that does not belong
        to the load balancer is kept, and the log says so.

        :param project_id: that of the load balancer; None if it is not known
        :param seen: the port, if it was read before: that counts for a second
        """
        try:
            if seen is None or self._clock() - seen.at >= _FRESH:
                seen = self.look_at(port_id)
        except NotFound:
            self.delete_vip_ports(lb_id)  # an agent may have created it again meanwhile
            return
        if seen.port.is_vip_of(lb_id) and project_id in (None, seen.port.project_id):
            self.delete_port(port_id)
        else:
            LOG.error(
                "Port %s is kept: the rows of load balancer %s say that it was made for its VIP,"
                " and its name, device and project in Neutron do not",
                port_id,
                lb_id,
            )

    def delete_vip_ports(self, lb_id: str) -> None:
        """Find and delete the VIP ports of a load balancer that a driver has made; no user's port.

        `ovn-octavia-provider` gave its ports names but no device.
        """
        for port in self.ports_of(neutron.device_id(lb_id)):
            if port.is_vip_of(lb_id):
                self.delete_port(port.id)
        indices = (None, *range(1, _OLD_ADDITIONAL + 1))
        names = [neutron.vip_port_name(lb_id, each) for each in indices]
        for port in self._ports({"name": names}):
            if port.is_vip_of(lb_id):
                self.delete_port(port.id)

    # --- health monitor ports

    def make_hm_port(
        self,
        subnet_id: str,
        network_id: str,
        project_id: str,
        kind: Resource = Resource.MONITORED,
    ) -> NeutronPort:
        """Make the port that health checks of a subnet's members come from.

        Called when OVN has none. If two are made nevertheless, the one with the smallest id is
        used, and the next comparison deletes the other.

        :param project_id: that of the service's account, which no tenant can give to a port
        :param kind: MONITORED for the port of OVN's checks, PROBED for that of the chassis' probes
        :returns: the new port, or when that fails the one that the project has
        :raises Refused: when Neutron will not, as when a quota or the subnet is used up
        """
        attributes = {
            "name": neutron.hm_port_name(subnet_id, kind),
            "network_id": network_id,
            "device_id": neutron.hm_device(subnet_id, kind),
            "device_owner": neutron.HM_OWNER,
            "admin_state_up": True,
            "port_security_enabled": False,
            "security_groups": [],
            "project_id": project_id or None,
            "fixed_ips": [{"subnet_id": subnet_id}],
        }
        try:
            return self._create_port(attributes)
        except (Refused, Unavailable):
            found = self._hm_ports(subnet_id, kind)
            made = next((each for each in found if each.project_id == project_id), None)
            if made is None:
                raise
            return made

    def delete_hm_ports(self, subnet_id: str, kind: Resource = Resource.MONITORED) -> None:
        """Delete the health monitor ports of a subnet; nothing to do when there are none.

        Also those of other projects: `ovn-octavia-provider` made them in that of a member. A port
        that a tenant makes to look like one has no other use.
        """
        for port in self._hm_ports(subnet_id, kind):
            self.delete_port(port.id)

    def _hm_ports(self, subnet_id: str, kind: Resource) -> tuple[NeutronPort, ...]:
        """Return the health monitor ports of a subnet in all projects, the smallest id first."""
        name = neutron.hm_port_name(subnet_id, kind)
        # Neutron finds the ports of a subnet by an index, but has none of names.
        ports = self._ports({"name": name, "fixed_ips": f"subnet_id={subnet_id}"})
        return tuple(each for each in ports if each.is_hm_port or each.probe_source_of)

    # --- ports of live traces

    def make_live_port(
        self, chassis: str, subnet_id: str, network_id: str, project_id: str
    ) -> NeutronPort:
        """Make a port that a live trace sends packets from.

        Without port security no security group concerns it, nor is one made for the project.

        :param chassis: the name of the chassis, by which ports that are left are found again
        :param project_id: that of the service's account, which no tenant can give to a port
        """
        attributes = {
            "name": neutron.live_device(chassis),
            "network_id": network_id,
            "device_id": neutron.live_device(chassis),
            "device_owner": neutron.LIVE_OWNER,
            "admin_state_up": True,
            "port_security_enabled": False,
            "security_groups": [],
            "project_id": project_id or None,
            "fixed_ips": [{"subnet_id": subnet_id}],
        }
        return self._create_port(attributes)

    def live_ports(self, chassis: str, project_id: str) -> tuple[NeutronPort, ...]:
        """Return the ports of live traces on a chassis, none of another project's."""
        ports = self.ports_of(neutron.live_device(chassis))
        ours = neutron.LIVE_OWNER, project_id
        return tuple(each for each in ports if (each.device_owner, each.project_id) == ours)

    # --- floating IPs

    def touch_floating_ip(self, fip_id: str) -> None:
        """Have Neutron compute the NAT row of a floating IP again; nothing to do when it is gone.

        An update that changes nothing raises its revision number, which is enough.
        """
        path = f"/floatingips/{fip_id}"
        try:
            fip = self._rest.get(path, {"fields": "description"})["floatingip"]
            self._rest.put(path, {"floatingip": {"description": fip.get("description") or ""}})
        except NotFound:
            return

    # --- helpers

    def _ports(self, query: Query) -> tuple[NeutronPort, ...]:
        items = self._rest.list("/ports", "ports", {**query, "fields": _FIELDS})
        return tuple(sorted(map(_port, items), key=lambda port: port.id))

    def _create_port(self, attributes: Mapping[str, Any]) -> NeutronPort:
        return _port(self._rest.post("/ports", {"port": _without_none(attributes)})["port"])


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _subnet(item: Mapping[str, Any]) -> Subnet:
    return Subnet(item["id"], item["network_id"], item["cidr"])


def _port(item: Mapping[str, Any]) -> NeutronPort:
    """Return a port as Neutron's API describes it."""
    return NeutronPort(
        id=item["id"],
        name=item["name"],
        network_id=item["network_id"],
        project_id=item.get("project_id") or "",
        device_id=item["device_id"],
        device_owner=item["device_owner"],
        fixed_ips=tuple(
            FixedIp(each["subnet_id"], canonical_address(each["ip_address"]))
            for each in item["fixed_ips"]
        ),
        mac=item["mac_address"],
        qos_policy_id=item.get("qos_policy_id"),
    )
