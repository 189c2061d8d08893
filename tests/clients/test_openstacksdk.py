# SPDX-License-Identifier: Apache-2.0
"""openstacksdk: each field that can be updated, alone; and what GET shows, sent back."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import openstack
import pytest
from octavia.api.v2.types import health_monitor, listener, load_balancer, member, pool
from openstack import exceptions
from openstack.load_balancer.v2 import health_monitor as sdk_monitor
from openstack.load_balancer.v2 import listener as sdk_listener
from openstack.load_balancer.v2 import load_balancer as sdk_load_balancer
from openstack.load_balancer.v2 import member as sdk_member
from openstack.load_balancer.v2 import pool as sdk_pool

from tests.clients import fields
from tests.clients.fields import CHANGED, SAME
from tests.clients.northbound import differences, without_identity
from tests.clients.site import shown

if TYPE_CHECKING:
    from sandbox.api import Json
    from tests.clients.fields import Field
    from tests.clients.site import Site

_REFUSED = {400, 404, 501}
_HTTP_ONLY = {"http_method", "url_path", "expected_codes"}
_MONITOR = {"type": "TCP", "delay": 5, "timeout": 3, "max_retries": 2, "max_retries_down": 2}


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of object: what Octavia lets users update, and the client's class for it."""

    name: str
    put: type
    resource: type
    table: dict[str, Field]


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "loadbalancer",
            load_balancer.LoadBalancerPUT,
            sdk_load_balancer.LoadBalancer,
            fields.LOAD_BALANCER,
        ),
        Kind("listener", listener.ListenerPUT, sdk_listener.Listener, fields.LISTENER),
        Kind("pool", pool.PoolPUT, sdk_pool.Pool, fields.POOL),
        Kind("member", member.MemberPUT, sdk_member.Member, fields.MEMBER),
        Kind(
            "healthmonitor",
            health_monitor.HealthMonitorPUT,
            sdk_monitor.HealthMonitor,
            fields.HEALTH_MONITOR,
        ),
    )
}
CASES = [
    pytest.param(kind, name, value, answer, id=f"{kind.name}-{name}-{what}")
    for kind in KINDS.values()
    for name, field in kind.table.items()
    for what, value, answer in (("value", field.value, field.answer), ("null", None, field.null))
]


class Client:
    """openstacksdk, with one load balancer that has everything."""

    def __init__(self, site: Site) -> None:
        names = site.names()
        self.site = site
        self.lb = openstack.connect(
            auth_url=site.settings.endpoints["identity"],
            username="admin",
            password=site.settings.password,
            project_name="admin",
            user_domain_id="default",
            project_domain_id="default",
            region_name="RegionOne",
        ).load_balancer
        members = [
            {
                "address": names[name],
                "protocol_port": 80,
                "name": name,
                "subnet_id": names["subnet"],
            }
            for name in ("web1", "web2")
        ]
        main = {
            "name": "main",
            "protocol": "HTTP",
            "lb_algorithm": "SOURCE_IP_PORT",
            "session_persistence": {"type": "SOURCE_IP"},
            "members": [{**members[0], "weight": 3}, members[1]],
            "healthmonitor": {"name": "monitor", **_MONITOR},
        }
        spare = {"name": "spare", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}
        web = {
            "name": "web",
            "protocol": "HTTP",
            "protocol_port": 80,
            "allowed_cidrs": ["192.0.2.0/24", "203.0.113.0/24"],
            "default_pool": main,
        }
        made = self.lb.create_load_balancer(
            name="full",
            provider="ovn",
            vip_subnet_id=names["subnet"],
            listeners=[web],
            pools=[{**spare, "members": members[:1]}],
        )
        site.wait()
        main_pool = self.lb.find_pool("main")
        policy = site.cloud.post("network", "/v2.0/qos/policies", {"policy": {"name": "qos"}})
        self.made = {
            "{spare}": self.lb.find_pool("spare").id,
            "{qos}": policy["policy"]["id"],
        }
        self.paths = {
            "loadbalancer": f"/lbaas/loadbalancers/{made.id}",
            "listener": f"/lbaas/listeners/{self.lb.find_listener('web').id}",
            "pool": f"/lbaas/pools/{main_pool.id}",
            "member": f"/lbaas/pools/{main_pool.id}/members/"
            f"{self.lb.find_member('web1', main_pool.id).id}",
            "healthmonitor": f"/lbaas/healthmonitors/{main_pool.health_monitor_id}",
        }

    def show(self, kind: Kind) -> Json:
        """Return what Octavia shows of the fields that can be updated."""
        found = shown(self.site, self.paths[kind.name].removeprefix("/lbaas"))
        return {name: found[name] for name in kind.table if name in found}

    def update(self, kind: Kind, **values: object) -> None:
        """Send an update, and wait for its end.

        Like a program does it with the client's objects, or, where the client does not know a
        field, with its session.
        """
        path = self.paths[kind.name]
        if values.keys() <= set(kind.resource._body_mapping().values()):
            parent = {"pool_id": path.split("/")[-3]} if kind.name == "member" else {}
            existing = kind.resource.existing(id=path.split("/")[-1], **parent)
            existing._update(**values)
            existing.commit(self.lb)
        else:
            answer = self.lb.put(path, json={kind.name: values})
            exceptions.raise_from_response(answer)
        self.site.wait()


@pytest.fixture(scope="module")
def client(site: Site) -> Client:
    return Client(site)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_the_table_has_each_field_that_octavia_lets_users_update(kind: Kind) -> None:
    known = {attribute.name for attribute in kind.put._wsme_attributes} - {"tenant_id"}

    assert known == kind.table.keys()


@pytest.mark.parametrize(("kind", "name", "value", "answer"), CASES)
def test_one_field_alone(client: Client, kind: Kind, name: str, value: Any, answer: str) -> None:
    value = client.made.get(value, value) if isinstance(value, str) else value
    before, first = client.show(kind), client.site.rows()

    if answer in {SAME, CHANGED}:
        client.update(kind, **{name: value})
    else:
        with pytest.raises(exceptions.HttpException) as refused:
            client.update(kind, **{name: value})
        assert refused.value.status_code in _REFUSED or answer == fields.OCTAVIA_FAILS
        assert answer in str(refused.value.details)
    second = client.site.rows()

    assert bool(differences(first, second)) == (answer == CHANGED), differences(first, second)
    shown_now = client.show(kind)
    unchanged = {key: each for key, each in before.items() if key != name}
    assert {key: shown_now[key] for key in unchanged} == unchanged
    if answer in {SAME, CHANGED}:
        client.update(kind, **{name: before.get(name)})
        last = client.site.rows()
        if kind.table[name].restores:
            assert differences(without_identity(first), without_identity(last)) == []


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_what_is_shown_can_be_sent_back(client: Client, kind: Kind) -> None:
    before = client.site.rows()
    seen = client.show(kind)
    if kind.name == "healthmonitor":
        # Octavia shows these, and takes them back from monitors by HTTP only.
        seen = {name: seen[name] for name in seen.keys() - _HTTP_ONLY}

    client.update(kind, **seen)

    assert differences(before, client.site.rows()) == []


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_an_update_of_nothing_changes_nothing(client: Client, kind: Kind) -> None:
    before = client.site.rows()

    exceptions.raise_from_response(client.lb.put(client.paths[kind.name], json={kind.name: {}}))
    client.site.wait()

    assert differences(before, client.site.rows()) == []
