# SPDX-License-Identifier: Apache-2.0
"""One run: clients, faults, settling, and the verdict."""

import collections
import concurrent.futures
import contextlib
import dataclasses
import functools
import pathlib
import random
import tempfile
import threading
import time

from chaos.faults import ClusterFaults, Faults
from chaos.requests import VMS, Requests
from tests.lab import env
from tests.lab.cluster import ClusterLab, SplitCluster
from tests.lab.errors import ApiError, Conflict, WorkerDied
from tests.lab.inside import octavia_functions
from tests.lab.invariants import Oracle
from tests.lab.mortal import MortalLab
from tests.lab.tenant import Tenant

CLIENTS, WORKERS = 4, 2
PATIENCE = 20.0  # seconds that a client waits for the end of a request before it does another
SETTLING = 90.0  # seconds until all must be well when the faults are over
CONFIG = {
    "ovn": {"sync_interval": "5", "pending_grace": "3", "ovsdb_connection_timeout": "5"},
    "neutron": {"timeout": "2"},
}


@dataclasses.dataclass
class Plan:
    """The size of a run; it ends with both requests and kills, or after the seconds.

    :param cluster: whether the northbound database has three servers
    :param in_process: whether the agent finds Octavia's functions loaded, so that it uses no socket
    """

    requests: int
    kills: int
    seconds: float
    seed: int
    flavor: str
    logs: str | None = None
    cluster: bool = False
    in_process: bool = False


@dataclasses.dataclass
class Event:
    """One request and its outcome."""

    at: float
    client: int
    name: str
    lb_id: str | None
    outcome: str
    operation: object = None
    text: str = ""


@dataclasses.dataclass
class Verdict:
    """The result of a run; `stuck`, `lost`, `wrong` and `ports` must be empty."""

    seconds: float
    outcomes: collections.Counter
    faults: collections.Counter
    kills: int
    ended: int
    settled_after: float | None
    stuck: list
    lost: list
    wrong: dict
    ports: list
    events: list

    @property
    def good(self):
        return not (self.stuck or self.lost or self.wrong or self.ports)

    def lines(self):
        """Yield the lines of the report."""
        asked = sum(self.outcomes.values())
        refused = {name: n for name, n in self.outcomes.items() if name != "accepted"}
        yield f"requests            {asked} in {self.seconds:.0f} s"
        yield f"  accepted          {self.outcomes['accepted']}"
        yield f"  refused           {sum(refused.values())} {refused}"
        yield f"kills               {self.kills}"
        yield f"faults              {dict(self.faults)}"
        yield f"ended               {self.ended}"
        yield f"stuck               {len(self.stuck)}"
        yield f"lost                {len(self.lost)}"
        yield f"rows wrong          {len(self.wrong)}"
        yield f"ports left over     {len(self.ports)}"
        yield f"settled after       {self.settled_after and round(self.settled_after, 1)} s"

    def details(self):
        """Yield the faults found, with the history of each load balancer concerned."""
        for table, row_id, status in self.stuck:
            yield f"stuck: {table} {row_id} is {status}"
        for event in self.lost:
            yield f"lost: {event}"
        for lb_id, complaints in self.wrong.items():
            yield from (f"wrong: {lb_id}: {complaint}" for complaint in complaints)
        yield from (f"left over: {port}" for port in self.ports)
        concerned = {event.lb_id for event in self.lost} | self.wrong.keys()
        for event in self.events:
            if event.lb_id in concerned:
                yield f"history: {event}"


class Run:
    """A laboratory with clients and faults."""

    def __init__(self, venv, plan):
        self._plan = plan
        self._venv = venv
        self._lab = None
        self._events = []
        self._enough = threading.Event()
        self._faults = None

    def __call__(self):
        """Run; return the verdict."""
        with self._laboratory() as self._lab:
            lab = self._lab
            tenant = Tenant(lab, "chaos")
            tenant.vm(VMS)
            self._make_octavia_slow()
            faults = ClusterFaults if self._plan.cluster else Faults
            self._faults = faults(lab, random.Random(f"{self._plan.seed} faults"))
            began = time.monotonic()
            with concurrent.futures.ThreadPoolExecutor(CLIENTS + 1) as threads:
                running = [threads.submit(self._client, tenant, n) for n in range(CLIENTS)]
                running.append(threads.submit(self._disturb))
                self._wait(began, running)
            seconds = time.monotonic() - began
            for each in running:
                each.result()
            return self._judge(seconds)

    @contextlib.contextmanager
    def _laboratory(self):
        plan = self._plan
        config = CONFIG | (octavia_functions.CONFIG if plan.in_process else {})
        options = {"flavor": plan.flavor, "config": config, "keep_logs": plan.logs}
        with contextlib.ExitStack() as stack:
            lab = functools.partial(MortalLab, self._venv, workers=WORKERS, **options)
            if plan.cluster:
                directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="nb-"))
                cluster = stack.enter_context(SplitCluster(pathlib.Path(directory)))
                lab = functools.partial(ClusterLab, cluster, *lab.args, **lab.keywords)
            yield stack.enter_context(lab())

    def _make_octavia_slow(self):
        """Statuses race with the late writes and the commit."""
        chance = random.Random(f"{self._plan.seed} commits")

        def pause(*_):
            time.sleep(chance.choice((0.0, 0.0, 0.0, 0.01, 0.1)))

        self._lab.octavia.answered = self._lab.octavia.committing = pause

    def _wait(self, began, running):
        def is_enough():
            asked = len(self._events) >= self._plan.requests
            killed = self._faults.kills >= self._plan.kills
            return (asked and killed) or any(each.done() for each in running)

        env.wait_until(is_enough, self._plan.seconds - (time.monotonic() - began), 0.1)
        self._enough.set()

    # Clients

    def _client(self, tenant, number):
        requests = Requests(
            self._lab.octavia, tenant, random.Random(f"{self._plan.seed} client {number}")
        )
        while not self._enough.is_set():
            name, args, fields = requests.next()
            event = self._ask(number, name, args, fields)
            self._events.append(event)
            if event.outcome == "accepted":
                if name == "create_load_balancer":
                    requests.lb_ids.append(event.lb_id)
                self._lab.octavia.finish(event.operation, PATIENCE)
            else:
                time.sleep(0.02)

    def _ask(self, number, name, args, fields):
        event = Event(time.time(), number, name, None, "accepted", text=f"{args} {fields}"[:300])
        try:
            event.operation = getattr(self._lab.octavia, name)(*args, **fields)
            event.lb_id = event.operation.lb_id
        except WorkerDied:
            event.outcome = "connection lost"
        except Conflict:
            event.outcome = "conflict"
        except ApiError as error:
            event.outcome, event.text = "error", f"{error} {event.text}"
        return event

    # Faults

    def _disturb(self):
        """Spread the kills over the requests: neither ends long before the other."""
        while not self._enough.wait(0.05):
            share = min(1.0, len(self._events) / self._plan.requests)
            if self._faults.kills <= share * self._plan.kills:
                self._faults.happen()

    # The verdict

    def _judge(self, seconds):
        lab = self._lab
        settled = env.wait_until(self._is_well, SETTLING, 0.5)
        done = {id(each): self._is_done(each) for each in self._accepted()}
        oracle = Oracle(lab)
        wrong = {lb: found for lb in self._known() if (found := oracle.complaints(lb))}
        wrong |= {name: ["rows that Octavia does not know"] for name in self._foreign_rows()}
        return Verdict(
            seconds=seconds,
            outcomes=collections.Counter(event.outcome for event in self._events),
            faults=self._faults.counts,
            kills=self._faults.kills,
            ended=sum(done.values()),
            settled_after=settled,
            stuck=lab.octavia.stuck(),
            lost=[each for each in self._accepted() if not done[id(each)]],
            wrong=wrong,
            ports=self._ports_left(),
            events=self._events,
        )

    def _is_well(self):
        lab = self._lab
        if lab.octavia.stuck() or lab.waited_for() or self._foreign_rows() or self._ports_left():
            return False
        oracle = Oracle(lab)
        return not any(oracle.complaints(lb_id) for lb_id in self._known())

    def _accepted(self):
        return [event for event in self._events if event.outcome == "accepted"]

    def _is_done(self, event):
        """Whether what was accepted has come true, or was deleted by a later request."""
        lb = self._lab.octavia.store.get("loadbalancers", event.lb_id)
        if lb is None or lb["provisioning_status"] == "ERROR":
            return False
        return (
            lb["provisioning_status"] == "DELETED"
            or self._lab.octavia.finish(event.operation, 0.0) is not None
        )

    def _known(self):
        return [row["id"] for row in self._lab.octavia.store.find("loadbalancers")]

    def _foreign_rows(self):
        rows = self._lab.nb.select("Load_Balancer", columns=["name"])
        return sorted({row["name"] for row in rows} - set(self._known()))

    def _ports_left(self):
        """Ports that nothing needs: of VIPs, and those to check from."""
        octavia, neutron = self._lab.octavia, self._lab.neutron
        alive = {lb for lb in self._known() if not octavia.is_deleted(lb)}
        checked = {
            member["subnet_id"]
            for monitor in octavia.store.find("healthmonitors")
            for member in octavia.store.find("members", pool_id=monitor["pool_id"])
        }
        with neutron.locked():
            ports = list(neutron.ports.values())
        return [
            port["name"]
            for port in ports
            if (port["name"].startswith("ovn-lb-vip-") and port["device_id"][3:] not in alive)
            or (
                port["name"].startswith("ovn-lb-hm-")
                and port["name"].removeprefix("ovn-lb-hm-") not in checked
            )
        ]
