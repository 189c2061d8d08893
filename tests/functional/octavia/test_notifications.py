# SPDX-License-Identifier: Apache-2.0
"""Notifications for billing, beside those that Octavia's own tasks send of the same object."""

import json
import tempfile
import uuid
from pathlib import Path

import oslo_messaging
import pytest
from octavia.api.drivers.driver_agent import driver_get, driver_updater
from octavia.common import (
    config,  # noqa: F401 - registers Octavia's options
    rpc,
)
from octavia.controller.worker.v2.tasks import database_tasks
from octavia.controller.worker.v2.tasks import notification_tasks as octavias
from octavia.db import api as db_api
from octavia.db import models
from oslo_config import cfg
from oslo_db.sqlalchemy import enginefacade
from oslo_messaging._drivers import amqp
from oslo_messaging.notify import _impl_test
from oslo_serialization import jsonutils
from sqlalchemy import create_engine, update
from sqlalchemy.pool import NullPool

from octavia_ovn.adapters.octavia.driver_agent import DriverAgent
from octavia_ovn.adapters.octavia.in_process import InProcess
from octavia_ovn.adapters.octavia.notifications import Notifications, OsloMessaging, loader
from octavia_ovn.core.request.events import Event
from octavia_ovn.errors import Unavailable
from tests.functional.octavia.database_rows import insert_tree, message
from tests.lab.databases import MariaDB
from tests.lab.env import wait_until

TASKS = {
    Event.CREATED: octavias.SendCreateNotification,
    Event.UPDATED: octavias.SendUpdateNotification,
    Event.DELETED: octavias.SendDeleteNotification,
}
# What differs between any two notifications.
OWN = {"message_id", "timestamp", "_context_request_id"}


@pytest.fixture(scope="module")
def server():
    # The path of a unix socket is short; pytest's directories are not.
    with tempfile.TemporaryDirectory() as folder:
        started = MariaDB(Path(folder))
        try:
            started.prepare()
            yield started
        finally:
            started.stop()


@pytest.fixture
def database(server, monkeypatch):
    """Access of the test's own; Octavia is configured for the same database."""
    cfg.CONF.set_override("connection", server.url, "database")
    monkeypatch.setattr(db_api, "enginefacade", enginefacade.transaction_context())
    monkeypatch.setattr(db_api, "_FACADE", None)
    yield create_engine(server.url, poolclass=NullPool)
    db_api.get_engine().dispose()
    cfg.CONF.clear_override("connection", "database")


@pytest.fixture
def tree(database):
    return insert_tree(database)


class Wire:
    """A listener of oslo.messaging, on its broker in memory."""

    def __init__(self, transport):
        self.received = []
        target = oslo_messaging.Target(topic="notifications", exchange="octavia")
        self._server = oslo_messaging.get_notification_listener(
            transport, [target], [self], executor="threading"
        )
        self._server.start()

    def info(self, context, publisher_id, event_type, payload, metadata):
        self.received.append((context, publisher_id, event_type, payload))

    def close(self):
        self._server.stop()
        self._server.wait()


@pytest.fixture(scope="module")
def configured():
    """Octavia's configuration, parsed as in its processes."""
    cfg.CONF([], project="octavia", default_config_files=[], default_config_dirs=[])
    yield
    cfg.CONF.reset()


@pytest.fixture
def wire(configured, monkeypatch):
    """Octavia's own notifier, and a consumer of its notifications."""
    oslo_messaging.get_notification_transport(cfg.CONF, url="fake://")
    group = "oslo_messaging_notifications"
    for name, value in {"driver": ["test", "messagingv2"], "transport_url": "fake://"}.items():
        cfg.CONF.set_override(name, value, group)
    cfg.CONF.set_override("transport_url", "fake://")
    monkeypatch.setattr(rpc, "TRANSPORT", None)
    monkeypatch.setattr(rpc, "NOTIFICATION_TRANSPORT", None)
    monkeypatch.setattr(rpc, "NOTIFIER", None)
    rpc.init()
    _impl_test.reset()
    made = Wire(rpc.NOTIFICATION_TRANSPORT)
    yield made
    made.close()
    rpc.cleanup()
    for name in ("driver", "transport_url"):
        cfg.CONF.clear_override(name, group)
    cfg.CONF.clear_override("transport_url")


@pytest.fixture
def notifications(wire):
    made = Notifications(loader(), OsloMessaging(cfg.CONF))
    made.start()
    yield made
    made.close(5.0)


def adorn(database, tree):
    """Give a load balancer all that a load balancer can have."""
    zone, profile, flavor = (str(uuid.uuid4()) for _ in range(3))
    values = {"name": "gold", "enabled": True}
    with database.begin() as connection:
        for kind in ("Flavor", "AvailabilityZone"):
            described = {"id": profile, "name": profile, "provider_name": "ovn"}
            data = "flavor_data" if kind == "Flavor" else "availability_zone_data"
            table = getattr(models, f"{kind}Profile").__table__
            connection.execute(table.insert(), [described | {data: '{"cloud": 9}'}])
        connection.execute(
            models.Flavor.__table__.insert(),
            [values | {"id": flavor, "name": flavor, "flavor_profile_id": profile}],
        )
        connection.execute(
            models.AvailabilityZone.__table__.insert(),
            [values | {"name": zone, "availability_zone_profile_id": profile}],
        )
        connection.execute(
            update(models.LoadBalancer)
            .where(models.LoadBalancer.id == tree.loadbalancers)
            .values(description="all of it", flavor_id=flavor, availability_zone=zone)
        )
        connection.execute(
            update(models.Vip)
            .where(models.Vip.load_balancer_id == tree.loadbalancers)
            .values(
                {
                    name: str(uuid.uuid4())
                    for name in ("port_id", "subnet_id", "network_id", "qos_policy_id")
                }
            )
        )
        connection.execute(
            models.AdditionalVip.__table__.insert(),
            [
                {
                    "load_balancer_id": tree.loadbalancers,
                    "subnet_id": str(uuid.uuid4()),
                    "network_id": str(uuid.uuid4()),
                    "ip_address": "10.0.1.9",
                }
            ],
        )
        connection.execute(
            models.VipSecurityGroup.__table__.insert(),
            [{"load_balancer_id": tree.loadbalancers, "sg_id": str(uuid.uuid4())}],
        )


def of_octavia(event, wire, tree):
    """What the controller worker sends of a load balancer in the database."""
    TASKS[event]().execute(database_tasks.ReloadLoadBalancer().execute(tree.loadbalancers))
    return received(wire)


def received(wire):
    """The next notification as it is on the wire, without what each has of its own."""
    wait_until(lambda: wire.received and _impl_test.NOTIFICATIONS, 5)
    context, sent, priority, _ = _impl_test.NOTIFICATIONS.pop(0)
    packed = {**sent, "priority of the topic": priority}
    amqp.pack_context(packed, context)
    _, *rest = wire.received.pop(0)
    assert rest == [sent["publisher_id"], sent["event_type"], sent["payload"]]
    return json.loads(jsonutils.dumps({key: packed[key] for key in packed.keys() - OWN}))


@pytest.mark.parametrize("event", Event)
@pytest.mark.parametrize("adorned", [False, True], ids=["plain", "adorned"])
def test_the_same_as_octavias(wire, notifications, database, tree, event, adorned):
    if adorned:
        adorn(database, tree)
    expected = of_octavia(event, wire, tree)
    notifications.announce(tree.loadbalancers, event)

    assert received(wire) == expected
    assert expected["event_type"] == event.value
    assert expected["payload"]["loadbalancer_id"] == tree.loadbalancers
    assert expected["_context_project_id"] == expected["payload"]["project_id"] == tree.project
    assert ("flavor" in expected["payload"]) is adorned


def test_a_deleted_load_balancer_has_the_payload_that_it_had_before(
    wire, notifications, database, tree
):
    adorn(database, tree)
    expected = of_octavia(Event.DELETED, wire, tree)
    agent = DriverAgent(InProcess(driver_updater.DriverUpdater, driver_get.process_get, 20.0, 20.0))
    gone = {"provisioning_status": "DELETED", "operating_status": "OFFLINE"}
    agent.update_status(message(tree, "listeners", "pools", "loadbalancers", **gone))
    assert agent.get_load_balancer(tree.loadbalancers) is None
    notifications.announce(tree.loadbalancers, Event.DELETED)

    assert received(wire) == expected


def test_a_purged_load_balancer(database, tree):
    assert loader()(str(uuid.uuid4())) is None
    assert loader()(tree.loadbalancers)["name"] == "lb"


def test_a_database_that_does_not_answer(database, tree, monkeypatch):
    load = loader()
    assert load(tree.loadbalancers)
    db_api.get_engine().dispose()
    cfg.CONF.set_override("connection", "mysql+pymysql://me@127.0.0.1:1/octavia", "database")
    cfg.CONF.set_override("max_retries", 0, "database")
    monkeypatch.setattr(db_api, "enginefacade", enginefacade.transaction_context())
    monkeypatch.setattr(db_api, "_FACADE", None)
    with pytest.raises(Unavailable, match="Octavia's database does not serve"):
        load(tree.loadbalancers)
    cfg.CONF.clear_override("max_retries", "database")
