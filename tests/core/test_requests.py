"""Names of requests."""

import typing

import pytest

from octavia_ovn.core import changes, patches, requests


def test_every_request_has_a_kind():
    assert set(requests.KINDS) == set(typing.get_args(patches.Request))


def test_every_change_has_a_kind_of_its_own():
    every = typing.get_args(changes.Change)

    assert len({requests.KINDS[each] for each in every}) == len(every)


def test_a_name_says_the_kind():
    name = requests.name(changes.DeleteMember("p1", "m1"), "12ab")

    assert name == "member_delete:12ab"
    assert requests.kind(name) == "member_delete"


@pytest.mark.parametrize("name", ["", "12ab", "rubbish:12ab", ":"])
def test_what_does_not_say_it_is_unknown(name):
    assert requests.kind(name) == requests.UNKNOWN
