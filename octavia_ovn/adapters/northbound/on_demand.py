# SPDX-License-Identifier: Apache-2.0
"""What the agent follows in the Northbound database only while a load balancer needs it.

Each has a replica of its own, which opens with the first use.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from octavia_ovn.adapters.northbound import port_names, security_groups
from octavia_ovn.adapters.northbound.port_names import NamedPorts
from octavia_ovn.adapters.northbound.security_groups import SecurityGroups
from octavia_ovn.core.dependencies import Dependency

if TYPE_CHECKING:
    import ovs.poller

    from octavia_ovn.adapters.ovsdb.replica import Replica


class OnDemand:
    """Ports where clients enter, and security groups of VIPs.

    :param open_: makes a replica of some tables, given `conditions` and `on_change`
    :param changed: called with a dependency when it has changed, or is known now
    """

    def __init__(
        self, open_: Callable[..., Replica], changed: Callable[[Dependency], None]
    ) -> None:
        self.ports = NamedPorts(
            lambda on_change: open_(
                port_names.TABLES, conditions=port_names.NOTHING, on_change=on_change
            ),
            changed,
        )
        self.groups = SecurityGroups(
            lambda on_change: open_(
                security_groups.TABLES, conditions=security_groups.NOTHING, on_change=on_change
            ),
            changed,
        )

    def run(self) -> None:
        """Process what the server has sent."""
        self.ports.run()
        self.groups.run()

    def wait(self, poller: ovs.poller.Poller) -> None:
        """Arrange for the poller to wake up when `run` has something to do."""
        self.ports.wait(poller)
        self.groups.wait(poller)

    def close(self) -> None:
        """Disconnect."""
        self.ports.close()
        self.groups.close()
