# SPDX-License-Identifier: Apache-2.0
"""Load balancers' rows in memory: applies the operations that the core returns, and nothing else.

It is stricter than the real database: an operation that would change nothing is an error.
"""

import dataclasses
import functools
import zlib

from octavia_ovn.core import rows as r
from octavia_ovn.core.codec import keys as k
from octavia_ovn.core.desired import access_control as access
from octavia_ovn.core.desired import draining


class Database:
    def __init__(self, rows=()):
        self._rows = {row.uuid: row for row in rows}
        self._access = {}
        self._made = 0
        self.transactions = 0
        self.cleared = []
        self.answers = {}

    def all(self):
        return tuple(self._rows[uuid] for uuid in sorted(self._rows))

    def of(self, name):
        return tuple(row for row in self.all() if row.name == name)

    def names(self):
        return {row.name for row in self._rows.values()}

    def access(self, name="lb1"):
        """The rows that keep clients away from a load balancer."""
        found = [each for each in self._access.values() if each.external_ids[k.ACCESS_LB] == name]
        return access.Access(
            tuple(each for each in found if isinstance(each, r.PortGroup)),
            tuple(each for each in found if isinstance(each, r.AddressSet)),
        )

    def put_access(self, row):
        """Make a row, or replace one; names are unique."""
        old = self._access.get(row.uuid)
        assert row != old
        assert not row.uuid or row.name == old.name
        assert row.uuid or row.name not in {each.name for each in self._access.values()}
        row = dataclasses.replace(row, uuid=row.uuid or self.new_uuid())
        if isinstance(row, r.PortGroup):
            acls = (
                each if each.uuid else dataclasses.replace(each, uuid=self.new_uuid())
                for each in row.acls
            )
            row = dataclasses.replace(row, acls=tuple(acls))
        self._access[row.uuid] = row

    def delete_access(self, uuid):
        del self._access[uuid]

    def vips(self, name="lb1"):
        """Each vip of a load balancer with its protocol; a key in two rows would be an error.

        But for rows of drains.
        """
        found = {}
        for row in draining.separate(self.of(name))[0]:
            for key, members in row.vips.items():
                assert (row.protocol, key) not in found
                found[row.protocol, key] = members
        return found

    def write(self, operations):
        """Apply the operations of one transaction; return whether there were any."""
        operations = tuple(operations)
        for operation in operations:
            _apply(operation, self)
        self.transactions += bool(operations)
        return bool(operations)

    def rename(self, uuid, name):
        """Give a row another uuid, and so another place among the rows."""
        self._rows[name] = dataclasses.replace(self._rows.pop(uuid), uuid=name)

    def edit(self, uuid, **fields):
        """What another hand does to a row."""
        self._rows[uuid] = dataclasses.replace(self._rows[uuid], **fields)

    def insert(self, row):
        assert row.uuid not in self._rows
        self._rows[row.uuid] = row

    def new_uuid(self):
        """A new uuid; they sort at random, and always the same."""
        self._made += 1
        return f"{zlib.crc32(str(self._made).encode()):08x}-{self._made}"

    def __getitem__(self, uuid):
        return self._rows[uuid]

    def __delitem__(self, uuid):
        del self._rows[uuid]


@functools.singledispatch
def _apply(operation, _):
    raise TypeError(operation)


@_apply.register
def _(operation: r.InsertRow, db):
    row = operation.row
    checks = tuple(dataclasses.replace(each, uuid=db.new_uuid()) for each in row.health_checks)
    uuid = db.new_uuid()
    db.insert(dataclasses.replace(row, uuid=uuid, health_checks=checks))


@_apply.register
def _(operation: r.DeleteRow, db):
    del db[operation.row.uuid]


@_apply.register
def _(operation: r.SetKeys, db):
    old = getattr(db[operation.uuid], operation.column)
    assert operation.remove <= old.keys()
    assert operation.remove.isdisjoint(operation.put)
    new = {key: each for key, each in old.items() if key not in operation.remove} | operation.put
    assert new != old
    db.edit(operation.uuid, **{operation.column: new})


@_apply.register
def _(operation: r.SetColumn, db):
    values = operation.values
    if operation.column == "protocol":
        values = next(iter(values), "")
    assert getattr(db[operation.uuid], operation.column) != values
    db.edit(operation.uuid, **{operation.column: values})


@_apply.register
def _(operation: r.AddHealthCheck, db):
    check = dataclasses.replace(operation.check, uuid=db.new_uuid())
    checks = sorted((*db[operation.uuid].health_checks, check), key=lambda each: each.vip)
    db.edit(operation.uuid, health_checks=tuple(checks))  # a set, which has no order


@_apply.register
def _(operation: r.UpdateHealthCheck, db):
    (row,) = (
        row
        for row in db.all()
        if operation.check.uuid in {check.uuid for check in row.health_checks}
    )
    checks = tuple(
        operation.check if check.uuid == operation.check.uuid else check
        for check in row.health_checks
    )
    assert checks != row.health_checks
    db.edit(row.uuid, health_checks=checks)


@_apply.register
def _(operation: r.RemoveHealthCheck, db):
    before = db[operation.uuid].health_checks
    after = tuple(check for check in before if check.uuid != operation.check.uuid)
    assert len(after) == len(before) - 1
    db.edit(operation.uuid, health_checks=after)


_COLUMNS = {r.SWITCH: "switches", r.ROUTER: "routers"}


@_apply.register
def _(operation: r.Attach, db):
    column = _COLUMNS[operation.table]
    before = getattr(db[operation.uuid], column)
    assert operation.name not in before
    db.edit(operation.uuid, **{column: before | {operation.name}})


@_apply.register
def _(operation: r.Detach, db):
    column = _COLUMNS[operation.table]
    before = getattr(db[operation.uuid], column)
    assert operation.name in before
    db.edit(operation.uuid, **{column: before - {operation.name}})


@_apply.register
def _(operation: r.ClearAddresses, db):
    assert operation.port not in db.cleared
    db.cleared.append(operation.port)


@_apply.register
def _(operation: r.PutAccessRow, db):
    db.put_access(operation.row)


@_apply.register
def _(operation: r.DeleteAccessRow, db):
    db.delete_access(operation.row.uuid)


@_apply.register
def _(operation: r.Answer, db):
    key = (operation.lb_id, operation.switch)
    assert db.answers.get(key) != (operation.addresses or None)
    if operation.addresses:
        db.answers[key] = operation.addresses
    else:
        del db.answers[key]
