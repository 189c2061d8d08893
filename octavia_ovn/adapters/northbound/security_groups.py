# SPDX-License-Identifier: Apache-2.0
"""The rules of the security groups that VIPs have: Neutron's port groups and their ACLs.

The replica opens with the first VIP that has groups, and holds those groups only.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any
from uuid import UUID

from octavia_ovn.adapters.ovsdb.idl import UPDATE, contents
from octavia_ovn.adapters.ovsdb.named_rows import NamedRows
from octavia_ovn.core.codec import security_groups
from octavia_ovn.core.dependencies import Dependency, Resource
from octavia_ovn.core.security_groups import GroupRule

if TYPE_CHECKING:
    import ovs.poller

    from octavia_ovn.adapters.ovsdb.named_rows import OnChange
    from octavia_ovn.adapters.ovsdb.replica import Replica

GROUP, ACL = "Port_Group", "ACL"
TABLES = {GROUP: ("name", "acls"), ACL: ("direction", "match", "action")}
NOTHING: dict[str, list[object]] = {GROUP: [], ACL: []}
"""The initial conditions: no rows."""


class SecurityGroups:
    """The groups that callers have requested.

    :param open_: makes the replica, given the callback for its events; called when the
        first group is requested
    :param changed: called with a dependency when the rules of a group have changed or are known now
    """

    def __init__(
        self, open_: Callable[[OnChange], Replica], changed: Callable[[Dependency], None]
    ) -> None:
        self._open = open_
        self._changed = changed
        self._groups = NamedRows(GROUP, self._opened, self._tell)
        self._asked: frozenset[UUID] = frozenset()
        self._awaited: frozenset[UUID] = frozenset()
        """The ACLs that have been requested and are not there yet."""

    def rules(self, group_id: str) -> tuple[GroupRule, ...] | None:
        """Return what a group lets in: nothing if it is gone; None while it is being fetched."""
        name = security_groups.port_group(group_id)
        if not self._groups.known([name]):
            return None
        identities = self._acls(self._groups.find(name))
        if not self._follow(identities):
            return None
        replica = self._groups.replica
        rows: Iterable[Any] = (replica.get(ACL, each) for each in identities) if replica else ()
        found = (_rule(name, row) for row in rows if row is not None)
        return tuple(rule for rule in found if rule is not None)

    def forget(self, group_id: str) -> None:
        """Stop following a group."""
        self._groups.forget(security_groups.port_group(group_id))

    def _follow(self, identities: frozenset[UUID]) -> bool:
        """Have some ACLs replicated; return whether they are there.

        What is requested meanwhile waits: a tenant that changes its rules all the time must not
        keep others waiting.
        """
        replica = self._groups.replica
        if replica is not None and not self._awaited and not identities <= self._asked:
            # Those of all groups: what has gone since the last time is left out.
            before, self._asked = self._asked, self._acls(replica.rows(GROUP))
            self._awaited = self._asked - before
            conditions = [["_uuid", "==", ["uuid", str(each)]] for each in sorted(self._asked)]
            replica.restrict(ACL, conditions)
        return identities <= self._asked and self._awaited.isdisjoint(identities)

    @staticmethod
    def _acls(groups: Iterable[Any]) -> frozenset[UUID]:
        return frozenset(each for row in groups for each in contents(row, "acls"))

    def _opened(self, on_change: OnChange) -> Replica:
        return self._open(functools.partial(self._event, on_change))

    def _event(self, on_change: OnChange, table: str, event: str, row: Any, before: Any) -> None:
        on_change(table, event, row, before)
        # New ones are awaited, and without those that are gone the group itself has changed.
        if table == ACL and event == UPDATE:
            for name in self._names(row.uuid):
                self._tell(name)

    def _names(self, acl: UUID) -> Iterator[str]:
        """Yield the names of the groups that have an ACL."""
        replica = self._groups.replica
        for row in replica.rows(GROUP) if replica else ():
            if acl in contents(row, "acls"):
                yield str(row.name)

    def _tell(self, name: str) -> None:
        self._changed(Dependency(Resource.GROUP, security_groups.group_id(name)))

    def run(self) -> None:
        """Process what the server has sent."""
        self._groups.run()
        replica = self._groups.replica
        if self._awaited and replica is not None and replica.is_restricted(ACL):
            awaited, self._awaited = self._awaited, frozenset()
            for row in replica.rows(GROUP):
                acls = contents(row, "acls")
                if not (awaited.isdisjoint(acls) and self._asked.issuperset(acls)):
                    self._tell(row.name)

    def wait(self, poller: ovs.poller.Poller) -> None:
        """Arrange for the poller to wake up when `run` has something to do."""
        self._groups.wait(poller)

    def close(self) -> None:
        """Disconnect."""
        self._groups.close()


def _rule(group: str, row: Any) -> GroupRule | None:
    return security_groups.rule(group, row.direction, row.match, row.action)
