# SPDX-License-Identifier: Apache-2.0
"""The Northbound rows of one load balancer: one type for existing and for desired rows.

Because both have one type, an update is a difference (:mod:`octavia_ovn.core.diff`), never a patch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

Strings = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """A row of Load_Balancer_Health_Check; `uuid` is empty until it exists."""

    vip: str
    options: Strings
    external_ids: Strings
    uuid: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Row:
    """A row of Load_Balancer with its health checks and the rows that refer to it.

    `switches` and `routers` are the names of the Logical_Switch and Logical_Router rows that
    refer to it.
    """

    name: str
    protocol: str
    external_ids: Strings
    vips: Strings = field(default_factory=dict)
    selection_fields: frozenset[str] = frozenset()
    options: Strings = field(default_factory=dict)
    ip_port_mappings: Strings = field(default_factory=dict)
    health_checks: tuple[HealthCheck, ...] = ()
    switches: frozenset[str] = frozenset()
    routers: frozenset[str] = frozenset()
    uuid: str = field(default="", compare=False)


class Flow(NamedTuple):
    """The connections of one backend through one entry of `vips`.

    :param vip: the key in `vips`, as `10.0.0.5:80`
    :param backend: address and port, as `10.0.0.9:8080`
    """

    protocol: str
    vip: str
    backend: str


@dataclass(frozen=True, slots=True)
class Acl:
    """A row of ACL; one that cannot be read has an empty match."""

    match: str
    external_ids: Strings = field(default_factory=dict)
    priority: int = 0
    direction: str = "from-lport"
    action: str = "drop"
    uuid: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class PortGroup:
    """A row of Port_Group; `ports` are names of Logical_Switch_Ports."""

    name: str
    ports: frozenset[str]
    acls: tuple[Acl, ...]
    external_ids: Strings
    uuid: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class AddressSet:
    """A row of Address_Set."""

    name: str
    addresses: frozenset[str]
    external_ids: Strings
    uuid: str = field(default="", compare=False)


AccessRow = PortGroup | AddressSet
"""An access-control row: it denies clients."""


@dataclass(frozen=True, slots=True)
class InsertRow:
    """Create a Load_Balancer row with its health checks and attachments."""

    row: Row


@dataclass(frozen=True, slots=True)
class DeleteRow:
    """Delete a Load_Balancer row and the references to it."""

    row: Row


@dataclass(frozen=True, slots=True)
class SetKeys:
    """Set and remove keys of a map column, leaving all other keys as they are."""

    uuid: str
    column: str
    put: Strings = field(default_factory=dict)
    remove: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class SetColumn:
    """Replace a set column of strings (protocol, selection_fields)."""

    uuid: str
    column: str
    values: frozenset[str]


@dataclass(frozen=True, slots=True)
class AddHealthCheck:
    """Create a health check row and attach it to a load balancer row."""

    uuid: str
    check: HealthCheck


@dataclass(frozen=True, slots=True)
class UpdateHealthCheck:
    """Set options and external_ids of an existing health check row."""

    check: HealthCheck


@dataclass(frozen=True, slots=True)
class RemoveHealthCheck:
    """Detach a health check row from a load balancer row, which deletes it."""

    uuid: str
    check: HealthCheck


@dataclass(frozen=True, slots=True)
class Attach:
    """Add a reference to a load balancer row to a Logical_Switch or Logical_Router."""

    table: str
    name: str
    uuid: str


@dataclass(frozen=True, slots=True)
class Detach:
    """Remove the reference of a Logical_Switch or Logical_Router."""

    table: str
    name: str
    uuid: str


@dataclass(frozen=True, slots=True)
class ClearAddresses:
    """Clear the addresses of a Logical_Switch_Port.

    With them OVN answers ARP for a VIP with the MAC of a port without a machine, and clients on
    the VIP's own switch time out (measured). Neutron leaves them off the VIP ports that we make.

    The same for the port that checks come from: the first check is sent before the hypervisor
    answers ARP for its source with the MAC of the checks, and a member that has learned that of the
    port sends its replies there for half a minute, in which it counts as DOWN (measured).
    """

    port: str


@dataclass(frozen=True, slots=True)
class PutAccessRow:
    """Create an access-control row, or replace the columns of an existing one.

    The ACLs of a port group that have no uuid are made; those that it does not name any more go.
    """

    row: AccessRow


@dataclass(frozen=True, slots=True)
class DeleteAccessRow:
    """Delete an access-control row, with its ACLs."""

    row: AccessRow


@dataclass(frozen=True, slots=True)
class Answer:
    """Set the addresses of a load balancer that the responder of a switch answers for.

    See :mod:`octavia_ovn.core.desired.responder`. It is created with the first
    address and deleted with the last.

    :param addresses: with the length of their subnet's prefix, as `10.0.0.5/24`
    """

    switch: str
    lb_id: str
    addresses: frozenset[str]


@dataclass(frozen=True, slots=True)
class Announce:
    """Say in `NB_Global` whether chassis do something: API workers accept what needs it then.

    :param mark: the key of external_ids
    """

    mark: str
    value: bool


@dataclass(frozen=True, slots=True)
class IncrementNumber:
    """Increment `NB_Global.nb_cfg`, which every ovn-controller follows."""


Operation = (
    InsertRow
    | DeleteRow
    | SetKeys
    | SetColumn
    | AddHealthCheck
    | UpdateHealthCheck
    | RemoveHealthCheck
    | Attach
    | Detach
    | ClearAddresses
    | PutAccessRow
    | DeleteAccessRow
    | Answer
    | Announce
    | IncrementNumber
)

SWITCH = "Logical_Switch"
ROUTER = "Logical_Router"
