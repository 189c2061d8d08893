# SPDX-License-Identifier: Apache-2.0
"""Rules of security groups, against a real server."""

import pytest

from octavia_ovn.adapters.northbound import security_groups
from octavia_ovn.adapters.northbound.security_groups import ACL, GROUP, SecurityGroups
from octavia_ovn.core.security_groups import GroupRule
from tests.functional.northbound.by_name import ByName


class Followed(ByName):
    def __init__(self, server):
        super().__init__(server, security_groups, SecurityGroups)
        self.groups = self.followed

    def rows(self, table):
        (replica,) = self.replicas
        return replica.rows(table)


def acl(name, group, terms, action="allow-related"):
    row = {
        "priority": 1002,
        "direction": "to-lport",
        "match": f"outport == @pg_{group} && {terms}",
        "action": action,
    }
    return {"op": "insert", "table": ACL, "uuid-name": name, "row": row}


def references(*names):
    return ["set", [["named-uuid", each] for each in names]]


@pytest.fixture
def write(server):
    """Make two groups of two rules each; return a function for more operations."""

    def write(*operations):
        results = server.transact(*operations)
        assert not any("error" in each for each in results), results

    for group in ("one", "two"):
        write(
            acl("a", group, "ip4 && ip4.src == 10.0.0.0/8"),
            acl("b", group, "ip4 && icmp4"),
            {
                "op": "insert",
                "table": GROUP,
                "row": {"name": f"pg_{group}", "acls": references("a", "b")},
            },
        )
    return write


@pytest.fixture
def followed(server, write):
    found = Followed(server)
    yield found
    found.groups.close()


TEN = GroupRule(4, "10.0.0.0/8")


def change(group, mutator, *names):
    return {
        "op": "mutate",
        "table": GROUP,
        "where": [["name", "==", f"pg_{group}"]],
        "mutations": [["acls", mutator, references(*names)]],
    }


def test_only_what_was_asked_for_is_there(followed):
    assert followed.replicas == []
    assert followed.groups.rules("one") is None

    followed.until(lambda: followed.groups.rules("one") is not None)

    assert followed.groups.rules("one") == (TEN,)
    assert ("group", "one") in followed.reported
    assert len(followed.rows(GROUP)) == 1
    assert len(followed.rows(ACL)) == 2


def test_a_group_that_does_not_exist_lets_nobody_in(followed):
    followed.until(lambda: followed.groups.rules("none") is not None)

    assert followed.groups.rules("none") == ()
    assert ("group", "none") in followed.reported


def test_new_rules_are_reported_when_they_are_known(followed, write):
    followed.until(lambda: followed.groups.rules("one"))
    followed.reported.clear()

    write(acl("c", "one", "ip6"), change("one", "insert", "c"))
    followed.until(lambda: followed.reported)
    # Only what has been reported may lead to another look.
    while (found := followed.groups.rules("one")) is None:
        followed.reported.clear()
        followed.until(lambda: followed.reported)

    assert set(found) == {TEN, GroupRule(6)}


def test_a_rule_that_changes_is_reported(followed, write):
    followed.until(lambda: followed.groups.rules("one"))
    followed.reported.clear()

    where = [["match", "==", "outport == @pg_one && ip4 && ip4.src == 10.0.0.0/8"]]
    write({"op": "update", "table": ACL, "where": where, "row": {"action": "drop"}})

    followed.until(lambda: followed.reported)
    assert set(followed.reported) == {("group", "one")}
    assert followed.groups.rules("one") == ()


def test_a_group_without_rules_any_more_is_reported(followed, write):
    followed.until(lambda: followed.groups.rules("one"))
    followed.reported.clear()

    where = [["name", "==", "pg_one"]]
    write({"op": "update", "table": GROUP, "where": where, "row": {"acls": ["set", []]}})

    followed.until(lambda: followed.reported)
    assert followed.groups.rules("one") == ()


def test_a_group_that_is_deleted_is_reported(followed, write):
    followed.until(lambda: followed.groups.rules("one"))
    followed.reported.clear()

    write({"op": "delete", "table": GROUP, "where": [["name", "==", "pg_one"]]})

    followed.until(lambda: followed.reported)
    assert followed.groups.rules("one") == ()


def test_several_groups_and_one_that_is_forgotten(followed):
    both = ("one", "two")
    followed.until(lambda: None not in [followed.groups.rules(each) for each in both])
    assert [followed.groups.rules(each) for each in both] == [(TEN,), (TEN,)]
    assert len(followed.rows(ACL)) == 4

    followed.groups.forget("one")
    followed.until(lambda: followed.groups.rules("none") is not None)

    assert [row.name for row in followed.rows(GROUP)] == ["pg_two"]
    assert followed.groups.rules("two") == (TEN,)
