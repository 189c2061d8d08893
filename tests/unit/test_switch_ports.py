"""What the agent keeps of switch ports."""

import dataclasses

from octavia_ovn.adapters.switch_ports import SwitchPort, SwitchPorts

SOURCE = SwitchPort("one", ("10.0.0.9",), "sub1", answers=True, up=False, virtual=False)
MEMBER = SwitchPort("port1", ("10.0.0.1", "fd00::1"), None, answers=True, up=True, virtual=False)


def test_ports_are_found_by_address():
    ports = SwitchPorts()
    moved = dataclasses.replace(MEMBER, addresses=("10.0.0.2",))
    assert ports.put("u1", MEMBER) == {("backend", "10.0.0.1"), ("backend", "fd00::1")}

    assert ports.at("10.0.0.1") == ports.at("fd00::1") == MEMBER
    assert ports.put("u1", moved) == {
        ("backend", "10.0.0.1"),
        ("backend", "10.0.0.2"),
        ("backend", "fd00::1"),
    }
    assert ports.at("10.0.0.1") is None
    assert ports.remove("u1") == {("backend", "10.0.0.2")}
    assert ports.at("10.0.0.2") is None
    assert ports.remove("u1") == frozenset()


def test_a_port_that_goes_up_or_down_is_a_change_of_its_addresses():
    ports = SwitchPorts()
    ports.put("u1", dataclasses.replace(MEMBER, up=False))

    assert ports.put("u1", MEMBER) == {("backend", "10.0.0.1"), ("backend", "fd00::1")}
    assert ports.put("u1", MEMBER) == frozenset()


def test_the_source_of_checks_is_the_port_with_the_smallest_id():
    ports = SwitchPorts()
    ports.put("u2", dataclasses.replace(SOURCE, name="two", addresses=("10.0.0.8",), answers=False))
    ports.put("u1", SOURCE)

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
        ports.put(uuid, MEMBER)
        ports.put(f"{uuid}-source", SOURCE)
    ports.remove("old")
    ports.remove("old-source")

    assert ports.at("10.0.0.1") == MEMBER
    assert ports.monitor_source("sub1") == "10.0.0.9"
