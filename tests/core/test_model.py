# SPDX-License-Identifier: Apache-2.0
"""Values are valid once they exist."""

import dataclasses

import pytest

from octavia_ovn.core import model
from tests.core.builders import balancer, listener, member, monitor, pool, vip, web

BAD = {
    "no id": lambda: pool(""),
    "id that looks like a member": lambda: pool("a_b"),
    "id that looks disabled": lambda: pool("a:D"),
    "id with a line break": lambda: pool("a\n"),
    "id that begins with a hyphen": lambda: pool("-a"),
    "load balancer's id": lambda: dataclasses.replace(balancer(), id="a,b"),
    "listener's id": lambda: listener("l 1"),
    "listener's pool": lambda: listener(pool_id="p_1"),
    "listener's port 0": lambda: listener(port=0),
    "listener's port too large": lambda: listener(port=65536),
    "member's id": lambda: dataclasses.replace(member(), id="m,1"),
    "member's subnet": lambda: member(subnet_id="s_1"),
    "member's port": lambda: member(port=-1),
    "member's address": lambda: member(address="10.0.0"),
    "address in another spelling": lambda: member(address="FD00:0::1"),
    "address with a zone": lambda: vip("fe80::1%\n"),
    "negative weight": lambda: member(weight=-1),
    "weight too large": lambda: member(weight=257),
    "VIP's address": lambda: vip("x"),
    "VIP's port": lambda: dataclasses.replace(vip(), port_id="a,b"),
    "VIP's subnet": lambda: vip(subnet_id="a_b"),
    "VIP's network": lambda: vip(network_id=""),
    "VIP's CIDR": lambda: vip(cidr="10.0.0.1/24"),
    "allowed network in another spelling": lambda: listener(allowed_cidrs=("10.0.0.1/8",)),
    "allowed networks in another order": lambda: listener(allowed_cidrs=("fd00::/8", "10.0.0.0/8")),
    "limit of no connections": lambda: listener(connection_limit=0),
    "monitor's id": lambda: dataclasses.replace(monitor(), id=""),
    "monitor's delay": lambda: dataclasses.replace(monitor(), delay=-1),
    "monitored address in another spelling": lambda: member(monitor_address="FD00::1"),
    "monitored port 0": lambda: member(monitor_port=0),
    "HTTP method": lambda: monitor("HTTP", http_method="GET "),
    "path without a slash": lambda: monitor("HTTP", url_path="up"),
    "path that ends the line": lambda: monitor("HTTP", url_path="/up\r\nX: y"),
    "path with a letter that is not ASCII": lambda: monitor("HTTP", url_path="/\u00fc"),
    "codes with a blank": lambda: monitor("HTTP", expected_codes="200, 204"),
    "codes that HTTP does not have": lambda: monitor("HTTP", expected_codes="600"),
    "digits that are not ASCII": lambda: monitor("HTTP", expected_codes="20\u0660"),
    "range that is empty": lambda: monitor("HTTP", expected_codes="299-200"),
    "HTTP version": lambda: monitor("HTTPS", http_version="2.0"),
    "domain name that ends the line": lambda: monitor("TLS-HELLO", domain_name="example.org\n"),
    "no VIP": lambda: dataclasses.replace(balancer(), vips=()),
}


@pytest.mark.parametrize("make", BAD.values(), ids=BAD)
def test_refuses(make):
    with pytest.raises(ValueError, match=r"is not|are not|needs|does not|has host bits"):
        make()


HASH = model.SessionPersistence(model.Mechanism.HASH)
AFFINITY = model.SessionPersistence(model.Mechanism.AFFINITY)


@pytest.mark.parametrize(
    ("algorithm", "persistence", "hashes_client_ip"),
    [
        ("SOURCE_IP", None, True),
        ("SOURCE_IP_PORT", None, False),
        ("ROUND_ROBIN", None, False),
        ("SOURCE_IP_PORT", HASH, True),
        ("ROUND_ROBIN", AFFINITY, False),
        ("SOURCE_IP", AFFINITY, True),
    ],
)
def test_pools_that_hash_the_client_address(algorithm, persistence, hashes_client_ip):
    found = pool(algorithm=model.Algorithm(algorithm), persistence=persistence)

    assert hashes_client_ip is found.hashes_client_ip


@pytest.mark.parametrize(
    ("given", "monitored"),
    [(None, False), (monitor(), True), (monitor(enabled=False), False)],
)
def test_pools_with_checked_members(given, monitored):
    assert monitored is pool(monitor=given).monitored


HTTP_FIELDS = {
    "http_method": "HEAD",
    "url_path": "/up?now=1",
    "expected_codes": "200,204",
    "http_version": "1.1",
    "domain_name": "example.org",
}
USED = {"HTTP": set(HTTP_FIELDS), "HTTPS": set(HTTP_FIELDS), "TLS-HELLO": {"domain_name"}}


@pytest.mark.parametrize("kind", [each.value for each in model.MonitorType])
def test_a_monitor_has_no_fields_that_its_type_does_not_use(kind):
    found = monitor(kind, **HTTP_FIELDS)

    assert {each for each in HTTP_FIELDS if getattr(found, each)} == USED.get(kind, set())
    assert monitor(kind, **dict.fromkeys(HTTP_FIELDS.keys() - USED.get(kind, set()), "?\n"))


@pytest.mark.parametrize("codes", ["200", "200,301,404", "200-200", "100-599"])
def test_codes_that_a_monitor_can_expect(codes):
    assert monitor("HTTP", expected_codes=codes).expected_codes == codes


def test_a_member_that_is_checked_where_it_serves_says_so_in_one_way():
    same = member(1, monitor_address="10.0.0.1", monitor_port=80)
    other = member(1, monitor_address="10.0.0.9", monitor_port=8080)

    assert same == member(1)
    assert (other.monitor_address, other.monitor_port) == ("10.0.0.9", 8080)


def test_finds_its_objects():
    lb = web(member(1), member(2))

    assert lb.listener("l1") is lb.listeners[0]
    assert lb.listener("l2") is None
    assert lb.pool("p1") is lb.pools[0]
    assert lb.pool(None) is None
    assert lb.pools[0].member("m2") is lb.pools[0].members[1]
    assert lb.pools[0].member("m3") is None
    assert lb.listeners_of("p1") == lb.listeners
    assert lb.listeners_of("p2") == ()
    assert [each.id for _, each in lb.members()] == ["m1", "m2"]
