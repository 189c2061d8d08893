# SPDX-License-Identifier: Apache-2.0
"""Services of type LoadBalancer, as users of Kubernetes define them."""

from __future__ import annotations

import dataclasses

CLUSTER = "kubernetes"
OWN = "kube_service_"


@dataclasses.dataclass(frozen=True)
class Port:
    """One of `spec.ports`."""

    protocol: str
    port: int
    node_port: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Service:
    """A Service of type LoadBalancer."""

    name: str
    ports: tuple[Port, ...]
    version: int = 4
    """IP version of the first of `spec.ipFamilies`, the only one that is served."""
    client_ip: bool = False
    """`spec.sessionAffinity: ClientIP`."""
    source_ranges: tuple[str, ...] = ()
    """`spec.loadBalancerSourceRanges`."""
    health_check_node_port: int = 0
    """`spec.healthCheckNodePort`, with `spec.externalTrafficPolicy: Local`."""

    @property
    def tag(self) -> str:
        """Name of its load balancer; also its mark on what it uses."""
        return f"{OWN}{CLUSTER}_default_{self.name}"

    @property
    def security_group(self) -> str:
        """Name of the group that opens the node ports to its clients."""
        return f"lb-sg-{self.name}-default-{self.name}"

    @property
    def allowed(self) -> tuple[str, ...]:
        """Who may be a client."""
        return self.source_ranges or ("0.0.0.0/0" if self.version == 4 else "::/0",)
