# SPDX-License-Identifier: Apache-2.0
"""What the agent keeps of switch ports."""

import dataclasses
import types
from typing import NamedTuple

import pytest

from octavia_ovn.adapters.northbound.switch_ports import (
    SwitchPorts,
    switch_port,
)
from octavia_ovn.core.health import Source, SwitchPort

SERVICE = "service"
SOURCE = SwitchPort(
    "one", ("10.0.0.9",), "sub1", answers=True, project=SERVICE, up=False, virtual=False
)
MEMBER = SwitchPort(
    "port1",
    ("10.0.0.1", "fd00::1"),
    None,
    answers=True,
    project="tenant",
    up=True,
    virtual=False,
)
SAYS_SOURCE = {
    "neutron:project_id": SERVICE,
    "neutron:device_id": "ovn-lb-hm-sub1",
    "neutron:port_name": "ovn-lb-hm-sub1",
    "neutron:device_owner": "ovn-lb-hm:distributed",
    "neutron:cidrs": "10.0.0.9/24",
}


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


class Atom(NamedTuple):
    value: object


def datum(values):
    """A value as the library keeps it."""
    is_map = isinstance(values, dict)
    found = {Atom(key): Atom(value) for key, value in values.items()} if is_map else None
    return types.SimpleNamespace(
        type=types.SimpleNamespace(is_map=lambda: is_map, is_scalar=lambda: False),
        values=found if is_map else [Atom(each) for each in values],
    )


def row(*, addresses=("fa:16:3e:00:00:01 10.0.0.9",), up=(True,), **external_ids):
    """A row of the replica."""
    keys = {f"neutron:{key}": value for key, value in external_ids.items()}
    data = {"addresses": addresses, "external_ids": SAYS_SOURCE | keys, "up": up}
    return types.SimpleNamespace(
        name="one", type="", _data={column: datum(value) for column, value in data.items()}
    )


def test_a_row_is_read():
    assert switch_port(row()) == dataclasses.replace(SOURCE, up=True)
    assert switch_port(row(addresses=(), up=())) == dataclasses.replace(SOURCE, answers=False)


def test_addresses_are_compared_in_one_spelling():
    ports = SwitchPorts()
    cidrs = "FD00:0::0001/64 10.0.0.1/24 nonsense"
    ports.put("u1", switch_port(row(cidrs=cidrs, device_owner="compute:nova")))

    assert ports.at("fd00::1").name == ports.at("10.0.0.1").name == "one"
    assert ports.remove("u1") == {("backend", "10.0.0.1"), ("backend", "fd00::1")}


def test_the_source_of_checks_is_the_port_with_the_smallest_id():
    ports = SwitchPorts()
    ports.put("u2", dataclasses.replace(SOURCE, name="two", addresses=("10.0.0.8",), answers=False))
    ports.put("u1", SOURCE)

    assert ports.monitor_source("sub1", [SERVICE]) == Source("one", "10.0.0.9", answers=True)
    assert ports.at("10.0.0.9") is None

    assert ports.remove("u1") == {("backend", "10.0.0.9"), ("monitored", "sub1")}
    assert ports.monitor_source("sub1", [SERVICE]) == Source("two", "10.0.0.8", answers=False)

    ports.remove("u2")
    assert ports.monitor_source("sub1", [SERVICE]) is None


def test_the_source_of_checks_belongs_to_a_project_that_is_trusted():
    ports = SwitchPorts()
    ports.put("u1", dataclasses.replace(SOURCE, name="a", project="attacker"))
    assert ports.monitor_source("sub1", [SERVICE, "tenant"]) is None

    ports.put("u2", dataclasses.replace(SOURCE, name="b", project="tenant"))
    assert ports.monitor_source("sub1", [SERVICE, "tenant"]).port == "b"
    assert ports.monitor_source("sub1", [SERVICE]) is None

    ports.put("u3", dataclasses.replace(SOURCE, name="c"))
    assert ports.monitor_source("sub1", [SERVICE, "tenant"]).port == "c"


@pytest.mark.parametrize(
    "change",
    [
        {"device_id": "8d7e9b52-0000-4000-8000-000000000001"},
        {"device_owner": "compute:nova"},
        {"port_name": "mine"},
    ],
)
def test_a_port_whose_name_device_and_owner_disagree_is_no_source_of_checks(change):
    assert switch_port(row(**change)).source_of is None


def test_the_former_driver_gave_the_source_of_checks_no_device_at_first():
    owner = "network:distributed"
    assert switch_port(row(device_id="", device_owner=owner)).source_of == "sub1"


def test_a_recreated_port_appears_before_the_old_one_disappears():
    ports = SwitchPorts()
    for uuid in ("old", "new"):
        ports.put(uuid, MEMBER)
        ports.put(f"{uuid}-source", SOURCE)
    ports.remove("old")
    ports.remove("old-source")

    assert ports.at("10.0.0.1") == MEMBER
    assert ports.monitor_source("sub1", [SERVICE]).address == "10.0.0.9"
