"""What the agent keeps of switch ports."""

import pytest

from octavia_ovn.adapters.switch_ports import SwitchPorts
from octavia_ovn.core.health import Source

SERVICE = "service"
SOURCE = {
    "neutron:project_id": SERVICE,
    "neutron:device_id": "ovn-lb-hm-sub1",
    "neutron:port_name": "ovn-lb-hm-sub1",
    "neutron:device_owner": "ovn-lb-hm:distributed",
    "neutron:cidrs": "10.0.0.9/24",
}
MEMBER = {"neutron:cidrs": "10.0.0.1/24 fd00::1/64"}


def test_ports_are_found_by_address():
    ports = SwitchPorts()
    assert ports.put("u1", "port1", MEMBER, answers=True) == {
        ("backend", "10.0.0.1"),
        ("backend", "fd00::1"),
    }

    assert ports.at("10.0.0.1") == ports.at("fd00::1") == "port1"
    assert ports.put("u1", "port1", {"neutron:cidrs": "10.0.0.2/24"}, answers=True) == {
        ("backend", "10.0.0.1"),
        ("backend", "10.0.0.2"),
        ("backend", "fd00::1"),
    }
    assert ports.at("10.0.0.1") is None
    assert ports.remove("u1") == {("backend", "10.0.0.2")}
    assert ports.at("10.0.0.2") is None
    assert ports.remove("u1") == frozenset()


def test_addresses_are_compared_in_one_spelling():
    ports = SwitchPorts()
    ports.put(
        "u1", "port1", {"neutron:cidrs": "FD00:0::0001/64 10.0.0.1/24 nonsense"}, answers=True
    )

    assert ports.at("fd00::1") == ports.at("10.0.0.1") == "port1"
    assert ports.remove("u1") == {("backend", "10.0.0.1"), ("backend", "fd00::1")}


def test_the_owner_of_an_address_is_that_of_its_port():
    ports = SwitchPorts()
    ports.put("u1", "port1", MEMBER | {"neutron:project_id": "tenant"}, answers=True)

    assert ports.owner("10.0.0.1") == "tenant"
    assert ports.owner("10.0.0.2") == ""


def test_the_source_of_checks_is_the_port_with_the_smallest_id():
    ports = SwitchPorts()
    ports.put("u2", "two", SOURCE | {"neutron:cidrs": "10.0.0.8/24"}, answers=False)
    ports.put("u1", "one", SOURCE, answers=True)

    assert ports.monitor_ports("sub1") == {"one", "two"}
    assert ports.monitor_source("sub1", [SERVICE]) == Source("one", "10.0.0.9", answers=True)
    assert ports.at("10.0.0.9") is None

    assert ports.remove("u1") == {("backend", "10.0.0.9"), ("monitored", "sub1")}
    assert ports.monitor_source("sub1", [SERVICE]) == Source("two", "10.0.0.8", answers=False)

    ports.remove("u2")
    assert ports.monitor_source("sub1", [SERVICE]) is None


def test_the_source_of_checks_belongs_to_a_project_that_is_trusted():
    ports = SwitchPorts()
    ports.put("u1", "a", SOURCE | {"neutron:project_id": "attacker"}, answers=False)
    assert ports.monitor_source("sub1", [SERVICE, "tenant"]) is None

    ports.put("u2", "b", SOURCE | {"neutron:project_id": "tenant"}, answers=False)
    assert ports.monitor_source("sub1", [SERVICE, "tenant"]).port == "b"
    assert ports.monitor_source("sub1", [SERVICE, ""]) is None

    ports.put("u3", "c", SOURCE, answers=False)
    assert ports.monitor_source("sub1", [SERVICE, "tenant"]).port == "c"


@pytest.mark.parametrize(
    "change",
    [
        {"neutron:device_id": "8d7e9b52-0000-4000-8000-000000000001"},
        {"neutron:device_owner": "compute:nova"},
        {"neutron:port_name": "mine"},
    ],
)
def test_a_port_that_does_not_say_so_in_all_ways_is_no_source_of_checks(change):
    ports = SwitchPorts()
    ports.put("u1", "one", SOURCE | change, answers=False)

    assert ports.monitor_source("sub1", [SERVICE]) is None
    assert ports.at("10.0.0.9") == "one"


def test_a_port_that_is_made_anew_comes_before_the_old_one_goes():
    ports = SwitchPorts()
    for uuid in ("old", "new"):
        ports.put(uuid, "port1", MEMBER, answers=True)
        ports.put(f"{uuid}-source", "hm", SOURCE, answers=True)
    ports.remove("old")
    ports.remove("old-source")

    assert ports.at("10.0.0.1") == "port1"
    assert ports.monitor_source("sub1", [SERVICE]).address == "10.0.0.9"
