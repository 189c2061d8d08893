# SPDX-License-Identifier: Apache-2.0
"""Octavia's functions in this process, on a real MariaDB and a real PostgreSQL."""

import contextlib
import multiprocessing
import queue
import tempfile
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from octavia.api.drivers.driver_agent import driver_get, driver_updater
from octavia.common import config  # noqa: F401 - registers Octavia's options
from octavia.db import api as db_api
from octavia.db import models
from oslo_config import cfg
from oslo_db.sqlalchemy import enginefacade
from sqlalchemy import create_engine, select, text, update
from sqlalchemy.pool import NullPool

from octavia_ovn.adapters.octavia.driver_agent import DriverAgent, StatusRefused
from octavia_ovn.adapters.octavia.in_process import InProcess
from octavia_ovn.adapters.octavia.trees import Octavia
from octavia_ovn.controller.reporter import Reporter
from octavia_ovn.controller.status_updates import StatusUpdate
from octavia_ovn.core import status
from octavia_ovn.core.pending import Final, Kind, Pending
from octavia_ovn.errors import Unanswered, Unavailable
from octavia_ovn.supervised import DaemonExecutor
from tests.functional.octavia.database_rows import (
    LOCK_TIMEOUT,
    MODELS,
    PENDING,
    QUOTAS,
    active,
    in_use,
    insert_tree,
    locked,
    message,
    statuses,
)
from tests.lab.databases import MariaDB, PostgreSQL


@pytest.fixture(scope="module", params=[MariaDB, PostgreSQL], ids=["mariadb", "postgresql"])
def server(request):
    # The path of a unix socket is short; pytest's directories are not.
    with tempfile.TemporaryDirectory() as folder:
        started = request.param(Path(folder))
        try:
            started.prepare()
            yield started
        finally:
            started.stop()


@pytest.fixture(scope="module")
def database(server):
    """Access of the test's own, which keeps no connection."""
    return create_engine(server.url, poolclass=NullPool)


def functions(timeout=20.0):
    return DriverAgent(
        InProcess(driver_updater.DriverUpdater, driver_get.process_get, timeout, timeout)
    )


@pytest.fixture
def connect(server, monkeypatch):
    """Return Octavia's functions, not connected yet, as in a process that was just forked."""

    def connect(**pool):
        for name, value in {"connection": server.url, **pool}.items():
            cfg.CONF.set_override(name, value, "database")
        monkeypatch.setattr(db_api, "enginefacade", enginefacade.transaction_context())
        monkeypatch.setattr(db_api, "_FACADE", None)
        return functions()

    yield connect
    db_api.get_engine().dispose()
    for name in ("connection", "max_pool_size", "max_overflow", "pool_timeout"):
        cfg.CONF.clear_override(name, "database")


@pytest.fixture
def agent(connect):
    return connect()


@pytest.fixture
def tree(database):
    return insert_tree(database)


@pytest.fixture
def lock_timeout(database):
    """Have the database end waits for a lock after a short time."""
    before, after = LOCK_TIMEOUT[database.dialect.name]
    autocommit = database.execution_options(isolation_level="AUTOCOMMIT")
    with autocommit.connect() as connection:
        connection.execute(text(before))
    yield
    with autocommit.connect() as connection:
        connection.execute(text(after))


def no_connection_is_in_use():
    return db_api.get_engine().pool.checkedout() == 0


# --- what the sockets do


def test_statuses_of_all_kinds(agent, database, tree):
    agent.update_status(active(tree))
    assert statuses(database, tree) == dict.fromkeys(MODELS, ("ACTIVE", "ONLINE"))
    assert no_connection_is_in_use()


def test_deletions_count_quotas_down_once(agent, database, tree):
    gone = message(tree, *QUOTAS, provisioning_status="DELETED")
    for _ in range(2):
        agent.update_status(gone)
        found = statuses(database, tree)
        assert found.pop("loadbalancers")[0] == "DELETED"
        assert set(found.values()) == {None}
        assert in_use(database, tree) == dict.fromkeys(QUOTAS, 4)
    assert no_connection_is_in_use()


def test_a_status_that_octavia_does_not_know_is_refused(agent, database, tree):
    with pytest.raises(StatusRefused) as caught:
        agent.update_status(message(tree, "pools", provisioning_status="HAPPY"))
    assert caught.value.status_object_id == tree.pools
    agent.update_status(active(tree, "pools"))
    assert statuses(database, tree)["pools"] == ("ACTIVE", "ONLINE")
    assert no_connection_is_in_use()


def test_objects_of_all_kinds(agent, tree):
    for kind in MODELS:
        assert getattr(tree, kind) in str(agent.get(kind, getattr(tree, kind)))
        assert agent.get(kind, str(uuid.uuid4())) is None
    found = agent.get_load_balancer(tree.loadbalancers)
    assert found["vip_address"] == "10.0.0.9"
    assert found["pools"][0]["members"][0]["address"] == "10.0.0.4"
    assert no_connection_is_in_use()


def test_what_belongs_to_a_load_balancer(agent, database, tree):
    octavia, other = Octavia(agent, None, None), insert_tree(database)
    own, theirs = ({(kind, getattr(each, kind.value)) for kind in Kind} for each in (tree, other))
    assert octavia.belonging(tree.loadbalancers, own | theirs) == own
    agent.get_load_balancer = None  # objects that are asked for alone
    for key in own - {(Kind.L7RULE, tree.l7rules)}:
        assert octavia.belonging(tree.loadbalancers, {key}) == {key}


def test_statistics(agent, database, tree):
    counters = ("bytes_in", "bytes_out", "active_connections", "total_connections")
    names = (*counters, "request_errors")
    for value in (3, 2**30):
        agent.update_statistics(
            {"listeners": [{"id": tree.listeners, **dict.fromkeys(names, value)}]}
        )
        query = select(models.ListenerStatistics.bytes_in).where(
            models.ListenerStatistics.listener_id == tree.listeners
        )
        with database.connect() as connection:
            assert connection.execute(query).scalar() == value
    assert no_connection_is_in_use()


# --- what databases do


def test_a_status_waits_for_an_open_request(agent, database, tree):
    with ThreadPoolExecutor(1) as pool:
        with locked(database, tree) as request:
            reported = pool.submit(agent.update_status, active(tree, "loadbalancers"))
            time.sleep(0.3)
            assert not reported.done()
            request.execute(
                update(models.LoadBalancer)
                .where(models.LoadBalancer.id == tree.loadbalancers)
                .values(provisioning_status="PENDING_UPDATE")
            )
        reported.result()
    assert statuses(database, tree)["loadbalancers"] == ("ACTIVE", "ONLINE")


@contextlib.contextmanager
def reporting(agent, update):
    """Report an update as the agent does; return when Octavia has accepted it."""
    posted, ended = queue.Queue(), []
    reporter = Reporter(
        agent,
        Octavia(agent, None, None),
        lambda *_: ended.append(True),
        DaemonExecutor("reporter"),
        posted.put,
        time.monotonic,
    )
    reporter.send(update)
    reporter.run()
    yield
    while not ended:
        with contextlib.suppress(queue.Empty):
            posted.get(timeout=reporter.next_due() or 1.0)()
        reporter.run()


def test_a_request_is_reported_after_what_it_writes_last(agent, database, tree):
    """Octavia writes PENDING_UPDATE of a member after the driver has answered."""
    lock = message(tree, "loadbalancers", operating_status="ONLINE")
    report = StatusUpdate(tree.loadbalancers, "key", active(tree), lock)
    with contextlib.ExitStack() as reported, locked(database, tree) as request:
        reported.enter_context(reporting(agent, report))
        time.sleep(0.3)
        request.execute(
            update(models.Member)
            .where(models.Member.id == tree.members)
            .values(provisioning_status="PENDING_UPDATE")
        )
    assert set(statuses(database, tree).values()) == {("ACTIVE", "ONLINE")}


def test_a_creation_is_reported_after_its_commit(agent, database):
    lb_id = str(uuid.uuid4())
    created = SimpleNamespace(loadbalancers=lb_id)
    report = StatusUpdate(lb_id, "key", active(created, "loadbalancers"), new=True)
    row = {"id": lb_id, "name": "lb", "enabled": True, **PENDING}
    vip = {"load_balancer_id": lb_id, "ip_address": "10.0.0.9"}
    with contextlib.ExitStack() as reported, database.begin() as request:
        request.execute(models.LoadBalancer.__table__.insert(), [row])
        request.execute(models.Vip.__table__.insert(), [vip])
        reported.enter_context(reporting(agent, report))
        time.sleep(0.3)
    with database.connect() as connection:
        query = select(models.LoadBalancer.provisioning_status)
        assert connection.execute(query.where(models.LoadBalancer.id == lb_id)).scalar() == "ACTIVE"


def test_a_wait_that_is_too_long_for_the_caller(agent, database, tree):
    agent.update_status(active(tree, "members"))  # connects
    hasty = functions(timeout=0.5)
    with locked(database, tree):
        with pytest.raises(Unanswered):
            hasty.update_status(active(tree, "loadbalancers"))
        agent.update_status(active(tree, "pools"))  # does not wait
    deadline = time.monotonic() + 10.0
    while statuses(database, tree)["loadbalancers"] != ("ACTIVE", "ONLINE"):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_wait_that_the_database_ends(lock_timeout, agent, database, tree):
    with locked(database, tree), pytest.raises(Unavailable, match="does not serve"):
        agent.update_status(active(tree, "loadbalancers"))
    agent.update_status(active(tree, "loadbalancers"))
    assert no_connection_is_in_use()


def test_a_deletion_counts_quotas_down_once_however_long_octavia_takes_to_commit(
    lock_timeout, agent, database, tree
):
    """Octavia counts a quota down and deletes in two transactions; only the second one waits."""
    keys = [(kind, getattr(tree, kind.value)) for kind in Kind]
    final = status.final(Pending(("request",), dict.fromkeys(keys, Final.DELETED)))
    report = StatusUpdate(tree.loadbalancers, "key", final.message, final.first)
    with contextlib.ExitStack() as reported, locked(database, tree) as request:
        for kind, model in MODELS.items():
            row = update(model).where(model.id == getattr(tree, kind))
            request.execute(row.values(provisioning_status="PENDING_DELETE"))
        reported.enter_context(reporting(agent, report))
        time.sleep(2.5)
    assert in_use(database, tree) == dict.fromkeys(QUOTAS, 4)


def test_a_quota_that_another_request_holds_for_too_long(lock_timeout, agent, database, tree):
    """A request that creates holds the quota while Neutron makes its port."""
    row = select(models.Quotas.project_id).where(models.Quotas.project_id == tree.project)
    with database.begin() as request:
        request.execute(row.with_for_update())
        with pytest.raises(Unavailable, match="does not serve"):
            agent.update_status(message(tree, "pools", provisioning_status="DELETED"))
    assert no_connection_is_in_use()


def test_a_deadlock(agent, database, tree):
    """A change of a status locks the object, then the name of the status."""
    name = select(models.ProvisioningStatus.name).where(models.ProvisioningStatus.name == "ACTIVE")
    row = update(models.LoadBalancer).where(models.LoadBalancer.id == tree.loadbalancers)
    with ThreadPoolExecutor(1) as pool, database.connect() as connection:
        # MariaDB ends the transaction that has changed less.
        projects = [{"project_id": str(uuid.uuid4())} for _ in range(200)]
        connection.execute(models.Quotas.__table__.insert(), projects)
        connection.execute(name.with_for_update())
        reported = pool.submit(agent.update_status, active(tree, "loadbalancers"))
        time.sleep(0.3)
        assert not reported.done()
        connection.execute(row.values(name="held"))
        with pytest.raises(Unavailable, match=r"(?i)deadlock"):
            reported.result()
        connection.rollback()
    agent.update_status(active(tree, "loadbalancers"))
    assert statuses(database, tree)["loadbalancers"] == ("ACTIVE", "ONLINE")
    assert no_connection_is_in_use()


def test_a_server_that_restarts(agent, server, database, tree):
    agent.update_status(active(tree, "members"))
    server.stop()
    for call in (
        lambda: agent.update_status(active(tree)),
        lambda: agent.update_status(message(tree, *QUOTAS, provisioning_status="DELETED")),
        lambda: agent.get("pools", tree.pools),
    ):
        with pytest.raises(Unavailable, match="Octavia's database"):
            call()
    server.start()
    agent.update_status(active(tree))
    assert agent.get("pools", tree.pools)
    assert statuses(database, tree) == dict.fromkeys(MODELS, ("ACTIVE", "ONLINE"))
    assert no_connection_is_in_use()


def test_connections_that_break_in_use(agent, server, database, tree):
    with ThreadPoolExecutor(1) as pool, contextlib.suppress(Exception), locked(database, tree):
        reported = pool.submit(agent.update_status, active(tree, "loadbalancers"))
        time.sleep(0.3)
        server.stop()
    server.start()
    with pytest.raises(Unavailable, match="Octavia's database"):
        reported.result()
    agent.update_status(active(tree, "loadbalancers"))
    assert statuses(database, tree)["loadbalancers"] == ("ACTIVE", "ONLINE")


# --- threads, pool, processes


def test_several_threads_from_the_first_call_on(agent, database, tree):
    def work(number):
        agent.update_status(active(tree, "members", "pools"))
        assert agent.get("pools", tree.pools)
        agent.update_status(active(tree))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(20)))
    assert statuses(database, tree) == dict.fromkeys(MODELS, ("ACTIVE", "ONLINE"))
    assert no_connection_is_in_use()


def test_a_pool_of_one_connection(connect, tree):
    agent = connect(max_pool_size=1, max_overflow=0, pool_timeout=20)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: agent.update_status(active(tree)), range(20)))
    assert db_api.get_engine().pool.checkedin() == 1


def test_a_pool_that_is_used_up(connect, database, tree):
    agent = connect(max_pool_size=1, max_overflow=0, pool_timeout=0.3)
    with ThreadPoolExecutor(1) as pool:
        with locked(database, tree):
            reported = pool.submit(agent.update_status, active(tree, "loadbalancers"))
            time.sleep(0.3)
            with pytest.raises(Unavailable, match="QueuePool limit"):
                agent.update_status(active(tree, "pools"))
            with pytest.raises(Unavailable, match="QueuePool limit"):
                agent.get("pools", tree.pools)
        reported.result()
    agent.update_status(active(tree, "pools"))


def test_a_process_that_is_forked_from_one_with_connections(agent, database, tree):
    agent.update_status(active(tree, "members"))
    child = multiprocessing.get_context("fork").Process(
        target=agent.update_status, args=(active(tree),)
    )
    child.start()
    child.join(20.0)
    assert child.exitcode == 0
    agent.update_status(active(tree, "members"))  # by the connection that the child had, too
    assert statuses(database, tree) == dict.fromkeys(MODELS, ("ACTIVE", "ONLINE"))


def test_no_thread_is_left(agent, tree):
    before = threading.active_count()
    for _ in range(5):
        agent.update_status(active(tree))
    assert threading.active_count() <= before
