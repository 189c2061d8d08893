"""FakeOctavia: what Octavia's v2 API does around a provider driver call."""

import contextlib
import dataclasses
import threading
import time

from octavia_lib.api.drivers import data_models

from tests.lab import models, rows
from tests.lab.errors import BadRequest, Conflict, DriverError, NotFound
from tests.lab.httpd import HttpServer
from tests.lab.octavia_http import OctaviaHttp
from tests.lab.rows import columns
from tests.lab.sockets import DriverSockets
from tests.lab.status import StatusUpdater
from tests.lab.store import MYSQL, Store

MUTABLE = ("ACTIVE",)
DELETABLE = ("ACTIVE", "ERROR")
# Operations that remove a row, and from which table.
DELETES = {
    "delete_listener": "listeners",
    "delete_pool": "pools",
    "delete_member": "members",
    "delete_health_monitor": "healthmonitors",
}


@dataclasses.dataclass
class Operation:
    """One API call: what it made or changed, and how long it took."""

    name: str
    id: str | None = None
    lb_id: str | None = None
    pending: frozenset = frozenset()  # (table, id) of what it put into a PENDING status
    started: float = dataclasses.field(default_factory=time.monotonic)
    driver_seconds: float = 0.0  # loading the driver and calling it
    api_seconds: float = 0.0  # until the commit


@dataclasses.dataclass
class StatusMessage:
    """One message on status.sock, its answer, and when it came and was done."""

    received: float
    status: dict
    answer: dict
    answered: float


class _Call:
    """An API call under way: its transaction and its driver instance."""

    def __init__(self, operation, transaction, session, answered):
        self.operation = operation
        self.transaction = transaction
        self._session = session
        self._answered = answered

    def driver(self, method, *args, **kwargs):
        result = self._session.call(method, *args, **kwargs)
        self._answered(method)
        return result


class FakeOctavia:
    """Octavia's database, API controllers and driver-agent sockets.

    :param workers: WorkerPool that the driver runs in; may be set later
    :param neutron: FakeNeutron, for VIP ports that Octavia itself owns
    :param run_dir: where the sockets go
    :param flavor: MYSQL or POSTGRESQL, see store.py
    """

    def __init__(self, neutron, run_dir, workers=None, flavor=MYSQL):
        self.store = Store(flavor)
        self.workers = workers
        self.statuses = []
        self.statistics = []
        self._neutron = neutron
        self._updater = StatusUpdater(self.store, lambda lb: neutron.delete_port(lb["vip_port_id"]))
        self._sockets = DriverSockets(
            run_dir, self._receive_status, self._receive_statistics, self._get
        )
        self._refusals = 0
        # Called with the driver's method when it has answered, and before the commit: in between
        # Octavia writes what it writes late.
        self.answered = lambda _: None
        self.committing = lambda: None
        # Called before and after a status is applied; raises OSError to lose message or answer.
        self.telling = lambda _: None
        self._statuses_lock = threading.Lock()
        self.http = HttpServer(OctaviaHttp(self.store, lambda: self.http.url))

    def __enter__(self):
        self._sockets.start()
        self.http.start()
        return self

    def __exit__(self, *exc_info):
        self._sockets.stop()
        self.http.stop()

    # Load balancers

    def create_load_balancer(
        self,
        vip_subnet_id,
        *,
        listeners=(),
        pools=(),
        additional_vip_subnets=(),
        vip_address=None,
        vip_port_id=None,
        vip_qos_policy_id=None,
        vip_sg_ids=(),
        **given,
    ):
        """POST; with listeners and pools it is a fully populated one.

        :param additional_vip_subnets: ids, or pairs of id and address
        :param listeners: API dicts; default_pool names one of the pools
        :param pools: API dicts with name, and maybe members, healthmonitor
        """
        network_id = self._neutron.subnets[vip_subnet_id]["network_id"]
        row = rows.load_balancer(
            {
                "vip_address": vip_address,
                "vip_port_id": vip_port_id,
                "vip_subnet_id": vip_subnet_id,
                "vip_network_id": network_id,
                "vip_qos_policy_id": vip_qos_policy_id,
                "vip_sg_ids": list(vip_sg_ids),
            },
            given,
        )
        additional = [_additional_vip(vip, network_id) for vip in additional_vip_subnets]
        with self._call("create_load_balancer", row["id"], row["id"]) as call:
            if row["flavor"]:
                call.driver("validate_flavor", row["flavor"])
            call.transaction.insert("loadbalancers", row)
            self._allocate_vip(call, row, additional)
            call.transaction.update("loadbalancers", row["id"], **row)
            self._create_graph(call.transaction, row["id"], listeners, pools)
            call.driver(
                "loadbalancer_create", models.new_load_balancer(call.transaction, row, given)
            )
        return call.operation

    def _allocate_vip(self, call, row, additional):
        """Ask the driver for the VIP port, or make it as Octavia would."""
        vip = {"vip_network_id": row["vip_network_id"], "vip_subnet_id": row["vip_subnet_id"]}
        for name in ("vip_address", "vip_port_id", "vip_qos_policy_id", "vip_sg_ids"):
            if row[name]:
                vip[name] = row[name]
        try:
            vip, additional = call.driver(
                "create_vip_port", row["id"], row["project_id"], vip, additional
            )
        except DriverError as error:
            if error.kind != "NotImplementedError":
                raise
            if not row["vip_port_id"]:
                port = self._neutron.create_port(
                    network_id=row["vip_network_id"],
                    name=f"octavia-lb-{row['id']}",
                    device_owner="Octavia",
                    device_id=f"lb-{row['id']}",
                    fixed_ips=[{"subnet_id": row["vip_subnet_id"]}],
                )
                vip["vip_port_id"] = port["id"]
                vip["vip_address"] = port["fixed_ips"][0]["ip_address"]
                row["octavia_owned"] = True
        row.update(
            {
                name: vip.get(name)
                for name in ("vip_address", "vip_port_id", "vip_subnet_id", "vip_network_id")
            }
        )
        row["octavia_owned"] |= bool(vip.get("octavia_owned"))
        row["additional_vips"] = additional

    def update_load_balancer(self, lb_id, **given):
        with self._call("update_load_balancer", lb_id, lb_id) as call:
            row = self._existing(call, "loadbalancers", lb_id)
            self._set_pending(call, lb_id)
            call.driver(
                "loadbalancer_update",
                models.load_balancer(call.transaction, row),
                data_models.LoadBalancer(loadbalancer_id=lb_id, **given),
            )
            call.transaction.update("loadbalancers", lb_id, **columns(given))
        return call.operation

    def delete_load_balancer(self, lb_id, cascade=False):
        with self._call("delete_load_balancer", lb_id, lb_id) as call:
            row = self._existing(call, "loadbalancers", lb_id)
            children = any(
                call.transaction.find(table, load_balancer_id=lb_id)
                for table in ("listeners", "pools")
            )
            if children and not cascade:
                raise BadRequest("Cannot delete: it has children")
            self._set_pending(call, lb_id, status="PENDING_DELETE")
            call.driver("loadbalancer_delete", models.load_balancer(call.transaction, row), cascade)
        return call.operation

    def failover_load_balancer(self, lb_id):
        with self._call("failover_load_balancer", lb_id, lb_id) as call:
            self._set_pending(call, lb_id)
            call.driver("loadbalancer_failover", lb_id)
        return call.operation

    # Listeners

    def create_listener(self, lb_id, **given):
        row = rows.listener(lb_id, given)
        with self._call("create_listener", row["id"], lb_id) as call:
            self._set_pending(call, lb_id)
            self._insert_listener(call.transaction, row)
            call.driver("listener_create", models.listener(call.transaction, row))
        return call.operation

    def update_listener(self, listener_id, **given):
        with self._call("update_listener", listener_id) as call:
            row = self._existing(call, "listeners", listener_id)
            self._set_pending(call, row["load_balancer_id"], [row])
            old = models.listener(call.transaction, row)
            call.driver(
                "listener_update", old, data_models.Listener(listener_id=listener_id, **given)
            )
            call.transaction.update("listeners", listener_id, **columns(given))
        return call.operation

    def delete_listener(self, listener_id):
        with self._call("delete_listener", listener_id) as call:
            row = self._existing(call, "listeners", listener_id)
            self._set_pending(
                call, row["load_balancer_id"], [row], listener_status="PENDING_DELETE"
            )
            call.driver("listener_delete", models.listener(call.transaction, row))
        return call.operation

    # Pools

    def create_pool(self, lb_id=None, listener_id=None, **given):
        listener = None
        if listener_id:
            listener = self.row("listeners", listener_id)
            lb_id = listener["load_balancer_id"]
        row = rows.pool(lb_id, given)
        with self._call("create_pool", row["id"], lb_id) as call:
            if listener and listener["default_pool_id"]:
                raise Conflict("the listener has a default pool already")
            self._set_pending(call, lb_id, [listener] if listener else [])
            call.transaction.insert("pools", row)
            if listener:
                call.transaction.update("listeners", listener_id, default_pool_id=row["id"])
            call.driver("pool_create", models.pool(call.transaction, row))
        return call.operation

    def update_pool(self, pool_id, **given):
        with self._call("update_pool", pool_id) as call:
            row = self._existing(call, "pools", pool_id)
            self._set_pending(call, row["load_balancer_id"], self._pool_listeners(call, pool_id))
            call.driver(
                "pool_update",
                models.pool(call.transaction, row),
                data_models.Pool(pool_id=pool_id, **given),
            )
            call.transaction.update(
                "pools", pool_id, provisioning_status="PENDING_UPDATE", **columns(given)
            )
        return call.operation

    def delete_pool(self, pool_id):
        with self._call("delete_pool", pool_id) as call:
            row = self._existing(call, "pools", pool_id)
            self._set_pending(call, row["load_balancer_id"], self._pool_listeners(call, pool_id))
            call.transaction.update("pools", pool_id, provisioning_status="PENDING_DELETE")
            call.driver("pool_delete", models.pool(call.transaction, row))
        return call.operation

    # Members

    def create_member(self, pool_id, **given):
        row = self._member_row(self.store, pool_id, given)
        with self._call("create_member", row["id"]) as call:
            self._set_pool_pending(call, pool_id)
            self._insert_member(call.transaction, row)
            call.driver("member_create", models.member(row))
        return call.operation

    def update_member(self, member_id, **given):
        with self._call("update_member", member_id) as call:
            row = self._existing(call, "members", member_id)
            self._set_pool_pending(call, row["pool_id"])
            call.driver(
                "member_update",
                models.member(row),
                data_models.Member(member_id=member_id, **given),
            )
            call.transaction.update(
                "members", member_id, provisioning_status="PENDING_UPDATE", **columns(given)
            )
        return call.operation

    def delete_member(self, member_id):
        with self._call("delete_member", member_id) as call:
            row = self._existing(call, "members", member_id)
            self._set_pool_pending(call, row["pool_id"])
            call.transaction.update("members", member_id, provisioning_status="PENDING_DELETE")
            call.driver("member_delete", models.member(row))
        return call.operation

    def batch_update_members(self, pool_id, members, additive_only=False):
        """PUT of all members of a pool."""
        with self._call("batch_update_members", pool_id) as call:
            self._set_pool_pending(call, pool_id)
            transaction = call.transaction
            old = {
                (row["ip_address"], row["protocol_port"]): row
                for row in transaction.find("members", pool_id=pool_id)
            }
            wanted = {(given["address"], given["protocol_port"]): given for given in members}
            if not old and not wanted:
                raise BadRequest("nothing to do")
            provider_members = [
                self._new_batch_member(transaction, pool_id, given)
                for key, given in wanted.items()
                if key not in old
            ]
            provider_members += [
                self._updated_batch_member(transaction, old[key], given)
                for key, given in wanted.items()
                if key in old
            ]
            for key in [key for key in old if key not in wanted]:
                if additive_only:
                    provider_members.append(models.member(old[key]))
                else:
                    transaction.update(
                        "members", old[key]["id"], provisioning_status="PENDING_DELETE"
                    )
            call.driver("member_batch_update", pool_id, provider_members)
        return call.operation

    def _new_batch_member(self, transaction, pool_id, given):
        row = self._member_row(transaction, pool_id, given)
        self._insert_member(transaction, row)
        return models.member(row)

    @staticmethod
    def _updated_batch_member(transaction, row, given):
        transaction.update(
            "members", row["id"], provisioning_status="PENDING_UPDATE", **columns(given)
        )
        return models.batch_updated_member(row, given)

    # Health monitors

    def create_health_monitor(self, pool_id, **given):
        row = rows.health_monitor(pool_id, given)
        with self._call("create_health_monitor", row["id"]) as call:
            if call.transaction.find("healthmonitors", pool_id=pool_id):
                raise Conflict("the pool has a health monitor already")
            self._set_pool_pending(call, pool_id)
            call.transaction.insert("healthmonitors", row)
            call.driver("health_monitor_create", models.health_monitor(row))
        return call.operation

    def update_health_monitor(self, monitor_id, **given):
        with self._call("update_health_monitor", monitor_id) as call:
            row = self._existing(call, "healthmonitors", monitor_id)
            self._set_pool_pending(call, row["pool_id"])
            call.driver(
                "health_monitor_update",
                models.health_monitor(row),
                data_models.HealthMonitor(healthmonitor_id=monitor_id, **given),
            )
            call.transaction.update(
                "healthmonitors", monitor_id, provisioning_status="PENDING_UPDATE", **columns(given)
            )
        return call.operation

    def delete_health_monitor(self, monitor_id):
        with self._call("delete_health_monitor", monitor_id) as call:
            row = self._existing(call, "healthmonitors", monitor_id)
            self._set_pool_pending(call, row["pool_id"])
            call.transaction.update(
                "healthmonitors", monitor_id, provisioning_status="PENDING_DELETE"
            )
            call.driver("health_monitor_delete", models.health_monitor(row))
        return call.operation

    # Faults

    def refuse_statuses(self, count):
        """Answer the next status messages with an error, as for a row not there yet."""
        with self._statuses_lock:
            self._refusals = count

    def close_sockets(self):
        """Be gone, as a driver agent that is being restarted is."""
        self._sockets.stop()

    def open_sockets(self):
        self._sockets.start()

    # What tests and benchmarks look at

    def row(self, table, row_id):
        row = self.store.get(table, row_id)
        if row is None:
            raise NotFound(f"{table} {row_id}")
        return row

    def is_settled(self, lb_id):
        """True once nothing of a load balancer is PENDING any more."""
        lb = self.row("loadbalancers", lb_id)
        return not any(
            row["provisioning_status"].startswith("PENDING") for _, row in self._tree(lb)
        )

    def is_deleted(self, lb_id):
        lb = self.row("loadbalancers", lb_id)
        return lb["provisioning_status"] == "DELETED"

    def finish(self, operation, timeout=30):
        """Wait until an operation has taken effect.

        Return the seconds from its start, or None when it took too long.
        """
        if self._wait(lambda: self._is_done(operation), timeout):
            return time.monotonic() - operation.started
        return None

    def _is_done(self, operation):
        """Settled; and what was to be deleted is, or the LB is DELETED."""
        if operation.name == "delete_load_balancer":
            return self.is_deleted(operation.lb_id)
        table = DELETES.get(operation.name)
        if table and self.store.get(table, operation.id):
            return False
        return self.is_settled(operation.lb_id)

    def wait_active(self, lb_id, timeout=30):
        """Wait for the whole tree to be ACTIVE; raise when it is not."""
        self._wait(lambda: self.is_settled(lb_id), timeout)
        self.assert_active(lb_id)

    def _wait(self, predicate, timeout):
        deadline = time.monotonic() + timeout
        with self.store.changed:
            while not predicate():
                if not self.store.changed.wait(deadline - time.monotonic()):
                    return False
        return True

    def assert_active(self, lb_id):
        lb = self.row("loadbalancers", lb_id)
        wrong = {
            f"{table} {row['id']}": row["provisioning_status"]
            for table, row in self._tree(lb)
            if row["provisioning_status"] != "ACTIVE"
        }
        assert not wrong, wrong

    def assert_status(self, table, row_id, provisioning=None, operating=None):
        row = self.row(table, row_id)
        if provisioning:
            assert row["provisioning_status"] == provisioning, row
        if operating:
            assert row["operating_status"] == operating, row

    def stuck(self):
        """List what is PENDING: (table, id, status)."""
        return [
            (table, row["id"], row["provisioning_status"])
            for lb in self.store.find("loadbalancers")
            if lb["provisioning_status"] != "DELETED"
            for table, row in self._tree(lb)
            if row["provisioning_status"].startswith("PENDING")
        ]

    def orphans(self):
        """List what was left behind by deleted load balancers."""
        return [
            (table, row["id"], row["provisioning_status"])
            for lb in self.store.find("loadbalancers", provisioning_status="DELETED")
            for table, row in self._tree(lb)
            if row is not lb
        ]

    @property
    def revived(self):
        """Load balancers that got another status after DELETED."""
        return self._updater.revived

    def _tree(self, lb):
        """Yield (table, row) of a load balancer and all that belongs to it."""
        yield "loadbalancers", lb
        for row in self.store.find("listeners", load_balancer_id=lb["id"]):
            yield "listeners", row
        for pool in self.store.find("pools", load_balancer_id=lb["id"]):
            yield "pools", pool
            for table in ("members", "healthmonitors"):
                for row in self.store.find(table, pool_id=pool["id"]):
                    yield table, row

    # The calls' common part

    @contextlib.contextmanager
    def _call(self, name, row_id, lb_id=None):
        """Load the driver, begin; commit at the end, or roll back."""
        operation = Operation(name, row_id, lb_id)
        with self.workers.session() as session:
            call = _Call(operation, self.store.begin(), session, self._answer)
            try:
                yield call
                self.committing()
            except BaseException:
                call.transaction.rollback()
                raise
            operation.pending = call.transaction.pending()
            call.transaction.commit()
            operation.api_seconds = time.monotonic() - operation.started
            operation.driver_seconds = session.open_seconds + session.call_seconds

    def _answer(self, method):
        if method != "create_vip_port":
            self.answered(method)

    @staticmethod
    def _existing(call, table, row_id):
        row = call.transaction.get(table, row_id)
        if row is None or row["provisioning_status"] == "DELETED":
            raise NotFound(f"{table} {row_id}")
        return row

    @staticmethod
    def _set_pending(
        call,
        lb_id,
        listeners=(),
        *,
        pool=None,
        status="PENDING_UPDATE",
        listener_status="PENDING_UPDATE",
    ):
        """test_and_set_lb_and_listeners_prov_status: lock, check and set."""
        transaction = call.transaction
        if not transaction.lock("loadbalancers", lb_id):
            raise NotFound(f"load balancer {lb_id}")
        lb = transaction.get("loadbalancers", lb_id)
        call.operation.lb_id = lb_id
        allowed = DELETABLE if status == "PENDING_DELETE" else MUTABLE
        if lb["provisioning_status"] not in allowed:
            raise Conflict(
                f"Load Balancer {lb_id} is immutable and cannot "
                f"be updated: {lb['provisioning_status']}"
            )
        transaction.update("loadbalancers", lb_id, provisioning_status=status)
        for listener in listeners:
            transaction.update("listeners", listener["id"], provisioning_status=listener_status)
        if pool:
            transaction.update("pools", pool["id"], provisioning_status=status)

    def _set_pool_pending(self, call, pool_id):
        pool = self._existing(call, "pools", pool_id)
        if pool["provisioning_status"] not in MUTABLE:
            raise Conflict(f"Pool {pool_id} is immutable")
        self._set_pending(
            call, pool["load_balancer_id"], self._pool_listeners(call, pool_id), pool=pool
        )

    @staticmethod
    def _pool_listeners(call, pool_id):
        return call.transaction.find("listeners", default_pool_id=pool_id)

    # Rows

    def _create_graph(self, transaction, lb_id, listeners, pools):
        pool_ids = {}
        for body in pools:
            given = dict(body)
            members = given.pop("members", ())
            monitor = given.pop("healthmonitor", None)
            row = rows.pool(lb_id, given)
            pool_ids[row["name"]] = row["id"]
            transaction.insert("pools", row)
            if monitor:
                transaction.insert("healthmonitors", rows.health_monitor(row["id"], monitor))
            for member in members:
                self._insert_member(transaction, self._member_row(transaction, row["id"], member))
        for body in listeners:
            given = dict(body)
            default_pool = given.pop("default_pool", None)
            if default_pool:
                given["default_pool_id"] = pool_ids[default_pool]
            self._insert_listener(transaction, rows.listener(lb_id, given))

    @staticmethod
    def _member_row(reader, pool_id, given):
        monitored = bool(reader.find("healthmonitors", pool_id=pool_id))
        return rows.member(pool_id, given, monitored)

    @staticmethod
    def _insert_listener(transaction, row):
        if transaction.find(
            "listeners",
            load_balancer_id=row["load_balancer_id"],
            protocol=row["protocol"],
            protocol_port=row["protocol_port"],
        ):
            raise Conflict("another listener has this protocol and port")
        transaction.insert("listeners", row)

    @staticmethod
    def _insert_member(transaction, row):
        if transaction.find(
            "members",
            pool_id=row["pool_id"],
            ip_address=row["ip_address"],
            protocol_port=row["protocol_port"],
        ):
            raise Conflict("another member has this address and port")
        transaction.insert("members", row)

    # Behind the sockets and the HTTP endpoint

    def _receive_status(self, status):
        received = time.monotonic()
        self.telling("before the status")
        if self._refuses():
            answer = {"status_code": 500, "fault_string": "injected"}
        else:
            answer = self._updater.apply(status)
        with self._statuses_lock:
            self.statuses.append(StatusMessage(received, status, answer, time.monotonic()))
        self.telling("after the status")
        return answer

    def _refuses(self):
        with self._statuses_lock:
            if not self._refusals:
                return False
            self._refusals -= 1
            return True

    def _receive_statistics(self, statistics):
        self.statistics.append(statistics)
        return {"status_code": 200}

    def _get(self, request):
        """driver_get.process_get."""
        table, row = request["object"], None
        if table in ("loadbalancers", "listeners", "pools", "members", "healthmonitors"):
            row = self.store.get(table, request["id"])
        if not row or row["provisioning_status"] == "DELETED":
            return {}
        if table == "members":
            model = models.member(row)
        elif table == "healthmonitors":
            model = models.health_monitor(row)
        else:
            build = {
                "loadbalancers": models.load_balancer,
                "listeners": models.listener,
                "pools": models.pool,
            }
            model = build[table](self.store, row)
        return model.to_dict(recurse=True, render_unsets=True)


def _additional_vip(wanted, network_id):
    if isinstance(wanted, str):
        return {"subnet_id": wanted, "network_id": network_id}
    subnet_id, address = wanted
    return {"subnet_id": subnet_id, "network_id": network_id, "ip_address": address}
