# SPDX-License-Identifier: Apache-2.0
"""Rows that cannot be read, or not in all their parts."""

import dataclasses
import json

import pytest

from octavia_ovn.core import codec, model
from octavia_ovn.core.rows import Row
from tests.core.builders import member, recorded, row, web
from tests.core.codec.rows import LB


@pytest.mark.parametrize(
    "attributes",
    [
        "",
        "[]",
        "null",
        '{"allowed_cidrs":"10.0.0.0/8"}',
        '{"allowed_cidrs":[10]}',
        '{"allowed_cidrs":["all"]}',
        '{"allowed_cidrs":null}',
        '{"connection_limit":"10"}',
        '{"connection_limit":0}',
    ],
)
def test_a_listener_is_not_served_while_it_is_unreadable_who_may_use_it(attributes):
    ids = {"neutron:vip": "10.0.0.100", "listener_l1": "80:", "octavia:listener:l1": attributes}

    decoded = codec.decode([row(external_ids=ids)])

    assert decoded.lb.listeners == ()
    assert len(decoded.problems) == 1


GARBAGE = {
    "unreadable member": {"pool_p1": "member_m1_10.0.0.1:80_sub1,rubbish"},
    "member with a bad address": {"pool_p1": "member_m1_10.0.0.1:80_sub1,member_m2_x:80_s"},
    "member with too many parts": {"pool_p1": "member_m1_10.0.0.1:80_sub1,member_m2_1.1.1.1:8_s_t"},
    "listener without a port": {"listener_l2": "http:pool_p1"},
    "attributes that are no JSON": {"octavia:attributes_p1": "{"},
    "attributes of another shape": {"octavia:attributes_p1": "[1]"},
    "pending of another shape": {"octavia:pending": '{"objects": 1, "requests": 2}'},
    "member status of another shape": {"neutron:member_status": '"x"'},
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_isolates_garbage(garbage):
    good = recorded(web(member(1)))[0]
    bad = dataclasses.replace(good, external_ids={**good.external_ids, **garbage})

    decoded = codec.decode([bad])

    assert decoded.problems
    assert [each.id for each in decoded.lb.listeners] == ["l1"]
    assert [each.id for _, each in decoded.lb.members()] == ["m1"]


@pytest.mark.parametrize(
    "ids",
    [{}, {"neutron:vip": "nonsense"}, {"neutron:vip": "10.0.0.1", "neutron:vip_port_id": "a_b"}],
)
def test_rows_without_a_vip_are_undecodable(ids):
    with pytest.raises(codec.Undecodable):
        codec.decode([row(external_ids=ids)])


def with_attributes(**attributes):
    ids = {
        "neutron:vip": "10.0.0.100",
        "pool_p1": "member_m1_10.0.0.1:80_sub1,member_m2_10.0.0.2:80_sub1",
        "octavia:attributes_p1": json.dumps({"algorithm": "SOURCE_IP", **attributes}),
    }
    return codec.decode([row(external_ids=ids)])


@pytest.mark.parametrize(
    ("places", "slots"),
    [
        (["", "m2"], ()),
        (["m3", "m2", "m1"], ("", "m2", "m1")),
        (["m2", "m1"], ("m2", "m1")),
        (["m2"], ("m2", "m1")),
        ([], ()),
        ("m2", ()),
    ],
)
def test_every_member_has_a_place_with_any_slots_in_the_row(places, slots):
    found = with_attributes(slots=places).lb.pools[0]

    assert slots == found.slots


@pytest.mark.parametrize(
    "attributes",
    [
        {"monitor": {"id": "hm1", "type": "TCP", "delay": "5"}},
        {"members": {"m1": {"weight": "5"}}},
        {"algorithm": "RANDOM"},
        {"slots": [["m1"]]},
        {"application": "GOPHER"},
    ],
)
def test_names_attributes_that_make_no_sense(attributes):
    decoded = with_attributes(**attributes)

    assert decoded.problems
    assert decoded.lb.pools == ()


@pytest.mark.parametrize("text", ["{", "[]", '{"reject": 5}', '{"distributed": true}'])
def test_names_a_flavor_that_makes_no_sense(text):
    decoded = codec.decode([row(external_ids={**LB, "octavia:flavor": text})])

    assert decoded.problems
    assert decoded.lb.flavor == model.Flavor()


def test_ignores_keys_of_a_flavor_that_a_newer_version_wrote():
    text = '{"drain_timeout":60,"jumbo":true}'
    decoded = codec.decode([row(external_ids={**LB, "octavia:flavor_more": text})])

    assert decoded.problems == ()
    assert decoded.lb.flavor == model.Flavor(drain_timeout=60)


@pytest.mark.parametrize("text", ["{", "[]", '{"application": "GOPHER"}'])
def test_names_attributes_of_a_listener_that_make_no_sense(text):
    ids = {"neutron:vip": "10.0.0.100", "listener_l1": "80:", "octavia:listener:l1": text}

    assert codec.decode([row(external_ids=ids)]).problems


def test_a_vip_may_have_details_of_another_shape():
    ids = {"neutron:vip": "10.0.0.100", "octavia:loadbalancer": '{"vips": ["x"], "project_id": 5}'}

    lb = codec.decode([row(external_ids=ids)]).lb

    assert lb.vips == (model.Vip("10.0.0.100", None),)
    assert lb.project_id is None


@pytest.mark.parametrize("name", ["", "a_b"])
def test_a_row_without_a_usable_name_cannot_be_read(name):
    with pytest.raises(codec.Undecodable):
        codec.decode([row(name=name)])


@pytest.mark.parametrize("ids", [{}, {"neutron:vip": "everywhere"}, {"octavia:loadbalancer": "{"}])
def test_a_row_that_names_no_readable_vip_names_none(ids):
    assert codec.vips(ids) == ()


def test_children_of_rows_without_a_vip_are_not_known():
    assert codec.children([Row("lb1", "tcp", {"pool_p1": ""})]) is None
