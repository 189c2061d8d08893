# SPDX-License-Identifier: Apache-2.0
"""The ports of a load balancer that goes: ours are deleted, users' ports get their addresses back.

Rows can be written by others, so a port is deleted only if Neutron says that it is ours. It is
asked for that while Octavia is asked whether the load balancer is to go.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Iterator, Sequence

from octavia_ovn.controller import vip_ports
from octavia_ovn.controller.effects import Effects
from octavia_ovn.controller.protocols import Neutron
from octavia_ovn.controller.tasks import Done
from octavia_ovn.core import codec, model
from octavia_ovn.core.rows import Row


class PortReleases:
    """Makes the calls, once for each request."""

    def __init__(self, neutron: Neutron, effects: Effects) -> None:
        self._neutron = neutron
        self._effects = effects
        self._begun: dict[str, set[Hashable]] = {}
        """Calls for each load balancer that is going."""

    def look(self, lb_id: str, requests: Hashable, rows: Sequence[Row]) -> None:
        """Read the ports that may have to be deleted in a moment."""
        lb = _read(rows)
        for vip in lb.vips if lb else ():
            if vip.port_id is not None and vip.user_port is False:
                look = functools.partial(self._neutron.look_at, vip.port_id)
                self._effects.get(_look(lb_id, requests, vip.port_id), look, lb_id)

    def release(
        self, lb_id: str, requests: Hashable, rows: Sequence[Row]
    ) -> list[Done[None] | None]:
        """Release the ports; return for each how that has ended, None while it has not."""
        return [
            self._released(lb_id, requests, port_id, call)
            for port_id, call in self._calls(lb_id, requests, rows)
        ]

    def _released(
        self, lb_id: str, requests: Hashable, port_id: str, call: Callable[[], None]
    ) -> Done[None] | None:
        # A port that is made later than it is looked for would stay.
        if vip_ports.is_restoring(self._effects, port_id, lb_id):
            return None
        if self._effects.is_first_attempt(_look(lb_id, requests, port_id), lb_id):
            return None
        key = _key(lb_id, requests, port_id)
        self._effects.later(self._note, lb_id, key)
        return self._effects.get(key, call, lb_id)

    def _note(self, lb_id: str, key: Hashable) -> None:
        self._begun.setdefault(lb_id, set()).add(key)

    def keep(self, lb_id: str) -> None:
        """Delete nothing of a load balancer that stays, as after a failover.

        What Neutron has refused is tried again, and while Neutron is unavailable again and again.
        """
        if lb_id in self._begun:
            for key in self._begun[lb_id]:
                self._effects.forget(key)
            self._effects.later(self._begun.pop, lb_id, None)

    def forget(self, lb_id: str, requests: Hashable, rows: Sequence[Row]) -> None:
        """Forget the results."""
        for port_id, _ in self._calls(lb_id, requests, rows):
            self._effects.forget(_look(lb_id, requests, port_id))
            self._effects.forget(_key(lb_id, requests, port_id))
        self._effects.later(self._begun.pop, lb_id, None)

    def _calls(
        self, lb_id: str, requests: Hashable, rows: Sequence[Row]
    ) -> Iterator[tuple[str, Callable[[], None]]]:
        """Yield the id of each port, empty for those that must be found, and the call."""
        find = functools.partial(self._neutron.delete_vip_ports, lb_id)
        lb = _read(rows)
        if lb is None:
            yield "", find
            return
        for vip in lb.vips:
            if vip.port_id is None or vip.user_port is None:
                yield "", find
            elif vip.user_port:
                touch = functools.partial(self._neutron.touch_port, vip.port_id, vip.address)
                yield vip.port_id, touch
            else:
                done = self._effects.known(_look(lb_id, requests, vip.port_id))
                seen = None if done is None else done.value
                delete = self._neutron.delete_vip_port
                call = functools.partial(delete, vip.port_id, lb_id, lb.project_id, seen)
                yield vip.port_id, call


def _read(rows: Sequence[Row]) -> model.LoadBalancer | None:
    try:
        return codec.decode(rows).lb
    except codec.Undecodable:
        return None


def _look(lb_id: str, requests: Hashable, port_id: str) -> Hashable:
    return ("port to delete", lb_id, requests, port_id)


def _key(lb_id: str, requests: Hashable, port_id: str) -> Hashable:
    return ("ports", lb_id, requests, port_id)
