# SPDX-License-Identifier: Apache-2.0
"""What load balancers cost OVN: `python -m bench.data_plane`.

The driver itself writes some load balancers; their rows are multiplied. Then a real northd and one
hypervisor with a real ovn-controller (userspace datapath) work on them, for each version of OVN:
with pools that OVN checks, and with others: without a monitor, or checked by chassis.

Each project has ten load balancers, one network and one router. The hypervisor has machines of some
projects, and so the flows of those only.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench import processes
from bench.clones import Project
from sandbox import namespaces, ovn, settings, shell
from sandbox.process import Service, Supervisor
from tests.lab import ovsdb
from tests.lab.env import process_memory
from tests.lab.harness import Lab
from tests.lab.ovn_mirror import ovn_name
from tests.lab.tenant import Tenant

_SYSTEM = Path("/usr")
_MIB = 1 << 20
_BY_PROJECT = 10  # load balancers
_CHANGES = 7
_QUIET, _PATIENCE = 5.0, 600.0  # seconds
_NORTHD, _CONTROLLER = "ovn-northd", "ovn-controller"
_MONITOR = {"type": "TCP", "delay": 5, "timeout": 3, "max_retries": 3}
_RECOMPUTES = re.compile(r"Node: (\w+)\n- recompute: +(\d+)")


@dataclass(frozen=True)
class Shape:
    """What there is.

    :param local: projects with machines on the hypervisor
    :param monitored: whether OVN checks the members
    """

    lbs: int
    members: int
    local: int
    monitored: bool = False

    @property
    def projects(self) -> int:
        """How many projects share the load balancers."""
        return self.lbs // _BY_PROJECT


def fill(shape: Shape, path: Path) -> None:
    """Have the driver make a project's load balancers, and write a database of many projects."""
    with Lab() as lab:
        tenant = Tenant(lab, "data-plane")
        for number in range(_BY_PROJECT):
            # Ports of their own: load balancers that share a member share its check.
            made = tenant.create_lb(1, 1, shape.members, f"lb-{number}", 8000 + number)
            lab.octavia.wait_active(made.id, 60)
        if shape.monitored:
            for pool in lab.octavia.store.find("pools"):
                operation = lab.octavia.create_health_monitor(pool["id"], **_MONITOR)
                lab.octavia.finish(operation, 60)
        lab.stop_agent()
        octet = int(tenant.subnet["cidr"].split(".")[1])
        switch, router = ovn_name(tenant.network["id"]), ovn_name(tenant.router["id"])
        project = Project(lab.nb, switch, router, octet, {})
        for _ in project.multiply(shape.projects - 1):
            pass
        lab.env.nb.stop()
        shutil.copy(lab.env.nb.path, path)


@dataclass
class Hypervisor:
    """Databases, northd and one hypervisor of one version of OVN.

    :param figures: name → what was measured, with its unit
    """

    sandbox: settings.Settings
    figures: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._services = {
            each.name: each for each in [*ovn.databases(self.sandbox), *ovn.daemons(self.sandbox)]
        }
        self._supervisor = Supervisor(self.sandbox.run, self.sandbox.log)

    def run(self, template: Path, shape: Shape) -> None:
        """Take all measures."""
        self.sandbox.run.mkdir(parents=True)
        ovn.create(self.sandbox)
        self._load(template)
        with contextlib.ExitStack() as cleanup:
            cleanup.callback(namespaces.remove, ovn.hypervisor(self.sandbox))
            for name in self._services:
                cleanup.callback(self._supervisor.stop, name)
            self._start("nb", "sb", "ovs-db", "ovs-vswitchd")
            ovn.configure(self.sandbox)
            self._measure_northd()
            self._measure_controller(shape)
            self._measure_changes(shape)

    def _load(self, template: Path) -> None:
        """Put a database in place, in this version's format."""
        stem, schema = ovn.SCHEMAS["nb"]
        target = self.sandbox.run / f"{stem}.db"
        shutil.copy(template, target)
        self._do("ovsdb-tool", "convert", target, self.sandbox.ovn_prefix / schema)
        self._do("ovsdb-tool", "compact", target)
        self.figures["Northbound database"] = f"{target.stat().st_size / _MIB:.1f} MiB"

    def _measure_northd(self) -> None:
        start = time.monotonic()
        self._start(_NORTHD)
        self._sync("sb")
        seconds = time.monotonic() - start
        self._do("ovs-appctl", "-t", self.sandbox.run / "ovnsb_db.ctl", "ovsdb-server/compact")
        size = (self.sandbox.run / "ovnsb_db.db").stat().st_size / _MIB
        with self._database("ovnsb_db.sock", "OVN_Southbound") as southbound:
            flows = len(southbound.select("Logical_Flow", columns=["_uuid"]))
            monitors = len(southbound.select("Service_Monitor", columns=["_uuid"]))
        self.figures |= {
            "Southbound database": f"{size:.1f} MiB",
            "logical flows": f"{flows}",
            "service monitors": f"{monitors}",
            "northd: from nothing to the Southbound database": f"{seconds:.1f} s",
            "northd: memory": f"{process_memory(self._pid(_NORTHD)):.0f} MiB",
            "Southbound server: memory": f"{process_memory(self._pid('sb')):.0f} MiB",
        }

    def _measure_controller(self, shape: Shape) -> None:
        self._plug(shape.local)
        start = time.monotonic()
        self._start(_CONTROLLER)
        flows, seconds = self._wait_for_flows(start)
        self.figures |= {
            "hypervisor: from nothing to flows": f"{seconds:.1f} s",
            "hypervisor: OpenFlow flows": f"{flows}",
            "ovn-controller: memory": f"{process_memory(self._pid(_CONTROLLER)):.0f} MiB",
            "ovs-vswitchd: memory": f"{process_memory(self._pid('ovs-vswitchd')):.0f} MiB",
        }

    def _wait_for_flows(self, start: float) -> tuple[int, float]:
        """Wait until there are flows and no more come; return how many, and the last one's time."""
        flows, last = 0, start
        while not flows or time.monotonic() - last < _QUIET:
            found = re.search(
                r"flow_count=(\d+)", self._do("ovs-ofctl", "dump-aggregate", "br-int")
            )
            now = int(found[1]) if found else 0
            if now != flows:
                flows, last = now, time.monotonic()
            if last - start > _PATIENCE:
                raise RuntimeError(f"there are still more flows after {_PATIENCE:.0f} s")
            time.sleep(0.1)
        self._sync("hv")
        return flows, last - start

    def _plug(self, projects: int) -> None:
        """Give the hypervisor a machine of each of some projects."""
        with self._database("ovnnb_db.sock", "OVN_Northbound") as northbound:
            ports = {row["_uuid"]: row for row in northbound.select("Logical_Switch_Port")}
            switches = northbound.select("Logical_Switch")
        command = ["ovs-vsctl", "--no-wait"]
        local = 0
        for switch in switches:
            machines = [
                ports[each]["name"]
                for each in ovsdb.as_list(switch["ports"])
                if not ports[each]["type"] and _is_machine(ports[each])
            ]
            if machines and local < projects:
                device = f"vm{local}"
                command += ["--", "add-port", "br-int", device, "--", "set", "interface", device]
                command += ["type=internal", f"external_ids:iface-id={machines[0]}"]
                local += 1
        self._do(*command)

    def _measure_changes(self, shape: Shape) -> None:
        """Change the members of load balancers, and have checks fail, one after the other."""
        with self._database("ovnnb_db.sock", "OVN_Northbound") as northbound:
            rows = [each for each in northbound.select("Load_Balancer") if each["vips"]]
            changes = [_without_last(northbound, row) for row in rows[:_CHANGES]]
            self._take("a member less", changes)
        if shape.monitored:
            with self._database("ovnsb_db.sock", "OVN_Southbound") as southbound:
                monitors = southbound.select("Service_Monitor")[:_CHANGES]
                self._take("a check fails", [_fail(southbound, row) for row in monitors])

    def _take(self, name: str, changes: list[Callable[[], None]]) -> None:
        """Measure changes, each with all that it leads to, until the flows are there."""
        self._sync("hv")
        seconds = []
        recomputed, used = self._recomputes(), self._cpu()
        for change in changes:
            start = time.monotonic()
            change()
            self._sync("hv")
            seconds.append(time.monotonic() - start)
        cpu = (now - then for now, then in zip(self._cpu(), used, strict=True))
        northd, controller = (each * 1000 / len(changes) for each in cpu)
        again = self._recomputes()
        recomputes = sum(again[node] - recomputed[node] for node in ("northd", "lflow"))
        self.figures |= {
            f"{name}: to flows": f"{statistics.median(seconds) * 1000:.0f} ms",
            f"{name}: CPU of northd": f"{northd:.0f} ms",
            f"{name}: CPU of ovn-controller": f"{controller:.0f} ms",
            f"{name}: recomputations of northd for {len(changes)}": f"{recomputes}",
        }

    def _recomputes(self) -> dict[str, int]:
        """Return how often northd has computed parts of its work anew, by name."""
        control = self.sandbox.run / f"{_NORTHD}.ctl"
        text = self._do("ovn-appctl", "-t", control, "inc-engine/show-stats")
        return {node: int(count) for node, count in _RECOMPUTES.findall(text)}

    def _cpu(self) -> list[float]:
        return [processes.cpu_seconds([self._pid(each)]) for each in (_NORTHD, _CONTROLLER)]

    def version(self) -> str:
        """Return the version of OVN."""
        return self._do("ovn-nbctl", "--version").split()[1]

    # --- helpers

    def _start(self, *names: str) -> None:
        for name in names:
            service: Service = self._services[name]
            self._supervisor.start(service)
            self._supervisor.wait(service)

    def _pid(self, name: str) -> int:
        """Return the process of a service, which others may have started for it."""
        return int((self.sandbox.run / f"{_pid_file(name)}.pid").read_text())

    def _sync(self, level: str) -> None:
        self._do("ovn-nbctl", f"--wait={level}", "--timeout=600", "sync", timeout=620)

    def _do(self, *command: object, timeout: float = 120) -> str:
        words = [str(each) for each in command]
        return shell.run(words, env=self.sandbox.base_environment, timeout=timeout)

    @contextlib.contextmanager
    def _database(self, socket: str, name: str) -> Iterator[ovsdb.OvsdbClient]:
        with contextlib.closing(ovsdb.OvsdbClient(self.sandbox.run / socket, name)) as client:
            yield client


def _pid_file(name: str) -> str:
    return ovn.SCHEMAS[name][0] if name in ovn.SCHEMAS else name


def _is_machine(port: ovsdb.Row) -> bool:
    return str(port["external_ids"].get("neutron:device_owner", "")).startswith("compute:")


def _without_last(client: ovsdb.OvsdbClient, row: ovsdb.Row) -> Callable[[], None]:
    """Return a change that takes the last member out of a load balancer."""
    vips = {vip: members.rpartition(",")[0] for vip, members in row["vips"].items()}
    condition = [["_uuid", "==", ovsdb.ref(row["_uuid"])]]
    change = ovsdb.update("Load_Balancer", condition, {"vips": ovsdb.omap(vips)})
    return lambda: client.transact(change)


def _fail(client: ovsdb.OvsdbClient, row: ovsdb.Row) -> Callable[[], None]:
    """Return a change that has a check fail, as the chassis of the member would write it."""
    condition = [["_uuid", "==", ovsdb.ref(row["_uuid"])]]
    change = ovsdb.update("Service_Monitor", condition, {"status": "offline"})
    return lambda: client.transact(change)


def table(columns: dict[str, dict[str, str]]) -> str:
    """Return figures in Markdown, a column for each run."""
    names = dict.fromkeys(name for figures in columns.values() for name in figures)
    rows = [["", *columns]]
    rows += [[name, *(each.get(name, "") for each in columns.values())] for name in names]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    lines.insert(1, f"| --- {'| --: ' * len(columns)}|")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.data_plane", description=__doc__)
    parser.add_argument("--ovn", type=Path, nargs="*", default=[_SYSTEM], metavar="PREFIX")
    parser.add_argument("--lbs", type=int, default=1000)
    parser.add_argument("--members", type=int, default=10, help="of each load balancer")
    parser.add_argument("--local", type=int, default=20, help="projects on the hypervisor")
    parser.add_argument("--text", type=Path, help="file for the table")
    options = parser.parse_args()
    columns = {}
    with tempfile.TemporaryDirectory(prefix="ovn-") as folder:
        for monitored in (False, True):
            shape = Shape(options.lbs, options.members, options.local, monitored)
            template = Path(folder, f"{monitored}.db")
            fill(shape, template)
            for number, prefix in enumerate(options.ovn):
                sandbox = settings.Settings(
                    state=Path(folder, f"{number}-{monitored:d}"),
                    venv=settings.default_venv(settings.PROJECT / ".sandbox"),
                    ports={},
                    ovn_prefix=prefix,
                )
                run = Hypervisor(sandbox)
                run.run(template, shape)
                checks = "checked by OVN" if monitored else "not checked by OVN"
                columns[f"{run.version()}, {checks}"] = run.figures
                print(table(columns), flush=True)
    if options.text:
        options.text.write_text(table(columns), encoding="utf-8")


if __name__ == "__main__":
    main()
