# SPDX-License-Identifier: Apache-2.0
"""How a call of a driver is written down: what is set, and ids by what the script calls them."""

from __future__ import annotations

import inspect
import json
import re
from typing import Any

from octavia_lib.api.drivers import data_models, provider_base

from tests.recordings.steps import LABELS

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def plain(value: Any) -> Any:
    """Show a value, with models as `{class: fields}`; what is absent (Unset) is not there."""
    if isinstance(value, data_models.BaseDataModel):
        return {type(value).__name__: _fields(vars(value))}
    if isinstance(value, dict):
        return _fields(value)
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return f"<{type(value).__name__}>"


def _fields(values: dict[str, Any]) -> dict[str, Any]:
    fields = {
        name: plain(value)
        for name, value in values.items()
        if not isinstance(value, data_models.UnsetType)
    }
    if fields.get("allowed_cidrs"):  # Octavia keeps those of a request in a set
        fields["allowed_cidrs"].sort()
    if "load_balancer" in fields:  # a row of Octavia's, which VIPs have on the get socket
        fields["load_balancer"] = "row"
    return fields


def call(method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Show a call with the names that octavia-lib gives to its arguments."""
    signature = inspect.signature(getattr(provider_base.ProviderDriver, method))
    bound = signature.bind(None, *args, **kwargs).arguments
    bound.pop("self")
    shown = plain(bound)
    if method == "loadbalancer_create":
        _forget_chance(shown["loadbalancer"]["LoadBalancer"])
    return {method: shown}


def vip_port(
    port_id: str, vip: dict[str, Any], additional: list[dict[str, Any]]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Answer `create_vip_port` as a driver does that makes a port unless there is one."""
    made = {"vip_port_id": port_id, "vip_address": "10.0.0.5"} | vip
    others = [
        {"ip_address": "2001:db8::5"} | each | {"port_id": made["vip_port_id"]}
        for each in additional
    ]
    return made, others


def _forget_chance(load_balancer: dict[str, Any]) -> None:
    """Leave out what Python's garbage collector decides.

    Octavia makes the children of a pool after the pool, and then the listener. Whether the default
    pool of the listener has them depends on whether the row that knows of none is still in memory.
    """
    for listener in load_balancer.get("listeners", ()):
        pool = listener["Listener"]["default_pool"]
        for children in ("members", "healthmonitor") if pool else ():
            pool["Pool"].pop(children)


class Names:
    """Names for the ids of one scenario: the script's, else numbers in the order of appearance."""

    def __init__(self) -> None:
        self._labels = dict(LABELS)
        self._ids: dict[str, str] = {}

    def learn(self, name: str, answer: Any) -> None:
        """Remember the id that an answer has, under a name, and those of named objects in it."""
        if isinstance(answer, dict):
            own = name or answer.get("name")
            if own and "id" in answer and answer["id"] not in self._labels:
                self._labels[answer["id"]] = own
                self._ids[own] = answer["id"]
            for item in answer.values():
                self.learn("", item)
        elif isinstance(answer, list):
            for item in answer:
                self.learn("", item)

    def fill(self, value: Any) -> Any:
        """Put ids in the place of names in braces."""
        text = json.dumps(value)
        for name, found in self._ids.items():
            text = text.replace(f"{{{name}}}", found)
        return json.loads(text)

    def hide(self, value: Any) -> Any:
        """Put names in the place of ids."""
        return json.loads(_ID.sub(self._label, json.dumps(value, sort_keys=True)))

    def _label(self, match: re.Match[str]) -> str:
        found = match[0]
        unnamed = f"unnamed-{sum(each.startswith('unnamed-') for each in self._labels.values())}"
        return f"<{self._labels.setdefault(found, unnamed)}>"


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """Return the single fields of a value by their paths, so that differences are short."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    found: dict[str, Any] = {}
    for name, item in items:
        here = f"{path}.{name}"
        nested = isinstance(item, (dict, list)) and item
        found.update(flat(item, here) if nested else {here: item})
    return found


def dump(recording: dict[str, Any]) -> str:
    """Return the text of a recording: one line for each request, so that differences are short."""
    head = {name: value for name, value in recording.items() if name != "scenarios"}
    lines = [f"{json.dumps(head)[:-1]},", '"scenarios": {']
    last = len(recording["scenarios"]) - 1
    for number, (name, steps) in enumerate(recording["scenarios"].items()):
        lines.append(f"{json.dumps(name)}: [")
        lines.append(",\n".join(json.dumps(step, sort_keys=True) for step in steps))
        lines.append("]" if number == last else "],")
    return "\n".join([*lines, "}}", ""])
