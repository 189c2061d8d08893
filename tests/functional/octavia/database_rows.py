# SPDX-License-Identifier: Apache-2.0
"""Rows of Octavia's own database: one load balancer with an object of each kind."""

import contextlib
import uuid
from types import SimpleNamespace

from octavia.common import config  # noqa: F401 - registers Octavia's options
from octavia.db import models
from sqlalchemy import select

PENDING = {"provisioning_status": "PENDING_UPDATE", "operating_status": "OFFLINE"}
MODELS = {
    "members": models.Member,
    "healthmonitors": models.HealthMonitor,
    "pools": models.Pool,
    "l7rules": models.L7Rule,
    "l7policies": models.L7Policy,
    "listeners": models.Listener,
    "loadbalancers": models.LoadBalancer,
}
QUOTAS = {
    "members": "in_use_member",
    "healthmonitors": "in_use_health_monitor",
    "pools": "in_use_pool",
    "l7rules": "in_use_l7rule",
    "l7policies": "in_use_l7policy",
    "listeners": "in_use_listener",
    "loadbalancers": "in_use_load_balancer",
}
LOCK_TIMEOUT = {
    "mysql": (
        "SET GLOBAL innodb_lock_wait_timeout = 1",
        "SET GLOBAL innodb_lock_wait_timeout = 50",
    ),
    "postgresql": (
        "ALTER DATABASE octavia SET lock_timeout = 500",
        "ALTER DATABASE octavia RESET lock_timeout",
    ),
}
"""Statements by which a database ends waits for a lock soon, and the usual ones."""


def insert_tree(database):
    """Insert a load balancer with one object of each kind, all PENDING; return their ids."""
    project = str(uuid.uuid4())
    ids = {kind: str(uuid.uuid4()) for kind in MODELS}
    base = {"project_id": project, "enabled": True, **PENDING}
    values = {
        "loadbalancers": {"name": "lb"},
        "listeners": {
            "load_balancer_id": ids["loadbalancers"],
            "protocol": "TCP",
            "protocol_port": 80,
            "client_authentication": "NONE",
        },
        "pools": {
            "load_balancer_id": ids["loadbalancers"],
            "protocol": "TCP",
            "lb_algorithm": "SOURCE_IP_PORT",
            "tls_enabled": False,
        },
        "members": {
            "pool_id": ids["pools"],
            "ip_address": "10.0.0.4",
            "protocol_port": 80,
            "backup": False,
        },
        "healthmonitors": {
            "pool_id": ids["pools"],
            "type": "TCP",
            "delay": 5,
            "timeout": 3,
            "fall_threshold": 3,
            "rise_threshold": 3,
        },
        "l7policies": {"listener_id": ids["listeners"], "action": "REJECT", "position": 1},
        "l7rules": {
            "l7policy_id": ids["l7policies"],
            "type": "PATH",
            "compare_type": "EQUAL_TO",
            "value": "/",
            "invert": False,
        },
    }
    with database.begin() as connection:
        for kind, extra in values.items():
            row = {"id": ids[kind], **base, **extra}
            connection.execute(MODELS[kind].__table__.insert(), [row])
        vip = {"load_balancer_id": ids["loadbalancers"], "ip_address": "10.0.0.9"}
        connection.execute(models.Vip.__table__.insert(), [vip])
        quotas = {"project_id": project, **dict.fromkeys(QUOTAS.values(), 5)}
        connection.execute(models.Quotas.__table__.insert(), [quotas])
    return SimpleNamespace(project=project, **ids)


def statuses(database, tree):
    """Return both statuses of each object that is there."""
    found = {}
    with database.connect() as connection:
        for kind, model in MODELS.items():
            query = select(model.provisioning_status, model.operating_status)
            row = connection.execute(query.where(model.id == getattr(tree, kind))).first()
            found[kind] = row and tuple(row)
    return found


def in_use(database, tree):
    query = select(models.Quotas.__table__).where(models.Quotas.project_id == tree.project)
    with database.connect() as connection:
        row = connection.execute(query).mappings().one()
    return {kind: row[name] for kind, name in QUOTAS.items()}


def message(tree, *kinds, **status):
    return {kind: [{"id": getattr(tree, kind), **status}] for kind in kinds}


def active(tree, *kinds):
    return message(
        tree, *(kinds or MODELS), provisioning_status="ACTIVE", operating_status="ONLINE"
    )


@contextlib.contextmanager
def locked(database, tree):
    """Hold the row of the load balancer, as a request to Octavia's API does."""
    with database.begin() as connection:
        query = select(models.LoadBalancer.id).where(models.LoadBalancer.id == tree.loadbalancers)
        connection.execute(query.with_for_update())
        yield connection
