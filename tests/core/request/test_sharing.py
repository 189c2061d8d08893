# SPDX-License-Identifier: Apache-2.0
"""Two load balancers on one port that the user brought."""

import dataclasses

import pytest

from octavia_ovn.core import model
from octavia_ovn.core.request import changes, sharing
from tests.core.builders import VIP, balancer, listener, recorded, vip, web

UDP = model.Protocol.UDP


def on_port(*listeners, lb_id="lb1", address=VIP, **fields):
    used = dataclasses.replace(vip(address), **{"user_port": True, **fields})
    return dataclasses.replace(balancer(listeners, vips=(used,)), id=lb_id)


def clash(asked, other):
    rows = recorded(other)
    found = [asked.clash(row) for row in rows]
    return next((each for each in found if each), None)


ASKING = {
    "a new listener": (changes.PutListener(listener("l9")), on_port()),
    "a new load balancer": (changes.CreateLoadBalancer(on_port(listener("l9"))), None),
    "on rows that do not say who made the port": (
        changes.PutListener(listener("l9")),
        on_port(user_port=None),
    ),
}
THERE = {
    "the same": (listener(), True),
    "disabled": (listener(enabled=False), True),
    "without a pool": (listener(pool_id=None), True),
    "carried as TCP": (listener(application=model.Application.HTTP), True),
    "another port": (listener(port=81), False),
    "another protocol": (listener(protocol=UDP), False),
}


@pytest.mark.parametrize(("request_", "lb"), ASKING.values(), ids=ASKING)
@pytest.mark.parametrize(("other", "clashes"), THERE.values(), ids=THERE)
def test_two_cannot_serve_the_same(request_, lb, other, clashes):
    asked = sharing.asked(request_, lb)

    sentence = clash(asked, on_port(other, lb_id="lb2"))

    assert asked.port_id == "vip-port"
    assert (sentence is not None) is clashes
    if clashes:
        assert sentence.startswith("Another load balancer that uses VIP port vip-port")
        assert "TCP port 80;" in sentence


def test_two_addresses_of_one_port_are_two_vips():
    asked = sharing.asked(changes.CreateLoadBalancer(on_port(listener("l9"))), None)

    assert clash(asked, on_port(listener(), lb_id="lb2", address="10.0.0.101")) is None


def test_a_load_balancer_does_not_clash_with_itself():
    asked = sharing.asked(changes.CreateLoadBalancer(on_port(listener("l9"))), None)

    assert clash(asked, on_port(listener("l9"))) is None


ALONE = {
    "a port of ours": (changes.PutListener(listener("l9")), on_port(user_port=False)),
    "a listener that is there": (changes.PutListener(listener(enabled=False)), on_port(listener())),
    "no listener": (changes.CreateLoadBalancer(on_port()), None),
    "no port is known": (changes.PutListener(listener("l9")), on_port(port_id=None)),
    "something else": (changes.DeleteListener("l1"), on_port(listener())),
    "Octavia's own": (changes.Restore(web()), on_port()),
    "no rows": (changes.PutListener(listener("l9")), None),
}


@pytest.mark.parametrize(("request_", "lb"), ALONE.values(), ids=ALONE)
def test_no_clash_is_searched_for_on_a_port_of_its_own(request_, lb):
    assert sharing.asked(request_, lb) is None
