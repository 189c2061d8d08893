# SPDX-License-Identifier: Apache-2.0
"""The operations that turn existing rows into wanted ones, and no more."""

import dataclasses

import pytest

from octavia_ovn.core import rows as r
from octavia_ovn.core.diff import diff
from tests.core.builders import row
from tests.core.database import Database

CHECK = r.HealthCheck("10.0.0.100:80", {"interval": "5"}, {"octavia:pool_id": "p1"}, uuid="c1")
OTHER = dataclasses.replace(CHECK, options={"interval": "9"})
NEW = dataclasses.replace(CHECK, vip="10.73.1.171:80", uuid="")

BEFORE = row(
    vips={"a": "1", "b": "2"},
    ip_port_mappings={"m": "p:s"},
    options={"reject": "true"},
    selection_fields=frozenset({"ip_src"}),
    health_checks=(CHECK,),
    switches=frozenset({"s1", "s2"}),
    routers=frozenset({"r1"}),
)

# What differs, and the operations on the row.
CASES = {
    "nothing": ({}, []),
    "protocol": ({"protocol": "udp"}, [r.SetColumn("u1", "protocol", frozenset({"udp"}))]),
    "no protocol": ({"protocol": ""}, [r.SetColumn("u1", "protocol", frozenset())]),
    "selection fields": (
        {"selection_fields": frozenset()},
        [r.SetColumn("u1", "selection_fields", frozenset())],
    ),
    "keys of a map": (
        {"vips": {"a": "3", "c": "4"}},
        [r.SetKeys("u1", "vips", {"a": "3", "c": "4"}, frozenset({"b"}))],
    ),
    "all keys of a map": (
        {"ip_port_mappings": {}},
        [r.SetKeys("u1", "ip_port_mappings", {}, frozenset({"m"}))],
    ),
    "several columns": (
        {"options": {"reject": "false"}, "external_ids": {"neutron:vip": "10.0.0.100", "k": "v"}},
        [
            r.SetKeys("u1", "options", {"reject": "false"}),
            r.SetKeys("u1", "external_ids", {"k": "v"}),
        ],
    ),
    "another check": ({"health_checks": (CHECK, NEW)}, [r.AddHealthCheck("u1", NEW)]),
    "a check's options": ({"health_checks": (OTHER,)}, [r.UpdateHealthCheck(OTHER)]),
    "no check": ({"health_checks": ()}, [r.RemoveHealthCheck("u1", CHECK)]),
    "switches": (
        {"switches": frozenset({"s2", "s3"})},
        [r.Attach(r.SWITCH, "s3", "u1"), r.Detach(r.SWITCH, "s1", "u1")],
    ),
    "routers": (
        {"routers": frozenset({"r2"})},
        [r.Attach(r.ROUTER, "r2", "u1"), r.Detach(r.ROUTER, "r1", "u1")],
    ),
}


@pytest.mark.parametrize(("fields", "operations"), CASES.values(), ids=CASES)
def test_the_operations_for_a_difference(fields, operations):
    wanted = dataclasses.replace(BEFORE, **fields)

    assert tuple(operations) == diff([BEFORE], [wanted])


@pytest.mark.parametrize("fields", [each[0] for each in CASES.values()], ids=CASES)
def test_makes_the_one_the_other(fields):
    wanted = dataclasses.replace(BEFORE, **fields)
    db = Database([BEFORE])

    db.write(diff([BEFORE], [wanted]))

    assert db.all() == (wanted,)
    assert diff(db.all(), [dataclasses.replace(wanted, health_checks=db["u1"].health_checks)]) == ()


def test_makes_and_deletes_rows():
    new = row(uuid="")

    assert diff([BEFORE], [new]) == (r.InsertRow(new), r.DeleteRow(BEFORE))
