# SPDX-License-Identifier: Apache-2.0
"""Commands to copy: they let in the client, and change nothing else."""

import dataclasses

from octavia_ovn.core.diagnosis import client_acls
from octavia_ovn.core.diagnosis.acls import VIP_GROUPS
from tests.core.builders import balancer, listener
from tests.core.diagnosis.snapshots import (
    ACLS,
    FAR,
    GUARDED,
    LB,
    RESTRICTED,
    faults,
    no_groups,
    snapshot,
    trace,
    with_ports,
)
from tests.core.diagnosis.test_trace import FENCE, SETS


def _remedy(networks):
    lb = balancer([dataclasses.replace(listener(), allowed_cidrs=networks)], LB.pools)
    found = with_ports(snapshot(lb, acls=(*ACLS, FENCE), address_sets=SETS), *GUARDED)
    (fault,) = faults(trace(found, FAR))
    return fault.remedy


def test_a_command_that_allows_a_client_keeps_the_others():
    """The option replaces the list: with the new network alone, all others would be locked out."""
    assert _remedy(("10.0.0.0/24", "fd00::/64")) == (
        "openstack loadbalancer listener set"
        " --allowed-cidr 10.0.0.0/24 --allowed-cidr fd00::/64 --allowed-cidr CIDR l1"
    )
    many = _remedy(tuple(f"10.9.{number}.0/24" for number in range(0, 18, 2)))
    assert "repeat --allowed-cidr for each network" in many


def test_commands_that_let_the_client_in_are_complete():
    """Without a group and a port the command makes no rule, or one for everything."""
    fixed = "openstack security group rule create --ingress --ethertype"
    fault, _ = faults(trace(with_ports(snapshot(), *no_groups("one", "two"))))
    assert fault.remedy == f"{fixed} IPv4 --protocol tcp --dst-port 80 --remote-ip 10.0.0.7 GROUP"

    acls = (*ACLS, dataclasses.replace(RESTRICTED, owner=VIP_GROUPS))
    (fault,) = faults(trace(with_ports(snapshot(acls=acls), *GUARDED)))
    assert fault.remedy == f"{fixed} IPv4 --protocol tcp --dst-port 80 --remote-ip 10.0.0.7 GROUP"
    assert client_acls.ingress_rule("fd00::7", "udp", 53) == (
        f"{fixed} IPv6 --protocol udp --dst-port 53 --remote-ip fd00::7 GROUP"
    )
