# SPDX-License-Identifier: Apache-2.0
"""openstack-cloud-controller-manager, as far as Octavia and Neutron see it.

The same requests in the same order, with the same fields, as
kubernetes/cloud-provider-openstack, pkg/openstack/loadbalancer.go, sends them with
``lb-provider=ovn`` and ``manage-security-groups=true`` (read at commit 98668a4b). Its client,
gophercloud, leaves out what is empty and calls Octavia's API by the name v2.0.

While something is not ACTIVE, the controller asks again after a second, and then after ever longer
pauses; here they begin at a fifth of one, so that the next request comes as soon as it may.

What of the tree is not ACTIVE when the load balancer is would fail its next request, or be
shown to the user as an error: every wait here ends with reading all of it.
"""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING

from tests.sandbox.kubernetes_service import CLUSTER, OWN, Port, Service

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sandbox.api import Cloud, Json
    from sandbox.guests import Guest

_FIRST_WAIT, _FACTOR, _STEPS = 0.2, 1.2, 23  # seconds; wait.Backoff of WaitActiveAndGet...
_HEALTHZ = {"type": "HTTP", "url_path": "/healthz", "http_method": "GET", "expected_codes": "200"}
_MONITORS = {"TCP": "TCP", "UDP": "UDP-CONNECT"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Controller:
    """The controller with its cloud.conf, section LoadBalancer."""

    cloud: Cloud
    subnet: str
    """`subnet-id`: of the VIP and of the nodes."""
    floating_network: str
    """`floating-network-id`."""
    monitor: Json
    """`monitor-delay` and the others, by Octavia's names."""
    method: str = "ROUND_ROBIN"
    """`lb-method`; this is the default."""
    create_monitor: bool = True
    """`create-monitor`."""
    http_monitors: bool = False
    """Whether it has the patch of docs/tenants/kubernetes.md, and the provider serves them."""

    # --- what Kubernetes calls -----------------------------------------------------------

    def ensure(self, service: Service, nodes: Sequence[Guest], *, shared: str = "") -> Json:
        """EnsureLoadBalancer; `shared` is the annotation load-balancer-id of another's."""
        found = self._get(shared) if shared else self._by_name(service.tag)
        lb = found or self._create(service, nodes)
        listeners = self._listeners(lb)
        if found:
            for index, port in enumerate(service.ports):
                listener = self._ensure_listener(lb, service, index, port, listeners)
                pool = self._ensure_pool(lb, service, index, port, listener, nodes)
                self._ensure_monitor(lb, service, index, port, pool)
            wanted = {(port.protocol, port.port) for port in service.ports}
            for key in listeners.keys() - wanted:
                if service.tag in listeners[key]["tags"]:
                    self._delete_listener(lb, listeners[key])
        if service.version == 4:
            self._ensure_floating_ip(lb, service)
        if service.tag not in lb["tags"]:
            self._update_tags(lb, [*lb["tags"], service.tag])
        self._ensure_security_group(service, nodes)
        return self._get(lb["id"])

    def update(self, service: Service, lb: Json, nodes: Sequence[Guest]) -> None:
        """UpdateLoadBalancer: the nodes have changed."""
        found = self._get(lb["id"])
        assert found["provisioning_status"] == "ACTIVE"
        listeners = self._listeners(found)
        for index, port in enumerate(service.ports):
            listener = listeners[port.protocol, port.port]
            pool = self._ensure_pool(found, service, index, port, listener, nodes)
            self._ensure_monitor(found, service, index, port, pool)
        self._ensure_security_group(service, nodes)

    def delete(self, service: Service, lb: Json) -> None:
        """EnsureLoadBalancerDeleted: all of it, or only this Service's part of a shared one."""
        found = self._get(lb["id"])
        assert found["provisioning_status"] == "ACTIVE"
        others = [tag for tag in found["tags"] if tag != service.tag]
        if any(tag.startswith(OWN) for tag in others):
            self._delete_part(found, service)
            self._update_tags(found, others)
        else:
            for floating in self.cloud.neutron("floatingips", port_id=found["vip_port_id"]):
                self.cloud.delete("network", f"/v2.0/floatingips/{floating['id']}")
            self._octavia("DELETE", f"/loadbalancers/{lb['id']}?cascade=true")
            self._wait_until_gone(found)
        self._delete_security_group(service)

    # --- the load balancer ---------------------------------------------------------------

    def _create(self, service: Service, nodes: Sequence[Guest]) -> Json:
        listeners = []
        for index, port in enumerate(service.ports):
            pool = self._describe_pool(service, index, port)
            pool["members"] = self._describe_members(service, port, nodes)
            if self.create_monitor:
                pool["healthmonitor"] = self._describe_monitor(service, index, port)
            listener = self._describe_listener(service, index, port)
            listeners.append({**listener, "default_pool": pool})
        body = {
            "name": service.tag,
            "description": f"Kubernetes external service default/{service.name}"
            f" from cluster {CLUSTER}",
            "vip_subnet_id": self.subnet,
            "provider": "ovn",
            "tags": [service.tag],
            "listeners": listeners,
        }
        made = self._octavia("POST", "/loadbalancers", {"loadbalancer": body})["loadbalancer"]
        return self._wait(made)

    def _by_name(self, name: str) -> Json | None:
        listed = self._octavia("GET", f"/loadbalancers?name={name}")["loadbalancers"]
        return next(iter(listed), None)

    def _get(self, lb_id: str) -> Json:
        found: Json = self._octavia("GET", f"/loadbalancers/{lb_id}")["loadbalancer"]
        return found

    def _update_tags(self, lb: Json, tags: list[str]) -> None:
        body = {"loadbalancer": {"tags": tags}}
        self._octavia("PUT", f"/loadbalancers/{lb['id']}", body)
        self._wait(lb)

    def _ensure_floating_ip(self, lb: Json, service: Service) -> None:
        if not self.cloud.neutron("floatingips", port_id=lb["vip_port_id"]):
            self.cloud.create(
                "floatingip",
                floating_network_id=self.floating_network,
                port_id=lb["vip_port_id"],
                description=f"Floating IP for Kubernetes external service default/{service.name}"
                f" from cluster {CLUSTER}",
            )

    def _delete_part(self, lb: Json, service: Service) -> None:
        """Delete a Service's listeners, its monitors first and each pool before its listener."""
        listeners = self._listeners(lb)
        mine = [listeners[port.protocol, port.port] for port in service.ports]
        assert all(listener["tags"] == [service.tag] for listener in mine)
        for listener in mine:
            pool = self._pool_of(lb, listener)
            if pool and (monitor := pool.get("healthmonitor_id")):
                self._octavia("DELETE", f"/healthmonitors/{monitor}")
                self._wait(lb)
        for listener in mine:
            self._delete_listener(lb, listener)

    # --- listeners, pools, members, monitors ---------------------------------------------

    def _listeners(self, lb: Json) -> dict[tuple[str, int], Json]:
        listed = self._octavia("GET", f"/listeners?loadbalancer_id={lb['id']}")["listeners"]
        return {(one["protocol"], one["protocol_port"]): one for one in listed}

    def _describe_listener(self, service: Service, index: int, port: Port) -> Json:
        return {
            "name": f"listener_{index}_{service.tag}",
            "protocol": port.protocol,
            "protocol_port": port.port,
            "connection_limit": -1,
            "tags": [service.tag],
        }

    def _ensure_listener(
        self,
        lb: Json,
        service: Service,
        index: int,
        port: Port,
        existing: dict[tuple[str, int], Json],
    ) -> Json:
        if (port.protocol, port.port) in existing:
            return existing[port.protocol, port.port]
        body = {**self._describe_listener(service, index, port), "loadbalancer_id": lb["id"]}
        made: Json = self._octavia("POST", "/listeners", {"listener": body})["listener"]
        self._wait(lb)
        return made

    def _delete_listener(self, lb: Json, listener: Json) -> None:
        pool = self._pool_of(lb, listener)
        if pool:
            self._octavia("DELETE", f"/pools/{pool['id']}")
            self._wait(lb)
        self._octavia("DELETE", f"/listeners/{listener['id']}")
        self._wait(lb)

    def _pool_of(self, lb: Json, listener: Json) -> Json | None:
        listed = self._octavia("GET", f"/pools?loadbalancer_id={lb['id']}")["pools"]
        for pool in listed:
            if {"id": listener["id"]} in pool["listeners"]:
                return dict(pool)
        return None

    def _describe_pool(self, service: Service, index: int, port: Port) -> Json:
        pool = {
            "name": f"pool_{index}_{service.tag}",
            "protocol": port.protocol,
            "lb_algorithm": self.method,
        }
        return {**pool, "session_persistence": {"type": "SOURCE_IP"}} if service.client_ip else pool

    def _ensure_pool(
        self,
        lb: Json,
        service: Service,
        index: int,
        port: Port,
        listener: Json,
        nodes: Sequence[Guest],
    ) -> Json:
        pool = self._pool_of(lb, listener)
        if pool and pool["lb_algorithm"] != self.method:
            body = {"pool": {"lb_algorithm": self.method}}
            self._octavia("PUT", f"/pools/{pool['id']}", body)
            self._wait(lb)
        if pool is None:
            body = {**self._describe_pool(service, index, port), "listener_id": listener["id"]}
            pool = dict(self._octavia("POST", "/pools", {"pool": body})["pool"])
            self._wait(lb)
        members = self._octavia("GET", f"/pools/{pool['id']}/members")["members"]
        wanted = self._describe_members(service, port, nodes)
        # It compares with this port also where it does not send it.
        compared = [
            {**one, "monitor_port": service.health_check_node_port or None} for one in wanted
        ]
        if _identities(members) != _identities(compared):
            self._octavia("PUT", f"/pools/{pool['id']}/members", {"members": wanted})
            self._wait(lb)
        return pool

    def _describe_members(self, service: Service, port: Port, nodes: Sequence[Guest]) -> list[Json]:
        checked = {"monitor_port": service.health_check_node_port}
        return [
            {
                "address": node.address(service.version),
                "protocol_port": port.node_port,
                "name": node.name,
                "subnet_id": self.subnet,
                **(checked if self._asks_kube_proxy(service) else {}),
            }
            for node in nodes
        ]

    def _asks_kube_proxy(self, service: Service) -> bool:
        return bool(service.health_check_node_port and self.http_monitors)

    def _describe_monitor(self, service: Service, index: int, port: Port) -> Json:
        name = f"monitor_{index}_{service.tag}"
        usual = {"name": name, "type": _MONITORS[port.protocol], **self.monitor}
        return {**usual, **_HEALTHZ} if self._asks_kube_proxy(service) else usual

    def _ensure_monitor(
        self, lb: Json, service: Service, index: int, port: Port, pool: Json
    ) -> None:
        monitor = pool.get("healthmonitor_id")
        wanted = self._describe_monitor(service, index, port)
        if not monitor:
            if self.create_monitor:
                body = {"healthmonitor": {"pool_id": pool["id"], **wanted}}
                self._octavia("POST", "/healthmonitors", body)
                self._wait(lb)
        elif not self.create_monitor:
            self._octavia("DELETE", f"/healthmonitors/{monitor}")
            self._wait(lb)
        else:
            now = self._octavia("GET", f"/healthmonitors/{monitor}")["healthmonitor"]
            updated = {name: wanted[name] for name in ("name", *self.monitor)}
            if now["type"] != wanted["type"]:
                self._octavia("DELETE", f"/healthmonitors/{monitor}")
                self._wait(lb)
                body = {"healthmonitor": {"pool_id": pool["id"], **wanted}}
                self._octavia("POST", "/healthmonitors", body)
                self._wait(lb)
            elif any(now[name] != value for name, value in updated.items()):
                self._octavia("PUT", f"/healthmonitors/{monitor}", {"healthmonitor": updated})
                self._wait(lb)

    # --- security groups (pkg/openstack/loadbalancer_sg.go) ------------------------------

    def _ensure_security_group(self, service: Service, nodes: Sequence[Guest]) -> None:
        """Open the node ports to the clients: OVN keeps their addresses."""
        found = self.cloud.neutron("security-groups", name=service.security_group)
        group = found[0] if found else self._create_group(service)
        wanted = {
            (port.protocol.lower(), port.node_port, cidr)
            for port in service.ports
            for cidr in service.allowed
        }
        if service.health_check_node_port:
            subnet = self.cloud.get("network", f"/v2.0/subnets/{self.subnet}")["subnet"]
            wanted.add(("tcp", service.health_check_node_port, subnet["cidr"]))
        rules = {
            (rule["protocol"], rule["port_range_min"], rule["remote_ip_prefix"]): rule["id"]
            for rule in self.cloud.neutron("security-group-rules", security_group_id=group["id"])
            if rule["direction"] == "ingress"
        }
        for protocol, port, cidr in sorted(wanted - rules.keys()):
            self.cloud.create(
                "security_group_rule",
                security_group_id=group["id"],
                direction="ingress",
                ethertype=f"IPv{service.version}",
                protocol=protocol,
                port_range_min=port,
                port_range_max=port,
                remote_ip_prefix=cidr,
            )
        for key in rules.keys() - wanted:
            self.cloud.delete("network", f"/v2.0/security-group-rules/{rules[key]}")
        for node in nodes:
            port = self.cloud.get("network", f"/v2.0/ports/{node.port_id}")["port"]
            if group["id"] not in port["security_groups"]:
                self.cloud.put("network", f"/v2.0/ports/{node.port_id}/tags/{group['id']}", {})
                self._set_groups(port, [*port["security_groups"], group["id"]])

    def _create_group(self, service: Service) -> Json:
        return self.cloud.create("security_group", name=service.security_group)

    def _delete_security_group(self, service: Service) -> None:
        for group in self.cloud.neutron("security-groups", name=service.security_group):
            for port in self.cloud.neutron("ports", **{"tags-any": group["id"]}):
                rest = [one for one in port["security_groups"] if one != group["id"]]
                self._set_groups(port, rest)
                self.cloud.delete("network", f"/v2.0/ports/{port['id']}/tags/{group['id']}")
            self.cloud.delete("network", f"/v2.0/security-groups/{group['id']}")

    def _set_groups(self, port: Json, groups: list[str]) -> None:
        body = {"port": {"security_groups": groups}}
        self.cloud.put("network", f"/v2.0/ports/{port['id']}", body)

    # --- requests and waiting ------------------------------------------------------------

    def _octavia(self, method: str, path: str, body: Json | None = None) -> Json:
        return self.cloud.request("load-balancer", method, f"/v2.0/lbaas{path}", body)

    def _wait(self, lb: Json) -> Json:
        """WaitActiveAndGetLoadBalancer."""
        for pause in _pauses():
            found = self._get(lb["id"])
            if found["provisioning_status"] == "ACTIVE":
                self._check_tree(found)
                return found
            assert found["provisioning_status"] != "ERROR"
            time.sleep(pause)
        raise AssertionError(f"{lb['id']} has not become ACTIVE")

    def _wait_until_gone(self, lb: Json) -> None:
        for pause in _pauses():
            if self.cloud.load_balancer(lb["id"]) is None:
                return
            time.sleep(pause)
        raise AssertionError(f"{lb['id']} has not gone")

    def _check_tree(self, lb: Json) -> None:
        tree = self._octavia("GET", f"/loadbalancers/{lb['id']}/status")["statuses"]
        pending = [one for one in _nodes_of(tree) if one["provisioning_status"] != "ACTIVE"]
        assert pending == []


def _pauses() -> Iterator[float]:
    return (_FIRST_WAIT * _FACTOR**step for step in range(_STEPS))


def _identities(members: list[Json]) -> set[tuple[str, str, int, int | None]]:
    return {
        (one["name"], one["address"], one["protocol_port"], one["monitor_port"]) for one in members
    }


def _nodes_of(tree: object) -> Iterator[Json]:
    """Go through all objects of a tree of statuses."""
    if isinstance(tree, list):
        for one in tree:
            yield from _nodes_of(one)
    elif isinstance(tree, dict):
        if "provisioning_status" in tree:
            yield tree
        for value in tree.values():
            yield from _nodes_of(value)
