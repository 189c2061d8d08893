# SPDX-License-Identifier: Apache-2.0
"""What the agent does by itself: routers, floating IPs, health."""

from __future__ import annotations

import time
from typing import Any

from bench.measures.base import (
    LONG_PATIENCE,
    MONITOR,
    PATIENCE,
    SETTLED,
    Figure,
    Measures,
    milliseconds,
    read_commits,
)
from tests.lab import ovsdb
from tests.lab.env import wait_until
from tests.lab.harness import Lab
from tests.lab.ovn_mirror import ovn_name
from tests.lab.tenant import Tenant


class Events(Measures):
    """Change the cloud, and wait for the rows and for Octavia."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self._lbs: list[str] = []

    def router_interface(self, lbs: int) -> list[Figure]:
        """Connect a network with load balancers to a router that has another network already."""
        lab = self._lab
        tenant = Tenant(lab, "events", connected=False)
        neighbour = lab.neutron.add_network("neighbour")
        subnet = lab.neutron.add_subnet(neighbour["id"], "10.250.0.0/24")
        lab.neutron.router_add_interface(tenant.router["id"], subnet["id"])
        self._lbs = tenant.create_lbs(lbs, listeners=1, pools=1, members=2)
        self._tenant = tenant
        self._quiesce(SETTLED)
        self._wait_for_agent()
        lab.nb_log.skip()
        wanted = {row["_uuid"] for row in lab.nb.select("Load_Balancer", columns=["_uuid"])}
        parents = (
            ("Logical_Router", ovn_name(tenant.router["id"])),
            ("Logical_Switch", ovn_name(tenant.network["id"])),
            ("Logical_Switch", ovn_name(neighbour["id"])),
        )
        start = time.monotonic()
        tenant.connect()
        seconds = wait_until(
            lambda: all(wanted <= self._attached(*parent) for parent in parents), 120, 0.02
        )
        self._add(
            f"router interface, {lbs} LBs: done", milliseconds(seconds and time.monotonic() - start)
        )
        self._quiesce()
        commits = read_commits(lab)
        self._add(f"router interface, {lbs} LBs: NB transactions until done", len(commits), "n")
        self._add(f"router interface, {lbs} LBs: NB bytes", sum(each.size for each in commits), "B")
        return self._taken()

    def wide_router(self, networks: int) -> list[Figure]:
        """Make a load balancer on a router with many networks: it hangs on all their switches."""
        neutron, tenant = self._lab.neutron, Tenant(self._lab, "wide")
        for number in range(1, networks):
            network = neutron.add_network(f"wide-{number}")
            subnet = neutron.add_subnet(network["id"], f"10.251.{number}.0/24")
            neutron.router_add_interface(tenant.router["id"], subnet["id"])
        tenant.vm(2)
        self._quiesce()
        for _ in range(2):  # the first one meets a router that the driver does not know yet
            name = f"populated create on a router with {networks} networks"
            self._run(name, tenant.create_lb, 1, 1, 2, patience=LONG_PATIENCE)
        return self._taken()

    def _attached(self, table: str, name: str) -> set[str]:
        row = self._lab.nb.select(table, [["name", "==", name]], ["load_balancer"])[0]
        return set(ovsdb.as_list(row["load_balancer"]))

    def floating_ip(self) -> list[Figure]:
        """Give a VIP a floating IP and take it away; until the rows have it."""
        lab, tenant = self._lab, self._tenant
        lb = lab.octavia.row("loadbalancers", self._lbs[0])

        def holds(address: str) -> bool:
            rows = lab.nb.select("Load_Balancer", [["name", "==", lb["id"]]], ["vips"])
            return any(vip.startswith(f"{address}:") for row in rows for vip in row["vips"])

        self._quiesce()
        start = time.monotonic()
        fip = lab.neutron.associate_fip(lb["vip_port_id"], tenant.external["id"])
        address = fip["floating_ip_address"]
        seconds = wait_until(lambda: holds(address), 30)
        self._add("floating IP to VIP in NB", milliseconds(seconds and time.monotonic() - start))
        self._quiesce()
        start = time.monotonic()
        lab.neutron.disassociate_fip(fip["id"])
        seconds = wait_until(lambda: not holds(address), 30)
        self._add(
            "floating IP gone to VIP gone", milliseconds(seconds and time.monotonic() - start)
        )
        return self._taken()

    def health(self) -> list[Figure]:
        """Have OVN's check of a member fail and succeed; until Octavia has been told."""
        lab, tenant = self._lab, self._warm_tenant("health")
        lb = tenant.create_lb(listeners=1, pools=1, members=2)
        lab.octavia.finish(lb, LONG_PATIENCE)
        pool = lab.octavia.store.find("pools", load_balancer_id=lb.id)[0]
        operation = lab.octavia.create_health_monitor(pool["id"], **MONITOR)
        lab.octavia.finish(operation, PATIENCE)
        self._quiesce()
        member = lab.octavia.store.find("members", pool_id=pool["id"])[0]
        where = self._insert_check(lb.id, member)
        self._quiesce(SETTLED)
        for _ in range(5):
            for status, wanted in (("offline", "ERROR"), ("online", "ONLINE")):
                self._verdict(where, member, status, wanted)
        return self._taken()

    def _insert_check(self, lb_id: str, member: dict[str, Any]) -> list[Any]:
        """Write the row of OVN's check as ovn-northd would; return how to find it."""
        lab, address = self._lab, member["ip_address"]
        rows = lab.nb.select("Load_Balancer", [["name", "==", lb_id]], ["ip_port_mappings"])
        logical_port, source = next(
            row["ip_port_mappings"][address] for row in rows if address in row["ip_port_mappings"]
        ).split(":", 1)
        check = {
            "ip": address,
            "port": member["protocol_port"],
            "protocol": "tcp",
            "logical_port": logical_port,
            "src_ip": source,
            "src_mac": "0a:00:00:00:00:01",
            "status": "online",
        }
        lab.sb.transact(ovsdb.insert("Service_Monitor", check))
        return [["logical_port", "==", logical_port]]

    def _verdict(self, where: list[Any], member: dict[str, Any], status: str, wanted: str) -> None:
        lab = self._lab
        lab.sb.transact(ovsdb.update("Service_Monitor", where, {"status": status}))
        seconds = wait_until(
            lambda: lab.octavia.row("members", member["id"])["operating_status"] == wanted,
            30,
            0.001,
        )
        self._add(f"check {status} to {wanted} in Octavia", milliseconds(seconds))
        self._quiesce()
