"""The workloads. Each takes a Bench and the name of the venv to measure."""

import concurrent.futures
import time

from tests.lab import floor, ovsdb
from tests.lab.env import open_files, wait_until
from tests.lab.errors import ApiError
from tests.lab.ovn_mirror import ovn_name
from tests.lab.tenant import Tenant

QUIET = 0.15  # nothing happened for so long: the driver has finished
LBS_PER_TENANT = 10
PATIENCE = 20  # seconds before an operation counts as stuck
LONG_PATIENCE = 600


def quiesce(lab):
    """Wait until commits, Neutron requests and statuses have stopped."""
    seen = None
    since = time.monotonic()
    while time.monotonic() - since < QUIET:
        now = (
            lab.env.nb.path.stat().st_size,
            lab.neutron.http.request_count(),
            len(lab.octavia.statuses),
        )
        if now != seen:
            seen, since = now, time.monotonic()
        time.sleep(0.01)


class Meter:
    """Runs API calls one by one and records what each cost."""

    def __init__(self, lab, add, patience=PATIENCE):
        self._lab = lab
        self._add = add
        self._patience = patience

    def run(self, name, call, *args, **kwargs):
        """Return the operation; its figures are recorded under `name`."""
        lab = self._lab
        quiesce(lab)
        lab.nb_log.skip()
        requests = lab.neutron.http.request_count()
        statuses = len(lab.octavia.statuses)
        operation = call(*args, **kwargs)
        seconds = lab.octavia.finish(operation, self._patience)
        early = lab.nb_log.count_foreign()
        quiesce(lab)
        self._add(f"{name}: done", seconds and seconds * 1000)
        self._add(f"{name}: in driver", operation.driver_seconds * 1000)
        late = lab.nb_log.count_foreign()
        self._add(f"{name}: NB commits", early + late, "n")
        self._add(f'{name}: NB commits after "done"', late, "n")
        self._add(f"{name}: Neutron requests", lab.neutron.http.request_count() - requests, "n")
        self._add(f"{name}: status messages", len(lab.octavia.statuses) - statuses, "n")
        return operation


def w0_floor(bench, venv, ports):
    """The physical limit: bare transactions on the same server."""
    add = bench.adder(venv, "W0", f"{ports} ports")
    with bench.lab(venv, ports, agent=False) as lab:
        floor.measure(add, lab.env.nb, bench.options.repeat * 10)
        if ports == bench.options.ports[0]:
            floor.measure_status(add, lab.run_dir, bench.options.repeat * 2)


def w1_cold(bench, venv, ports):
    """Worker start to the first ACTIVE load balancer; memory."""
    add = bench.adder(venv, "W1", f"{ports} ports")
    with bench.lab(venv, ports) as lab:
        tenant = Tenant(lab, "cold")
        _wait_for_agent(lab)
        lab.stop_workers()
        start = time.monotonic()
        lab.start_workers()
        operation = tenant.create_lb()
        seconds = lab.octavia.finish(operation, 300)
        add("start to first ACTIVE", seconds and (operation.started + seconds - start) * 1000)
        add("worker CPU to first ACTIVE", lab.octavia.workers.cpu_seconds(), "s")
        add("worker RSS", lab.octavia.workers.memory(), "MiB")
        add("agent CPU to ready", lab.agent.cpu_seconds(), "s")
        add("agent RSS", lab.agent.memory(), "MiB")


def _wait_for_agent(lab):
    """Wait until the agent has been idle for two seconds."""
    used, idle_since = 0.0, time.monotonic()
    while used == 0 or time.monotonic() - idle_since < 2:
        now = lab.agent.cpu_seconds()
        if now > used + 0.05:
            used, idle_since = now, time.monotonic()
        time.sleep(0.2)


def w2_operations(bench, venv, ports, existing):
    """Every operation by itself."""
    add = bench.adder(venv, "W2", f"{ports} ports, {existing} LBs")
    with bench.lab(venv, ports, agent=False) as lab:
        for number in range(0, existing, LBS_PER_TENANT):
            Tenant(lab, f"existing-{number}").create_lbs(
                min(LBS_PER_TENANT, existing - number), listeners=1, pools=1, members=2
            )
        tenant = Tenant(lab, "measured")
        tenant.vm(10)
        warm_up = tenant.create_lb()
        lab.octavia.wait_active(warm_up.id, 300)
        meter = Meter(lab, add)
        cpu_seconds = lab.octavia.workers.cpu_seconds()
        for _ in range(bench.options.repeat):
            _one_of_each(lab, tenant, meter)
        cpu_seconds = lab.octavia.workers.cpu_seconds() - cpu_seconds
        add("worker CPU per round of all of these", cpu_seconds * 1000 / bench.options.repeat)
        add("stuck", len(lab.octavia.stuck()), "n")
        add("left behind by deleted LBs", len(lab.octavia.orphans()), "n")
        add("LB got a status after DELETED", len(lab.octavia.revived), "n")
        worker = lab.octavia.workers.workers[0]
        add("worker RSS at the end", lab.octavia.workers.memory(), "MiB")
        add("worker open files at the end", open_files(worker.pid), "n")


def _one_of_each(lab, tenant, meter):
    octavia = lab.octavia
    lb = meter.run("LB create", octavia.create_load_balancer, tenant.subnet["id"])
    listener = meter.run(
        "listener create", octavia.create_listener, lb.id, protocol="TCP", protocol_port=80
    )
    pool = meter.run(
        "pool create",
        octavia.create_pool,
        listener_id=listener.id,
        protocol="TCP",
        lb_algorithm="SOURCE_IP_PORT",
    )
    for number in range(2):
        member = meter.run("member create", octavia.create_member, pool.id, **tenant.member(number))
    meter.run(
        "HM create",
        octavia.create_health_monitor,
        pool.id,
        type="TCP",
        delay=5,
        timeout=3,
        max_retries=3,
    )
    meter.run("member update", octavia.update_member, member.id, admin_state_up=False)
    meter.run("listener update", octavia.update_listener, listener.id, admin_state_up=False)
    meter.run("member delete", octavia.delete_member, member.id)
    meter.run("cascade delete, small", octavia.delete_load_balancer, lb.id, cascade=True)
    lb = meter.run("populated create, 2x2x10", tenant.create_lb, 2, 2, 10)
    meter.run("cascade delete, 2x2x10", octavia.delete_load_balancer, lb.id, cascade=True)


def w3_throughput(bench, venv):
    """20 load balancers built by 4 clients on 2 workers."""
    add = bench.adder(venv, "W3", "20 LBs, 4 clients, 2 workers")
    with bench.lab(venv, 0, workers=2, agent=False) as lab:
        tenant = Tenant(lab, "throughput")
        tenant.vm(2)
        for _ in range(2):
            warm_up = tenant.create_lb()
            lab.octavia.wait_active(warm_up.id, 300)
        start = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(4) as clients:
            outcomes = [
                outcome
                for build in clients.map(lambda _: list(_build(lab, tenant)), range(20))
                for outcome in build
            ]
        seconds = time.monotonic() - start
        quiesce(lab)
        add("operations", outcomes.count("done") / seconds, "1/s")
        add("operations timed out", outcomes.count("timeout"), "n")
        add("operations refused", outcomes.count("refused"), "n")
        add("stuck", len(lab.octavia.stuck()), "n")
        add("LBs wrong in NB", _count_wrong_lbs(lab), "n")


def _build(lab, tenant):
    """Build one load balancer; yield the outcome of each operation."""
    octavia = lab.octavia
    ids = {}
    for name, call in (
        ("lb", lambda: octavia.create_load_balancer(tenant.subnet["id"])),
        ("listener", lambda: octavia.create_listener(ids["lb"], protocol="TCP", protocol_port=80)),
        (
            "pool",
            lambda: octavia.create_pool(
                listener_id=ids["listener"], protocol="TCP", lb_algorithm="SOURCE_IP_PORT"
            ),
        ),
        ("member", lambda: octavia.create_member(ids["pool"], **tenant.member(0))),
        ("member", lambda: octavia.create_member(ids["pool"], **tenant.member(1))),
        (
            "monitor",
            lambda: octavia.create_health_monitor(
                ids["pool"], type="TCP", delay=5, timeout=3, max_retries=3
            ),
        ),
    ):
        try:
            operation = call()
        except ApiError:
            yield "refused"
            return
        ids[name] = operation.id
        if octavia.finish(operation, PATIENCE) is None:
            yield "timeout"
            return
        yield "done"


def _count_wrong_lbs(lab):
    """Count load balancers with pools whose VIP lacks a member in NB."""
    rows = lab.nb.select("Load_Balancer", columns=["vips"])
    vips = {vip: backends for row in rows for vip, backends in row["vips"].items()}
    wrong = 0
    for listener in lab.octavia.store.find("listeners"):
        lb = lab.octavia.row("loadbalancers", listener["load_balancer_id"])
        members = lab.octavia.store.find("members", pool_id=listener["default_pool_id"])
        backends = vips.get(f"{lb['vip_address']}:{listener['protocol_port']}", "").split(",")
        wrong += any(
            f"{member['ip_address']}:{member['protocol_port']}" not in backends
            for member in members
        )
    return wrong


def w4_batch(bench, venv):
    """Member batch PUTs, and a large fully populated create."""
    add = bench.adder(venv, "W4", "0 ports")
    with bench.lab(venv, 0, agent=False) as lab:
        tenant = Tenant(lab, "batch")
        tenant.vm(max(bench.options.batch))
        warm_up = tenant.create_lb()
        lab.octavia.wait_active(warm_up.id, 300)
        meter = Meter(lab, add, LONG_PATIENCE)
        for count in bench.options.batch:
            lb = tenant.create_lb(listeners=1, pools=1)
            lab.octavia.wait_active(lb.id, LONG_PATIENCE)
            pool = lab.octavia.store.find("pools", load_balancer_id=lb.id)[0]
            meter.run(
                f"batch PUT of {count}",
                lab.octavia.batch_update_members,
                pool["id"],
                [tenant.member(number) for number in range(count)],
            )
        meter.run("populated create, 5x5x20", tenant.create_lb, 5, 5, 20)
        ports = sum(
            port["network_id"] == tenant.network["id"] for port in lab.neutron.ports.values()
        )
        meter.run(f"LB create, {ports} ports on its network", tenant.create_lb)
        add("stuck", len(lab.octavia.stuck()), "n")


def w5_w6_events_and_sync(bench, venv):
    """What the agent does by itself; then the provider's sync."""
    options = bench.options
    with bench.lab(venv, 0) as lab:
        tenant = Tenant(lab, "events", connected=False)
        neighbour = lab.neutron.add_network("neighbour")
        subnet = lab.neutron.add_subnet(neighbour["id"], "10.250.0.0/24")
        lab.neutron.router_add_interface(tenant.router["id"], subnet["id"])
        lbs = tenant.create_lbs(options.event_lbs, listeners=1, pools=1, members=2)
        _wait_for_agent(lab)
        add = bench.adder(venv, "W5", f"{options.event_lbs} LBs")
        _router_event(lab, tenant, neighbour, add)
        _fip_event(lab, tenant, lbs[0], add)
        _health_event(lab, lbs[0], add)
        lbs += tenant.create_lbs(
            options.sync_lbs - options.event_lbs, listeners=1, pools=1, members=2
        )
        add = bench.adder(venv, "W6", f"{options.sync_lbs} LBs")
        _sync(lab, options.sync_method, "in sync", add)
        missing = min(options.missing_lbs, options.sync_lbs)
        lab.nb.transact(
            *(ovsdb.delete("Load_Balancer", [["name", "==", lb_id]]) for lb_id in lbs[:missing])
        )
        _sync(lab, options.sync_method, f"{missing} missing", add)
        add(
            "load balancers in NB after sync",
            len(lab.nb.select("Load_Balancer", columns=["_uuid"])),
            "n",
        )
        add("stuck", len(lab.octavia.stuck()), "n")


def _router_event(lab, tenant, neighbour, add):
    quiesce(lab)
    lab.nb_log.skip()
    lbs = {row["_uuid"] for row in lab.nb.select("Load_Balancer", columns=["_uuid"])}
    parents = (
        ("Logical_Router", ovn_name(tenant.router["id"])),
        ("Logical_Switch", ovn_name(tenant.network["id"])),
        ("Logical_Switch", ovn_name(neighbour["id"])),
    )

    def attached():
        return all(lbs <= _attached(lab, table, name) for table, name in parents)

    start = time.monotonic()
    tenant.connect()
    seconds = wait_until(attached, 120, 0.02)
    add(
        "router interface to all LBs on router and switches",
        seconds and (time.monotonic() - start) * 1000,
    )
    quiesce(lab)
    add("router interface: NB commits", lab.nb_log.count_foreign(), "n")


def _attached(lab, table, name):
    row = lab.nb.select(table, [["name", "==", name]], ["load_balancer"])[0]
    return set(ovsdb.as_list(row["load_balancer"]))


def _fip_event(lab, tenant, lb_id, add):
    """A floating IP on the VIP must become a VIP of the load balancer."""
    quiesce(lab)
    lb = lab.octavia.row("loadbalancers", lb_id)

    def holds(address):
        rows = lab.nb.select("Load_Balancer", columns=["vips"])
        return any(vip.startswith(f"{address}:") for row in rows for vip in row["vips"])

    start = time.monotonic()
    fip = lab.neutron.associate_fip(lb["vip_port_id"], tenant.external["id"])
    address = fip["floating_ip_address"]
    seconds = wait_until(lambda: holds(address), 30)
    add("FIP associated to VIP in NB", seconds and (time.monotonic() - start) * 1000)
    quiesce(lab)
    start = time.monotonic()
    lab.neutron.disassociate_fip(fip["id"])
    seconds = wait_until(lambda: not holds(address), 30)
    add("FIP disassociated to VIP gone", seconds and (time.monotonic() - start) * 1000)


def _health_event(lab, lb_id, add):
    """A Service_Monitor row that goes offline must put the member in ERROR."""
    octavia = lab.octavia
    pool = octavia.store.find("pools", load_balancer_id=lb_id)[0]
    operation = octavia.create_health_monitor(
        pool["id"], type="TCP", delay=5, timeout=3, max_retries=3
    )
    octavia.finish(operation, PATIENCE)
    quiesce(lab)
    member = octavia.store.find("members", pool_id=pool["id"])[0]
    mapping = _port_mapping(lab, lb_id, member["ip_address"])
    if not mapping:
        add("member offline to ERROR in Octavia", None)
        return
    logical_port, source = mapping.split(":", 1)
    where = [["ip", "==", member["ip_address"]]]
    lab.sb.transact(
        ovsdb.insert(
            "Service_Monitor",
            {
                "ip": member["ip_address"],
                "port": member["protocol_port"],
                "protocol": "tcp",
                "logical_port": logical_port,
                "src_ip": source,
                "src_mac": "0a:00:00:00:00:01",
                "status": "online",
            },
        )
    )
    quiesce(lab)
    for status, wanted in (("offline", "ERROR"), ("online", "ONLINE")):
        start = time.monotonic()
        lab.sb.transact(ovsdb.update("Service_Monitor", where, {"status": status}))
        seconds = wait_until(
            lambda wanted=wanted: (
                octavia.row("members", member["id"])["operating_status"] == wanted
            ),
            30,
        )
        add(
            f"member {status} to {wanted} in Octavia", seconds and (time.monotonic() - start) * 1000
        )
        quiesce(lab)


def _port_mapping(lab, lb_id, address):
    rows = lab.nb.select("Load_Balancer", [["name", "==", lb_id]], ["ip_port_mappings"])
    for row in rows:
        if address in row["ip_port_mappings"]:
            return row["ip_port_mappings"][address]
    return None


def _sync(lab, method, case, add):
    quiesce(lab)
    lab.nb_log.skip()
    requests = lab.neutron.http.request_count()
    with lab.octavia.workers.session() as session:
        start = time.monotonic()
        session.call(method, provider="ovn")
        add(f"sync, {case}", time.monotonic() - start, "s")
    quiesce(lab)
    add(f"sync, {case}: NB commits", lab.nb_log.count_foreign(), "n")
    add(f"sync, {case}: Neutron requests", lab.neutron.http.request_count() - requests, "n")
