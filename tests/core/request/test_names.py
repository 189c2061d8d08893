# SPDX-License-Identifier: Apache-2.0
"""Names of requests."""

import typing

import pytest

from octavia_ovn.core.request import changes, names, patches


def test_every_request_has_a_kind():
    assert set(names.KINDS) == set(typing.get_args(patches.Request))


def test_every_change_has_a_kind_of_its_own():
    every = typing.get_args(changes.Change)

    assert len({names.KINDS[each] for each in every}) == len(every)


def test_a_name_contains_the_kind():
    name = names.name(changes.DeleteMember("p1", "m1"), "12ab")

    assert name == "member_delete:12ab"
    assert names.kind(name) == "member_delete"


@pytest.mark.parametrize("name", ["", "12ab", "rubbish:12ab", ":"])
def test_a_name_without_a_kind_is_unknown(name):
    assert names.kind(name) == names.UNKNOWN


def test_a_request_that_creates_the_load_balancer_is_recognised():
    assert names.creates("load_balancer_create:12ab")
    assert not names.creates("load_balancer_update:12ab")
