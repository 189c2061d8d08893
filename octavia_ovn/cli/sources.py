# SPDX-License-Identifier: Apache-2.0
"""The data sources of the commands `show`, `trace` and `bundle`."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from octavia_ovn import wiring
from octavia_ovn.adapters.inspection.raw import RawRows
from octavia_ovn.adapters.inspection.snapshot import SnapshotReader
from octavia_ovn.adapters.ovsdb.endpoint import Endpoint
from octavia_ovn.adapters.ovsdb.session import OvsdbSession
from octavia_ovn.config import octavia as config
from octavia_ovn.core.codec.neutron import is_uuid
from octavia_ovn.core.diagnosis.path import Client
from octavia_ovn.core.diagnosis.snapshot import ObjectStatus, Snapshot
from octavia_ovn.core.pending import Kind
from octavia_ovn.errors import NotFound, OctaviaOvnError, Refused

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sources:
    """Octavia and the databases."""

    parts: wiring.Runtime
    reader: SnapshotReader
    raw: RawRows

    def snapshot(self, text: str, sender: str | None = None) -> tuple[Snapshot, Client | None]:
        """Read a load balancer and what is around it.

        A failure of Octavia becomes a note: the rows can be shown without it.

        :param text: its id or name
        :param sender: the client: id or name of a port, or an address
        :raises NotFound: when there is no such load balancer or sender
        :raises Refused: when several have that name
        :raises Unavailable: when the Northbound database does not answer
        """
        lb_id = self.id_of(text)
        client = self.reader.client(sender) if sender else None
        notes: list[str] = []
        octavia = _try(functools.partial(self.parts.octavia.tree, lb_id), None, notes)
        nothing: dict[tuple[Kind, str], ObjectStatus] = {}
        statuses = _try(functools.partial(self.parts.listing.statuses, lb_id), nothing, notes)
        snapshot, client = self.reader.snapshot(lb_id, octavia, client)
        if snapshot.lb is None and not snapshot.rows:
            why = "; ".join(["neither Octavia nor the Northbound database has it", *notes])
            raise NotFound(f"There is no load balancer {text}: {why}.")
        return dataclasses.replace(
            snapshot, statuses=statuses, notes=(*notes, *snapshot.notes)
        ), client

    def rows(self, lb_id: str, sender: str | None = None) -> tuple[Snapshot, Client | None]:
        """Read the same without Octavia, of a load balancer that need not exist.

        :raises NotFound: when there is no such sender
        :raises Unavailable: when the Northbound database does not answer
        """
        client = self.reader.client(sender) if sender else None
        return self.reader.snapshot(lb_id, None, client)

    def id_of(self, text: str) -> str:
        """Return the id of a load balancer, given its id or name.

        :raises NotFound: when Octavia lists none of that name
        :raises Refused: when it lists several
        :raises Unavailable: when Octavia's API does not answer
        """
        if is_uuid(text):
            return text
        found = self.parts.listing.named(text)
        if not found:
            raise NotFound(f"Octavia lists no load balancer named {text!r}.")
        if len(found) > 1:
            ids = ", ".join(found)
            raise Refused(f"{len(found)} load balancers are named {text!r}; name an id: {ids}.")
        return found[0]


def build(settings: config.Settings) -> Sources:
    """Return sources; nothing is connected yet.

    :raises BadConfiguration: naming the option that is wrong
    """
    parts = wiring.build(settings)
    nb, sb = (
        OvsdbSession(Endpoint.parse(*database), name, settings.connection_timeout)
        for database, name in (
            (settings.nb, "OVN_Northbound"),
            (settings.sb, "OVN_Southbound"),
        )
    )
    return Sources(parts, SnapshotReader(nb, sb, parts.neutron.subnet), RawRows(nb, sb))


def _try(ask: Callable[[], T], otherwise: T, notes: list[str]) -> T:
    try:
        return ask()
    except OctaviaOvnError as error:
        notes.append(f"Octavia's side is not known: {error}")
        return otherwise
