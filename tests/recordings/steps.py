# SPDX-License-Identifier: Apache-2.0
"""Requests of the script, and the network that they are made in.

Paths and bodies name objects by what the script calls them: `{listener}` is the id of the object
that a request with this name has made. Needs nothing but the standard library.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

Body = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Step:
    """One request to Octavia's API, or a question on the get socket (verb `ASK`)."""

    verb: str
    path: str
    body: Body | None = None
    name: str = ""
    """What the script calls the object that it makes. Children are called by their names."""


@dataclasses.dataclass(frozen=True)
class Scenario:
    """Requests one after the other, under settings of octavia.conf (`section.option`)."""

    name: str
    steps: tuple[Step, ...]
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def _id(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-00000000beef"


PROJECT = "0f8fad5b-d9cb-469f-a165-70867728950e"  # that of the laboratory
NETWORK, SUBNET, SUBNET6, MEMBER_SUBNET = _id(2), _id(3), _id(4), _id(5)
PORT, QOS_POLICY, OTHER_QOS_POLICY, SECURITY_GROUP = _id(6), _id(7), _id(8), _id(9)
LABELS = {
    PROJECT: "project",
    NETWORK: "network",
    SUBNET: "subnet",
    SUBNET6: "subnet6",
    MEMBER_SUBNET: "member-subnet",
    PORT: "user-port",
    QOS_POLICY: "qos-policy",
    OTHER_QOS_POLICY: "other-qos-policy",
    SECURITY_GROUP: "security-group",
}
CIDRS = {SUBNET: "10.0.0.0/24", SUBNET6: "2001:db8::/64", MEMBER_SUBNET: "10.0.1.0/24"}
PORT_ADDRESS = "10.0.0.77"

_ROOTS = {
    "loadbalancers": "loadbalancer",
    "listeners": "listener",
    "pools": "pool",
    "members": "member",
    "healthmonitors": "healthmonitor",
    "l7policies": "l7policy",
    "rules": "rule",
    "flavorprofiles": "flavorprofile",
    "flavors": "flavor",
    "availabilityzoneprofiles": "availability_zone_profile",
    "availabilityzones": "availability_zone",
}


def post(path: str, body: Body, name: str) -> Step:
    return Step("POST", path, {_ROOTS[path.rsplit("/", 1)[-1]]: body}, name)


def put(path: str, body: Body) -> Step:
    return Step("PUT", path, {_ROOTS[path.split("/")[-2]]: body})


def delete(path: str) -> Step:
    return Step("DELETE", path)


def ask(kind: str, name: str) -> Step:
    return Step("ASK", f"{kind}/{{{name}}}")


def balancer(name: str = "lb", /, **more: Any) -> Step:
    body = {"vip_subnet_id": SUBNET, "project_id": PROJECT, **more}
    return post("loadbalancers", body, name)


def listener(name: str = "listener", /, **more: Any) -> Step:
    body = {"loadbalancer_id": "{lb}", "protocol": "TCP", "protocol_port": 80, **more}
    return post("listeners", body, name)


def pool(name: str = "pool", /, **more: Any) -> Step:
    body = {"protocol": "TCP", "lb_algorithm": "SOURCE_IP_PORT", **more}
    if "listener_id" not in body:
        body["loadbalancer_id"] = "{lb}"
    return post("pools", body, name)


def member(name: str = "member", /, host: int = 10, **more: Any) -> Step:
    body = {"address": f"10.0.1.{host}", "protocol_port": 8080, **more}
    return post("pools/{pool}/members", body, name)


def monitor(name: str = "monitor", /, **more: Any) -> Step:
    body = {"pool_id": "{pool}", "type": "TCP", "delay": 5, "timeout": 3, "max_retries": 2}
    return post("healthmonitors", {**body, **more}, name)


def policy(name: str = "policy", /, **more: Any) -> Step:
    return post("l7policies", {"listener_id": "{listener}", "action": "REJECT", **more}, name)


def rule(name: str = "rule", /, **more: Any) -> Step:
    body = {"type": "PATH", "compare_type": "STARTS_WITH", "value": "/x", **more}
    return post("l7policies/{policy}/rules", body, name)


def each(path: str, values: Iterable[tuple[str, Any]]) -> tuple[Step, ...]:
    """Return an update of nothing, then one of each field alone."""
    return (put(path, {}), *(put(path, {field: value}) for field, value in values))


def verbs(path: str, fields: Iterable[tuple[str, Any]]) -> tuple[Step, ...]:
    return (*each(path, fields), delete(path))
