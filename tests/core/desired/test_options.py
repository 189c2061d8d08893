# SPDX-License-Identifier: Apache-2.0
"""Selection fields and options of the rows."""

import dataclasses

import pytest

from octavia_ovn.core import model
from tests.core.builders import (
    VIP,
    balancer,
    listener,
    member,
    pool,
    render,
    row,
    stored,
    vip,
    web,
)
from tests.core.desired.lbs import FOUR, SOURCE_IP, TWO_FIELDS, UDP, V6

FLUSH = "ct_flush"


class TestFlush:
    """A UDP flow never ends by itself: OVN must have been told to flush it before."""

    def options(self, lb, existing=()):
        return {each.protocol: each.options for each in render(lb, existing)}

    def lb(self, **flavor):
        listeners = [listener(), listener("l2", 53, "p2", **UDP)]
        return balancer(listeners, [pool(), pool("p2", **UDP)], flavor=model.Flavor(**flavor))

    @pytest.mark.parametrize(
        ("flavor", "tcp", "udp"),
        [(None, None, "true"), (True, "true", "true"), (False, None, None)],
    )
    def test_udp_unless_the_flavor_overrides_it(self, flavor, tcp, udp):
        found = self.options(self.lb(ct_flush=flavor))

        assert found["tcp"].get(FLUSH) == tcp
        assert found["udp"].get(FLUSH) == udp

    def test_before_there_is_a_backend(self):
        lb = balancer([listener("l2", 53, None, **UDP)])

        assert self.options(lb)["udp"][FLUSH] == "true"

    def test_rows_of_another_driver_get_it(self):
        before = [dataclasses.replace(each, options={}) for each in stored(self.lb())]

        assert self.options(self.lb(), before)["udp"][FLUSH] == "true"


SIX = {"ipv6_src", "ipv6_dst"}

FIELDS = {
    "SOURCE_IP_PORT": ({}, False, VIP, FOUR),
    "SOURCE_IP": ({"algorithm": SOURCE_IP}, False, VIP, TWO_FIELDS),
    "ROUND_ROBIN": ({"algorithm": model.Algorithm.ROUND_ROBIN}, False, VIP, set()),
    "IPv6 unknown to OVN": ({}, False, V6, FOUR),
    "IPv6 SOURCE_IP_PORT": ({}, True, V6, FOUR | SIX),
    "IPv6 SOURCE_IP": ({"algorithm": SOURCE_IP}, True, V6, TWO_FIELDS | SIX),
    "IPv6 ROUND_ROBIN": ({"algorithm": model.Algorithm.ROUND_ROBIN}, True, V6, set()),
    "IPv4 where OVN knows IPv6": ({}, True, VIP, FOUR),
    "persistence by hashing": (
        {"persistence": model.SessionPersistence(model.Mechanism.HASH)},
        False,
        VIP,
        TWO_FIELDS,
    ),
}


@pytest.mark.parametrize(("fields", "ipv6", "address", "wanted"), FIELDS.values(), ids=FIELDS)
def test_selection_fields(fields, ipv6, address, wanted):
    lb = balancer([listener()], [pool(**fields)], vips=(vip(address),))

    (found,) = render(lb, ipv6_fields=ipv6)

    assert wanted == found.selection_fields


@pytest.mark.parametrize("lb", [balancer(), balancer([listener(pool_id=None)])])
def test_no_selection_fields_without_pool(lb):
    assert render(lb)[0].selection_fields == frozenset()


class TestOptions:
    @pytest.mark.parametrize("lb", [balancer(), web(member(1))])
    def test_clients_are_rejected_without_a_backend(self, lb):
        assert render(lb)[0].options == {"reject": "true"}

    def test_affinity(self):
        persistence = model.SessionPersistence(model.Mechanism.AFFINITY, 90)

        (found,) = render(web(persistence=persistence))

        assert found.options == {"reject": "true", "affinity_timeout": "90"}

    @pytest.mark.parametrize(("asked", "known"), [(-1, "1"), (0, "360"), (70000, "65535")])
    def test_affinity_within_what_ovn_knows(self, asked, known):
        persistence = model.SessionPersistence(model.Mechanism.AFFINITY, asked)

        assert render(web(persistence=persistence))[0].options["affinity_timeout"] == known

    def test_foreign_ones_stay(self):
        before = row(options={"affinity_timeout": "5", "reject": "false", "add_route": "true"})

        assert render(web(), [before])[0].options == {"reject": "true", "add_route": "true"}

    def test_of_a_flavor(self):
        flavor = model.Flavor(
            reject=False, ct_flush=True, hairpin_snat_ip=("192.0.2.7", "2001:db8::7")
        )
        lb = dataclasses.replace(web(member(1)), flavor=flavor)

        assert render(lb)[0].options == {
            "ct_flush": "true",
            "hairpin_snat_ip": "192.0.2.7 2001:db8::7",
        }

    def test_a_flavor_takes_away_what_it_does_not_want(self):
        lb = dataclasses.replace(web(), flavor=model.Flavor(reject=False, ct_flush=False))
        before = row(options={"ct_flush": "true", "reject": "true"})

        assert render(lb, [before])[0].options == {}

    def test_options_that_a_flavor_does_not_set_may_be_set_by_hand(self):
        lb = dataclasses.replace(web(), flavor=model.Flavor(reject=True))
        before = row(options={"hairpin_snat_ip": "192.0.2.7"})

        assert render(lb, [before])[0].options == {**before.options, "reject": "true"}

    def test_a_row_that_was_udp_does_not_cut_connections(self):
        before = row(options={"ct_flush": "true", "reject": "true"})

        assert render(web(member(1)), [before])[0].options == {"reject": "true"}
