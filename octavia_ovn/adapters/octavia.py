"""Octavia's own knowledge of a load balancer, through the driver agent's get socket."""

from __future__ import annotations

from octavia_ovn.adapters import octavia_models as models
from octavia_ovn.adapters.octavia_sockets import DriverAgent
from octavia_ovn.core import limits, model
from octavia_ovn.errors import Refused


class Octavia:
    """Reads load balancers from Octavia."""

    def __init__(self, agent: DriverAgent, preferences: models.Preferences) -> None:
        self._agent = agent
        self._preferences = preferences

    def tree(self, lb_id: str) -> model.LoadBalancer | None:
        """Return a load balancer with all that belongs to it; None when it does not exist.

        :raises Unavailable: when Octavia does not answer
        :raises Refused: when it holds something that OVN cannot do
        """
        found = self._agent.get_load_balancer(lb_id)
        if not found:
            return None
        values = {key: value for key, value in found.items() if value is not None}
        try:
            return models.existing_load_balancer(values, self._preferences)
        except limits.Unsupported as error:
            raise Refused(str(error)) from error
