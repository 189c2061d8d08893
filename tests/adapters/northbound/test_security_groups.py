# SPDX-License-Identifier: Apache-2.0
"""What tenants that change their rules all the time cost others."""

import dataclasses
import uuid

import pytest

from octavia_ovn.adapters.northbound import security_groups
from octavia_ovn.adapters.northbound.security_groups import ACL, GROUP, SecurityGroups
from octavia_ovn.core.security_groups import GroupRule

RULE = GroupRule(4, "10.0.0.0/8")


@dataclasses.dataclass
class Row:
    """A row of Port_Group or ACL."""

    name: str = ""
    acls: list = dataclasses.field(default_factory=list)
    uuid: object = dataclasses.field(default_factory=uuid.uuid4)
    direction: str = "to-lport"
    action: str = "allow-related"
    match: str = ""


class Replica:
    """The groups are there at once; ACLs when the server has answered."""

    def __init__(self, groups, acls):
        self.groups, self.acls = groups, acls
        self.answered, self.there = True, set()
        self.restricted = []

    def rows(self, table):
        assert table == GROUP
        return self.groups

    def find(self, _table, _column, name):
        return [row for row in self.groups if row.name == name]

    def get(self, _table, identity):
        return self.acls[identity] if identity in self.there else None

    def restrict(self, table, conditions):
        if table == ACL:
            self.restricted.append(conditions)
            self.answered = False

    def is_restricted(self, table):
        return table != ACL or self.answered

    def answers(self):
        self.answered, self.there = True, set(self.acls)

    def index_create(self, *_):
        pass

    def run(self):
        pass


class Story:
    def __init__(self, *names):
        self.acls = {}
        self.replica = Replica([Row(f"pg_{name}") for name in names], self.acls)
        self.reported = []
        self.groups = SecurityGroups(self._open, lambda each: self.reported.append(each.name))
        for row in self.replica.groups:
            self.adds_rule(row)
        for name in names:
            self.groups.rules(name)
        self.groups.run()
        for name in names:
            self.groups.rules(name)
        self.answered()

    def _open(self, on_change):
        self.on_change = on_change
        return self.replica

    def adds_rule(self, row):
        acl = Row(match=f"outport == @{row.name} && ip4 && ip4.src == 10.0.0.0/8")
        self.acls[acl.uuid] = acl
        row.acls = [*row.acls, acl.uuid]
        return acl

    def answered(self):
        self.reported.clear()
        self.replica.answers()
        self.groups.run()


@pytest.fixture(autouse=True)
def _plain_rows(monkeypatch):
    monkeypatch.setattr(security_groups, "contents", getattr)


@pytest.fixture
def story():
    return Story("ours", "theirs")


def test_new_rules_of_one_group_keep_no_other_waiting(story):
    story.adds_rule(story.replica.groups[1])

    assert story.groups.rules("theirs") is None
    assert story.groups.rules("ours") == (RULE,)
    story.answered()
    assert story.reported == ["theirs"]
    assert story.groups.rules("theirs") == (RULE, RULE)


def test_rules_that_come_meanwhile_wait_for_the_answer(story):
    """The server examines all ACLs of the cloud for each request."""
    ours, theirs = story.replica.groups
    story.adds_rule(ours)
    assert story.groups.rules("ours") is None
    for _ in range(3):
        story.adds_rule(theirs)
        assert story.groups.rules("theirs") is None

    assert len(story.replica.restricted) == 2
    story.answered()
    assert story.reported == ["ours", "theirs"]
    assert story.groups.rules("ours") == (RULE, RULE)
    assert story.groups.rules("theirs") is None
    story.answered()
    assert story.reported == ["theirs"]
    assert len(story.groups.rules("theirs")) == 4


def test_new_acls_are_not_searched_for_one_by_one(story, monkeypatch):
    acl = story.adds_rule(story.replica.groups[0])
    monkeypatch.setattr(story.replica, "rows", None)

    for event in ("create", "delete"):
        story.on_change(ACL, event, acl, None)
