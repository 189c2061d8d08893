"""What the agent keeps of switch ports."""

from octavia_ovn.adapters.switch_ports import SwitchPorts

SOURCE = {
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


def test_the_source_of_checks_is_the_port_with_the_smallest_id():
    ports = SwitchPorts()
    ports.put("u2", "two", SOURCE | {"neutron:cidrs": "10.0.0.8/24"}, answers=False)
    ports.put("u1", "one", SOURCE, answers=True)

    assert ports.monitor_ports("sub1") == {"one", "two"}
    assert ports.monitor_source("sub1") == "10.0.0.9"
    assert ports.answering("sub1") == "one"
    assert ports.at("10.0.0.9") is None

    assert ports.remove("u1") == {("backend", "10.0.0.9"), ("monitored", "sub1")}
    assert ports.monitor_source("sub1") == "10.0.0.8"
    assert ports.answering("sub1") is None

    ports.remove("u2")
    assert ports.monitor_source("sub1") is None


def test_a_port_that_is_made_anew_comes_before_the_old_one_goes():
    ports = SwitchPorts()
    for uuid in ("old", "new"):
        ports.put(uuid, "port1", MEMBER, answers=True)
        ports.put(f"{uuid}-source", "hm", SOURCE, answers=True)
    ports.remove("old")
    ports.remove("old-source")

    assert ports.at("10.0.0.1") == "port1"
    assert ports.monitor_source("sub1") == "10.0.0.9"
