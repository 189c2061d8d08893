# SPDX-License-Identifier: Apache-2.0
"""How driver statuses and API transactions meet (store.py, status.py)."""

import threading

import pytest

from tests.lab.status import StatusUpdater
from tests.lab.store import MYSQL, POSTGRESQL, Store

ACTIVE = {"id": "a", "provisioning_status": "ACTIVE"}


def make(flavor):
    store = Store(flavor)
    return store, StatusUpdater(store, deallocate_vip=None)


def in_background(call, *args):
    thread = threading.Thread(target=call, args=args, daemon=True)
    thread.start()
    thread.join(0.1)
    return thread


def status_of(store, row_id, table="members"):
    return store.get(table, row_id)["provisioning_status"]


def test_mysql_status_waits_for_an_uncommitted_insert():
    store, updater = make(MYSQL)
    transaction = store.begin()
    transaction.insert("members", {"id": "a", "provisioning_status": "PENDING_CREATE"})
    thread = in_background(updater.apply, {"members": [ACTIVE]})
    assert thread.is_alive()
    transaction.commit()
    thread.join(1)
    assert status_of(store, "a") == "ACTIVE"


def test_postgresql_status_misses_an_uncommitted_insert():
    store, updater = make(POSTGRESQL)
    transaction = store.begin()
    transaction.insert("members", {"id": "a", "provisioning_status": "PENDING_CREATE"})
    assert updater.apply({"members": [ACTIVE]}) == {"status_code": 200}
    transaction.commit()
    assert status_of(store, "a") == "PENDING_CREATE"


@pytest.mark.parametrize("flavor", [MYSQL, POSTGRESQL])
def test_an_early_status_is_overwritten_where_the_api_updates_late(flavor):
    store, updater = make(flavor)
    with store.begin() as transaction:
        transaction.insert("members", dict(ACTIVE))
    with store.begin() as transaction:
        updater.apply({"members": [ACTIVE]})
        transaction.update("members", "a", provisioning_status="PENDING_UPDATE")
    assert status_of(store, "a") == "PENDING_UPDATE"


@pytest.mark.parametrize("flavor", [MYSQL, POSTGRESQL])
def test_status_waits_for_a_locked_row(flavor):
    store, updater = make(flavor)
    with store.begin() as transaction:
        transaction.insert("members", dict(ACTIVE))
    transaction = store.begin()
    transaction.update("members", "a", provisioning_status="PENDING_DELETE")
    thread = in_background(
        updater.apply, {"members": [{"id": "a", "provisioning_status": "DELETED"}]}
    )
    assert thread.is_alive()
    transaction.commit()
    thread.join(1)
    assert store.get("members", "a") is None


def test_rollback_leaves_nothing():
    store, _ = make(MYSQL)
    transaction = store.begin()
    transaction.insert("pools", {"id": "p"})
    transaction.rollback()
    assert store.get("pools", "p") is None


def test_deleting_a_pool_takes_its_children():
    store, updater = make(MYSQL)
    with store.begin() as transaction:
        transaction.insert("pools", {"id": "p", "provisioning_status": "-"})
        transaction.insert("members", dict(ACTIVE, pool_id="p"))
        transaction.insert("listeners", {"id": "l", "default_pool_id": "p"})
    updater.apply({"pools": [{"id": "p", "provisioning_status": "DELETED"}]})
    assert store.get("members", "a") is None
    assert store.get("listeners", "l")["default_pool_id"] is None


def test_unknown_status_is_refused():
    _, updater = make(MYSQL)
    answer = updater.apply({"members": [{"id": "a", "provisioning_status": "FINE"}]})
    assert answer["status_code"] == 500


def test_deleted_for_an_unknown_load_balancer_is_refused():
    _, updater = make(MYSQL)
    answer = updater.apply({"loadbalancers": [{"id": "x", "provisioning_status": "DELETED"}]})
    assert answer["status_code"] == 500


def test_pages():
    store = Store()
    rows = [{"id": str(number), "provisioning_status": "ACTIVE"} for number in range(5)]
    rows[3]["provisioning_status"] = "DELETED"
    store.load({"pools": rows})

    def page(size, marker=None):
        return [row["id"] for row in store.page("pools", size, marker)]

    assert page(2) == ["0", "1", "2"]
    assert page(2, "1") == ["2", "4"]
    assert page(None) == ["0", "1", "2", "4"]
