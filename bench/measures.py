"""What is measured, inside the process of one driver. A method of `Bench` is one measure.

Times are "done", from the API call until Octavia shows nothing of the load balancer as PENDING and
what was to be deleted is gone, and "in driver", loading the driver and calling it, which is how
long Octavia's API holds its database locks.
"""

from __future__ import annotations

import concurrent.futures
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import clones, floor
from tests.lab import ovsdb
from tests.lab.env import open_files, process_memory, wait_until
from tests.lab.errors import ApiError
from tests.lab.harness import Lab
from tests.lab.octavia import Operation
from tests.lab.ovn_mirror import ovn_name
from tests.lab.store import TABLES
from tests.lab.tenant import Tenant

QUIET = 0.15  # nothing happened for so long: the driver has finished
# Ours tells Octavia some statuses once more, a second later, while nobody waits.
SETTLED = 1.3
IDLE = 2.0
PATIENCE = 20
LONG_PATIENCE = 900
PATIENCE_AT_START = 600
CLONED_LBS = 10
OCTAVIA = ".octavia.json"  # behind the name of a template: what Octavia has of it
ALGORITHM = "SOURCE_IP_PORT"

Figure = tuple[str, "float | None", str]


class Bench:
    """Measures one driver in its laboratory. Each method returns its figures.

    :param lab: with the driver's processes running
    """

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._figures: list[Figure] = []
        self._tenant: Tenant | None = None
        self._floor: floor.Floor | None = None
        self._floor_memory = 0.0
        self._lbs: list[str] = []

    def close(self) -> None:
        """Stop an agent that was started here."""
        if self._lab.agent is not None:
            self._lab.stop_agent()

    def _add(self, metric: str, value: float | None, unit: str = "ms") -> None:
        self._figures.append((metric, value, unit))

    def _taken(self) -> list[Figure]:
        figures, self._figures = self._figures, []
        return figures

    # --- clouds

    def fill(self, lbs: int, template: str) -> list[Figure]:
        """Have the driver make load balancers, multiply them, and keep the database."""
        tenant = Tenant(self._lab, "existing")
        tenant.create_lbs(CLONED_LBS, listeners=1, pools=1, members=2)
        time.sleep(SETTLED)
        self._quiesce()
        self._lab.stop_workers()
        self._lab.stop_agent()
        octet = int(tenant.subnet["cidr"].split(".")[1])
        switch, router = ovn_name(tenant.network["id"]), ovn_name(tenant.router["id"])
        store = self._lab.octavia.store
        tables = {table: store.find(table) for table in TABLES}
        project = clones.Project(self._lab.nb, switch, router, octet, tables)
        for clone in project.multiply(lbs // CLONED_LBS - 1):
            for table, rows in clone.items():
                tables[table] += rows
        Path(f"{template}{OCTAVIA}").write_text(json.dumps(tables), encoding="utf-8")
        self._lab.env.nb.stop()
        self._lab.env.nb.path.replace(Path(template))
        self._lab.env.nb.path.touch()
        return []

    def know(self, template: str) -> list[Figure]:
        """Have Octavia know the load balancers of a template."""
        text = Path(f"{template}{OCTAVIA}").read_text(encoding="utf-8")
        self._lab.octavia.store.load(json.loads(text))
        return []

    # --- start and memory

    def start(self) -> list[Figure]:
        """From the start of the agent, and of a worker, to the first work done; memory.

        The laboratory must have been started without agent.
        """
        lab = self._lab
        worker = lab.octavia.workers.workers[0]
        worker.request("close")  # it answers when it has loaded all but the driver
        self._add("worker: RSS without driver", process_memory(worker.pid), "MiB")
        self._tenant = tenant = Tenant(lab, "measured")
        tenant.vm(20)
        self._start_agent(tenant)
        lab.stop_workers()
        start = time.monotonic()
        lab.start_workers()
        operation = tenant.create_lb()
        seconds = lab.octavia.finish(operation, PATIENCE_AT_START)
        self._add("worker: start to first ACTIVE", _ms(seconds, operation.started - start))
        self._add("worker: CPU to first ACTIVE", lab.octavia.workers.cpu_seconds(), "s")
        self._memory("at start")
        return self._taken()

    def _start_agent(self, tenant: Tenant) -> None:
        """Start the agent and time it, by a request that waits for it if requests do."""
        lab = self._lab
        waiting = tenant.create_lb()
        waits = lab.octavia.finish(waiting, 1) is None
        start = time.monotonic()
        lab.start_agent()
        seconds = lab.octavia.finish(waiting, PATIENCE_AT_START)
        if waits:
            delay = waiting.started - start
            self._add("agent: start to a waiting request ACTIVE", _ms(seconds, delay))
        self._wait_for_agent()
        self._add("agent: start until idle", (self._idle_since - start) * 1000)
        self._add("agent: CPU until idle", lab.agent.cpu_seconds(), "s")

    def memory(self) -> list[Figure]:
        """Memory and files of the processes, at the end."""
        self._memory("at the end")
        worker = self._lab.octavia.workers.workers[0]
        self._add("worker: open files", open_files(worker.pid), "n")
        self._add("stuck", len(self._lab.octavia.stuck()), "n")
        self._add("left behind by deleted LBs", len(self._lab.octavia.orphans()), "n")
        self._add("LB got a status after DELETED", len(self._lab.octavia.revived), "n")
        return self._taken()

    def _memory(self, when: str) -> None:
        self._add(f"worker: RSS {when}", self._lab.octavia.workers.memory(), "MiB")
        self._add(f"agent: RSS {when}", self._lab.agent.memory(), "MiB")

    def _wait_for_agent(self) -> None:
        """Wait until the agent has been idle for two seconds."""
        used, self._idle_since = 0.0, time.monotonic()
        while self._lab.agent.pid is None or time.monotonic() - self._idle_since < IDLE:
            now = self._lab.agent.cpu_seconds()
            if now > used + 0.02:
                used, self._idle_since = now, time.monotonic()
            time.sleep(0.2)

    # --- operations

    def operations(self) -> list[Figure]:
        """Every operation by itself, once; before them what a bare transaction costs."""
        lab, octavia, tenant = self._lab, self._lab.octavia, self._tenant
        self._bare_transactions()
        before = lab.octavia.workers.cpu_seconds(), lab.agent.cpu_seconds()
        lb = self._run("LB create", octavia.create_load_balancer, tenant.subnet["id"])
        self._children(lb, tenant)
        lb = self._complete_lb(tenant)
        self._run("cascade delete, small", octavia.delete_load_balancer, lb.id, cascade=True)
        lb = self._run("populated create, 2x2x10", tenant.create_lb, 2, 2, 10)
        self._run("cascade delete, 2x2x10", octavia.delete_load_balancer, lb.id, cascade=True)
        self._quiesce(SETTLED)
        self._add("all of these: CPU, worker", (octavia.workers.cpu_seconds() - before[0]) * 1000)
        self._add("all of these: CPU, agent", (lab.agent.cpu_seconds() - before[1]) * 1000)
        return self._taken()

    def _children(self, lb: Operation, tenant: Tenant) -> None:
        octavia, run = self._lab.octavia, self._run
        tcp = {"protocol": "TCP"}
        listener = run("listener create", octavia.create_listener, lb.id, protocol_port=80, **tcp)
        pool = run(
            "pool create",
            octavia.create_pool,
            listener_id=listener.id,
            lb_algorithm=ALGORITHM,
            **tcp,
        )
        for number in range(2):
            member = run("member create", octavia.create_member, pool.id, **tenant.member(number))
        monitor = run("HM create", octavia.create_health_monitor, pool.id, **_MONITOR)
        # Updating one is left out: the other driver leaves the listener in PENDING_UPDATE.
        run("HM delete", octavia.delete_health_monitor, monitor.id)
        run("member update", octavia.update_member, member.id, admin_state_up=False)
        run("listener update", octavia.update_listener, listener.id, admin_state_up=False)
        run("member delete", octavia.delete_member, member.id)
        run("pool update", octavia.update_pool, pool.id, admin_state_up=False)
        run("pool delete", octavia.delete_pool, pool.id)
        run("listener delete", octavia.delete_listener, listener.id)
        run("LB update", octavia.update_load_balancer, lb.id, admin_state_up=False)
        octavia.finish(octavia.delete_load_balancer(lb.id, cascade=True), PATIENCE)

    def _complete_lb(self, tenant: Tenant) -> Operation:
        """Make a load balancer with one of each."""
        octavia = self._lab.octavia
        lb = tenant.create_lb(listeners=1, pools=1, members=2)
        octavia.finish(lb, PATIENCE)
        pool = octavia.store.find("pools", load_balancer_id=lb.id)[0]
        octavia.finish(octavia.create_health_monitor(pool["id"], **_MONITOR), PATIENCE)
        return lb

    def _bare_transactions(self) -> None:
        if self._floor is None:
            self._floor = floor.Floor(self._lab.env.nb, self._lab.run_dir)
        for metric, milliseconds in self._floor.measure(10):
            self._add(f"bare: {metric}", milliseconds)

    def _run(
        self,
        name: str,
        call: Callable[..., Operation],
        *args: Any,
        patience: float = PATIENCE,
        **kwargs: Any,
    ) -> Operation:
        """Call the API and add what it cost under a name."""
        lab = self._lab
        self._quiesce()
        lab.nb_log.skip()
        requests, statuses = lab.neutron.http.request_count(), len(lab.octavia.statuses)
        operation = call(*args, **kwargs)
        seconds = lab.octavia.finish(operation, patience)
        until_done = _commits(lab)
        self._timeline(name, operation, until_done, statuses)
        self._quiesce()
        if seconds is None:
            print(f"{name} is stuck: {lab.octavia.stuck()}", file=sys.stderr)
        self._add(f"{name}: done", _ms(seconds))
        self._add(f"{name}: in driver", operation.driver_seconds * 1000)
        commits = until_done + _commits(lab)
        self._add(f"{name}: NB transactions until done", len(until_done), "n")
        self._add(f"{name}: NB transactions", len(commits), "n")
        self._add(f"{name}: NB bytes", sum(each.size for each in commits), "B")
        self._add(f"{name}: Neutron requests", lab.neutron.http.request_count() - requests, "n")
        self._add(f"{name}: status messages", len(lab.octavia.statuses) - statuses, "n")
        return operation

    def _timeline(
        self, name: str, operation: Operation, commits: list[Commit], statuses: int
    ) -> None:
        """Add when the database was written, and when the first status came, since the call."""
        wall_clock = time.time() - time.monotonic() + operation.started
        told = [each.received for each in self._lab.octavia.statuses[statuses:]]
        if commits:
            self._add(f"{name}: first commit", (commits[0].time - wall_clock) * 1000)
            self._add(f"{name}: last commit", (commits[-1].time - wall_clock) * 1000)
        if told:
            self._add(f"{name}: told", (told[0] - operation.started) * 1000)

    def _quiesce(self, quiet: float = QUIET) -> None:
        """Wait until commits, Neutron requests and statuses have stopped."""
        lab, seen, since = self._lab, None, time.monotonic()
        while time.monotonic() - since < quiet:
            now = (
                lab.env.nb.path.stat().st_size,
                lab.neutron.http.request_count(),
                len(lab.octavia.statuses),
            )
            if now != seen:
                seen, since = now, time.monotonic()
            time.sleep(0.01)

    # --- many at once

    def batch(self, count: int) -> list[Figure]:
        """Set all members of a pool in one request."""
        lab, tenant = self._lab, self._warm_tenant("batch")
        tenant.vm(count)
        lb = tenant.create_lb(listeners=1, pools=1)
        lab.octavia.wait_active(lb.id, LONG_PATIENCE)
        pool = lab.octavia.store.find("pools", load_balancer_id=lb.id)[0]
        members = [tenant.member(number) for number in range(count)]
        self._run(
            f"batch of {count} members",
            lab.octavia.batch_update_members,
            pool["id"],
            members,
            patience=LONG_PATIENCE,
        )
        return self._taken()

    def populated(self, listeners: int, members: int) -> list[Figure]:
        """Create a load balancer with all that belongs to it in one request."""
        tenant = self._warm_tenant("populated")
        name = f"populated create, {listeners}x{listeners}x{members}"
        self._run(name, tenant.create_lb, listeners, listeners, members, patience=LONG_PATIENCE)
        return self._taken()

    def _warm_tenant(self, name: str) -> Tenant:
        if self._tenant is None:
            self._tenant = Tenant(self._lab, name)
            warm_up = self._tenant.create_lb(listeners=1, pools=1, members=1)
            self._lab.octavia.finish(warm_up, 300)
        return self._tenant

    def throughput(self, lbs: int) -> list[Figure]:
        """Have 4 clients build load balancers step by step."""
        tenant = self._warm_tenant("throughput")
        tenant.vm(2)
        start = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(4) as clients:
            builds = clients.map(lambda _: list(self._build(tenant)), range(lbs))
            outcomes = [outcome for build in builds for outcome in build]
        seconds = time.monotonic() - start
        self._add("operations of 4 clients, 2 workers", outcomes.count("done") / seconds, "1/s")
        for failure in ("timed out", "refused"):
            self._add(f"operations of 4 clients, {failure}", outcomes.count(failure), "n")
        return self._taken()

    def _build(self, tenant: Tenant) -> Iterator[str]:
        """Build one load balancer; yield the outcome of each operation."""
        octavia, ids = self._lab.octavia, {}
        tcp = {"protocol": "TCP"}
        for name, call in (
            ("lb", lambda: octavia.create_load_balancer(tenant.subnet["id"])),
            ("listener", lambda: octavia.create_listener(ids["lb"], protocol_port=80, **tcp)),
            (
                "pool",
                lambda: octavia.create_pool(
                    listener_id=ids["listener"], lb_algorithm=ALGORITHM, **tcp
                ),
            ),
            ("member", lambda: octavia.create_member(ids["pool"], **tenant.member(0))),
            ("member", lambda: octavia.create_member(ids["pool"], **tenant.member(1))),
            ("monitor", lambda: octavia.create_health_monitor(ids["pool"], **_MONITOR)),
        ):
            try:
                operation = call()
            except ApiError:
                yield "refused"
                return
            ids[name] = operation.id
            if octavia.finish(operation, PATIENCE) is None:
                yield "timed out"
                return
            yield "done"

    # --- the agent by itself

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
        self._add(f"router interface, {lbs} LBs: done", _ms(seconds and time.monotonic() - start))
        self._quiesce()
        commits = _commits(lab)
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
        self._add("floating IP to VIP in NB", _ms(seconds and time.monotonic() - start))
        self._quiesce()
        start = time.monotonic()
        lab.neutron.disassociate_fip(fip["id"])
        seconds = wait_until(lambda: not holds(address), 30)
        self._add("floating IP gone to VIP gone", _ms(seconds and time.monotonic() - start))
        return self._taken()

    def health(self) -> list[Figure]:
        """Have OVN's check of a member fail and succeed; until Octavia has been told."""
        lab, tenant = self._lab, self._warm_tenant("health")
        lb = tenant.create_lb(listeners=1, pools=1, members=2)
        lab.octavia.finish(lb, LONG_PATIENCE)
        pool = lab.octavia.store.find("pools", load_balancer_id=lb.id)[0]
        operation = lab.octavia.create_health_monitor(pool["id"], **_MONITOR)
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
        self._add(f"check {status} to {wanted} in Octavia", _ms(seconds))
        self._quiesce()

    # --- comparing with Octavia

    def sync(self, lbs: int) -> list[Figure]:
        """Have the driver compare load balancers that are right with Octavia."""
        lab, tenant = self._lab, self._warm_tenant("sync")
        existing = len(lab.octavia.store.find("loadbalancers"))
        tenant.create_lbs(lbs - existing, listeners=1, pools=1, members=2)
        self._quiesce(SETTLED)
        lab.nb_log.skip()
        requests = lab.neutron.http.request_count()
        with lab.octavia.workers.session() as session:
            start = time.monotonic()
            session.call("do_sync", provider="ovn")
            seconds = time.monotonic() - start
        self._quiesce()
        self._add("sync of LBs that are right: each", seconds * 1000 / lbs)
        self._add("sync of LBs that are right: all", seconds, "s")
        self._add("sync of LBs that are right: LBs", lbs, "n")
        self._add("sync of LBs that are right: NB transactions", len(_commits(lab)), "n")
        self._add(
            "sync of LBs that are right: Neutron requests",
            lab.neutron.http.request_count() - requests,
            "n",
        )
        return self._taken()


_MONITOR = {"type": "TCP", "delay": 5, "timeout": 3, "max_retries": 3}


def _ms(seconds: float | None, more: float = 0.0) -> float | None:
    return None if seconds is None else (seconds + more) * 1000


@dataclass(frozen=True)
class Commit:
    """One transaction as the database's file has it: bytes, and seconds since 1970."""

    size: int
    time: float


def _commits(lab: Lab) -> list[Commit]:
    """Return what was committed since last asked, without what the lab wrote."""
    return [
        Commit(len(json.dumps(record, separators=(",", ":"))), record["_date"] / 1000)
        for record in lab.nb_log.read()
        if ovsdb.LAB_COMMENT not in record.get("_comment", "").split()
    ]
