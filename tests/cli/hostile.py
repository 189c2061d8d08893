# SPDX-License-Identifier: Apache-2.0
"""Names that tenants chose for a terminal to obey."""

import dataclasses

from octavia_ovn.core.diagnosis.snapshot import ObjectStatus
from octavia_ovn.core.pending import Kind
from tests.core.builders import VIP, member, web
from tests.core.diagnosis.snapshots import FIP, R1, snapshot

HOSTILE = "\x1b[2J\x07\x9b31m[bold]\u202e:smile:\r\n$(reboot)"


def hostile():
    """A snapshot in which tenants have named everything so that a terminal does something."""
    found = snapshot(
        fips={VIP: FIP},
        statuses={
            key: ObjectStatus(HOSTILE, "ACTIVE", "ONLINE")
            for key in (
                (Kind.LOAD_BALANCER, "lb1"),
                (Kind.LISTENER, "l1"),
                (Kind.POOL, "p1"),
                (Kind.MEMBER, "m1"),
            )
        },
        octavia=web(member(1), member(2, weight=7)),
        notes=(HOSTILE,),
        routers={R1: HOSTILE},
    )
    switches = {
        name: dataclasses.replace(each, label=HOSTILE) for name, each in found.switches.items()
    }
    ports = {name: dataclasses.replace(each, label=HOSTILE) for name, each in found.ports.items()}
    return dataclasses.replace(found, switches=switches, ports=ports)
