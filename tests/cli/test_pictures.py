# SPDX-License-Identifier: Apache-2.0
"""Pictures of load balancers."""

import dataclasses
import itertools
import re
from xml.etree import ElementTree

from octavia_ovn.cli import picture
from octavia_ovn.core import model
from octavia_ovn.core.diagnosis.overview import overview
from octavia_ovn.core.diagnosis.snapshot import ObjectStatus
from octavia_ovn.core.pending import Kind
from tests.cli.hostile import hostile
from tests.core.builders import VIP, balancer, listener, member, monitor, pool, web
from tests.core.diagnosis.snapshots import LB, NET1, snapshot, with_rows


def drawn(found):
    return ElementTree.fromstring(picture.svg(overview(found)))


def texts(root):
    return [each.text or "" for each in root.iter("{http://www.w3.org/2000/svg}text")]


def test_a_picture_refers_to_nothing_outside():
    for text in (picture.svg(overview(snapshot())), picture.html(overview(snapshot()))):
        assert set(re.findall(r"https?://[^\"]*", text)) == {"http://www.w3.org/2000/svg"}
        assert not re.search(r"<script|<link|<image|url\(|@import", text)
        assert "prefers-color-scheme:dark" in text


def test_names_are_no_markup():
    statuses = {(Kind.LOAD_BALANCER, "lb1"): ObjectStatus("<script>&", "ACTIVE", "ONLINE")}
    found = overview(snapshot(statuses=statuses))
    assert "<script>&" in texts(ElementTree.fromstring(picture.svg(found)))
    assert "<script" not in picture.html(found)


def test_pictures_of_hostile_names():
    found = overview(hostile())
    assert any(r"\x1b[2J" in each for each in texts(ElementTree.fromstring(picture.svg(found))))
    assert all(line.isprintable() for line in picture.html(found).split("\n"))


def test_cards_do_not_overlap():
    pools = [pool(f"p{each}", [member(each * 10 + n) for n in range(1, 5)]) for each in range(1, 5)]
    lb = balancer([listener(f"l{each}", each, f"p{each % 3 + 1}") for each in range(1, 7)], pools)
    cards = [
        [float(each.get(name)) for name in ("x", "y", "width", "height")]
        for each in drawn(snapshot(lb)).iter("{http://www.w3.org/2000/svg}rect")
        if "card" in each.get("class")
    ]
    assert len(cards) == 1 + 6 + 4 + 16 + 4
    for (x, y, width, height), (left, top, _, _) in itertools.permutations(cards, 2):
        inside = x <= left < x + width and y <= top < y + height
        assert not inside


def test_many_networks_are_drawn_in_rows_with_their_routers_named():
    few = drawn(snapshot())
    names = frozenset(f"neutron-x{number}" for number in range(9))
    many = drawn(with_rows(snapshot(), switches=names))
    wires = [
        [each for each in root.iter() if each.get("class") == "link w"] for root in (few, many)
    ]
    assert [len(each) for each in wires] == [3, 0]
    assert "on r1-name" in texts(many)


def test_long_names_are_cut_and_whole_in_the_tooltip():
    name = "a-very-long-name-of-a-member-that-is-hard-to-remember"
    root = drawn(snapshot(statuses={(Kind.MEMBER, "m1"): ObjectStatus(name, "ACTIVE", "ERROR")}))
    assert name not in texts(root)
    assert name in [each.text for each in root.iter("{http://www.w3.org/2000/svg}title")]


def test_what_is_wrong_is_drawn():
    found = with_rows(snapshot(octavia=web(member(1))), switches=frozenset({NET1}))
    root = drawn(found)
    assert "≠ not in Octavia" in texts(root)
    assert [each for each in root.iter() if "missing" in each.get("class", "")]
    assert "attached wrongly" in " ".join(
        texts(drawn(with_rows(snapshot(), switches=frozenset({"neutron-old"}))))
    )
    free = balancer([], [pool(members=[member(1)], monitor=monitor())])
    assert "checked: TCP, every 5 s" in texts(drawn(snapshot(free)))
    different = snapshot(octavia=dataclasses.replace(LB, enabled=False), notes=("No answer.",))
    assert {"≠ admin_state_up is False in Octavia, True in the rows", "No answer."} <= set(
        texts(drawn(different))
    )


def test_a_picture_of_little():
    nowhere = balancer([], vips=(model.Vip(VIP, None),))
    assert texts(drawn(snapshot(nowhere, rows=(), router_ports=(), statuses={})))
