# SPDX-License-Identifier: Apache-2.0

from octavia_ovn.core.statistics.logical_flows import LogicalFlow, Meaning
from octavia_ovn.core.statistics.meter import Growth
from octavia_ovn.core.statistics.tally import attribute, serves
from octavia_ovn.core.statistics.traffic import Key, Traffic
from tests.core.statistics.switch import counters, packed

VIP = packed("10.0.0.100")
A, B = Key("aaaaaaaa", 80), Key("bbbbbbbb", 443)


def logical(meaning, key=A, routed=False):
    return LogicalFlow(meaning, key.row_uuid_prefix, VIP, "tcp", key.port, routed)


CATALOG = {
    1: logical(Meaning.CONNECTIONS),
    2: logical(Meaning.BYTES),
    3: logical(Meaning.CONNECTIONS, routed=True),
    4: logical(Meaning.CONNECTIONS, B, routed=True),
    5: logical(Meaning.ADDRESS_BYTES, Key("aaaaaaaa", 0), routed=True),
}


def count(*growths):
    flows = [growth.flow for growth in growths]
    return attribute(CATALOG, flows, [each for each in growths if each.packets or each.bytes])


def grown(cookie, packets=0, octets=0, **fields):
    return Growth(counters(cookie, packets, octets, **fields), packets, octets)


def test_connections_of_switches_and_routers_and_bytes():
    assert count(grown(1, 3, 222), grown(3, 2, 148), grown(2, 30, 4000)) == {A: Traffic(5, 4000)}


def test_bytes_in_a_flow_that_names_a_row_that_is_gone_are_of_the_row_that_serves():
    """As after another row of the load balancer has taken over the listener in one transaction."""
    new = Key("cccccccc", A.port)
    catalog = {**CATALOG, 6: logical(Meaning.CONNECTIONS, new)}
    flows = [grown(2, 30, 4000), grown(2, 3, 400, datapath=2), grown(6, 1, 74)]

    found = attribute(catalog, [each.flow for each in flows], flows)

    assert found == {new: Traffic(1, 4000), A: Traffic(0, 400)}


def test_bytes_at_an_address_with_one_listener_are_all_of_it():
    assert count(grown(3), grown(5, 12, 900)) == {A: Traffic(0, 900)}


def test_bytes_at_a_shared_address_are_divided_by_connections():
    found = count(grown(3, 2), grown(4, 5), grown(5, 100, 1000))

    assert found == {A: Traffic(2, 333), B: Traffic(5, 667)}


def test_another_routers_listeners_get_nothing():
    assert count(grown(3, datapath=2), grown(5, 1, 1000, datapath=1)) == {}


def test_a_flow_with_the_same_cookie_by_chance_is_not_ours():
    assert serves(CATALOG[1], counters(1))
    assert not serves(CATALOG[1], counters(1, address=packed("10.0.0.101")))
    assert not serves(None, counters(9))
