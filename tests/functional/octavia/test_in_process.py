# SPDX-License-Identifier: Apache-2.0
"""Octavia's functions called in process: when they are, and what their errors become."""

import inspect
import logging
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType, SimpleNamespace

import pytest
from octavia.api.drivers.driver_agent import driver_get, driver_updater
from oslo_config import cfg
from oslo_db import exception as db_exception
from sqlalchemy import exc as sqlalchemy_exception

from octavia_ovn.adapters.octavia import in_process
from octavia_ovn.adapters.octavia.driver_agent import DriverAgent, StatusRefused
from octavia_ovn.adapters.octavia.in_process import Fallback, InProcess, choose
from octavia_ovn.errors import Unanswered, Unavailable
from tests.functional.driver_messages import FAULT, STATUS

PACKAGE = "octavia.api.drivers.driver_agent"
DATABASE_ERRORS = [
    db_exception.DBError("lost"),
    db_exception.DBConnectionError("refused"),
    db_exception.DBDeadlock("deadlock"),
    sqlalchemy_exception.TimeoutError("QueuePool limit of size 5 overflow 50 reached"),
]


class Session:
    def __init__(self):
        self.closed = False

    def close(self):
        self.closed = True


class Octavia:
    """Stands in for the two modules: records requests, and gives the answers that the test sets."""

    def __init__(self):
        self.requests = []
        self.sessions = []
        self.answer = {"status_code": 200}
        self.error = None
        self.constructed = lambda: None
        self.during = lambda: None
        octavia = self

        class DriverUpdater:
            def __init__(self, **kwargs):
                octavia.constructed()
                self.db_session = Session()
                octavia.sessions.append(self.db_session)

            def update_loadbalancer_status(self, status):
                return octavia.called(dict(status), status.clear)

            def update_listener_statistics(self, statistics):
                return octavia.called(statistics)

        def process_get(get_data):
            return octavia.called(get_data)

        self.updater, self.get = DriverUpdater, process_get

    def called(self, request, spoil=lambda: None):
        self.requests.append(request)
        spoil()
        self.during()
        if self.error is not None:
            raise self.error
        return self.answer


class Sockets:
    def __init__(self):
        self.requests = []

    def ask(self, service, request):
        self.requests.append((service.value, request))
        return {"status_code": 200}


@pytest.fixture
def octavia():
    return Octavia()


@pytest.fixture
def sockets():
    return Sockets()


def direct(octavia, **values):
    return InProcess(octavia.updater, octavia.get, **values)


# --- when it is used


@pytest.fixture
def loaded(monkeypatch, octavia):
    """Load the stand-ins as Octavia's modules."""
    updater, get = ModuleType("driver_updater"), ModuleType("driver_get")
    updater.DriverUpdater, get.process_get = octavia.updater, octavia.get
    monkeypatch.setitem(sys.modules, f"{PACKAGE}.driver_updater", updater)
    monkeypatch.setitem(sys.modules, f"{PACKAGE}.driver_get", get)
    return SimpleNamespace(updater=updater, get=get)


def conf(connection="mysql+pymysql://octavia@db/octavia"):
    config = cfg.ConfigOpts()
    config.register_opt(cfg.StrOpt("connection", default=connection), group="database")
    return config


def test_loaded_functions_are_called(loaded, octavia, sockets, caplog):
    with caplog.at_level(logging.INFO):
        agent = DriverAgent(choose("auto", sockets, conf()))
        agent.update_status(STATUS)
        agent.update_status(STATUS)
        agent.update_statistics({"listeners": []})
        octavia.answer = {"name": "mine"}
        assert agent.get("pools", "p") == {"name": "mine"}
    assert octavia.requests == [
        STATUS,
        STATUS,
        {"listeners": []},
        {"object": "pools", "id": "p"},
    ]
    assert sockets.requests == []
    assert [each.message for each in caplog.records] == [
        "Octavia is reached in this process, without the sockets of octavia-driver-agent"
    ]


def test_sockets_can_be_forced(loaded, sockets):
    assert choose("socket", sockets, conf()) is sockets


def test_a_process_without_octavia_uses_sockets_and_loads_nothing(monkeypatch, sockets):
    for module in ("driver_updater", "driver_get"):
        monkeypatch.delitem(sys.modules, f"{PACKAGE}.{module}")
        assert choose("auto", sockets, conf()) is sockets
    assert f"{PACKAGE}.driver_updater" not in sys.modules


@pytest.mark.parametrize("config", [conf(connection=None), conf(connection=""), cfg.ConfigOpts()])
def test_without_a_database_the_sockets_are_used(loaded, sockets, caplog, config):
    assert choose("auto", sockets, config) is sockets
    assert "[database] connection is not set" in caplog.text


@pytest.mark.parametrize("name", [name for _, name, _ in in_process.SIGNATURES])
def test_other_parameters_than_expected_mean_sockets(loaded, sockets, caplog, name):
    owner = loaded.get if name == "process_get" else loaded.updater
    *path, last = name.split(".")
    for part in path:
        owner = getattr(owner, part)
    setattr(owner, last, lambda *new: new)
    assert choose("auto", sockets, conf()) is sockets
    assert name in caplog.text
    assert "new" in caplog.text


@pytest.mark.parametrize("name", ["DriverUpdater", "process_get"])
def test_a_function_that_is_missing_means_sockets(loaded, sockets, caplog, name):
    delattr(loaded.get if name == "process_get" else loaded.updater, name)
    assert choose("auto", sockets, conf()) is sockets
    assert name in caplog.text


def test_the_installed_octavia_has_the_expected_parameters(sockets):
    assert sys.modules[f"{PACKAGE}.driver_updater"] is driver_updater
    assert sys.modules[f"{PACKAGE}.driver_get"] is driver_get
    assert isinstance(choose("auto", sockets, conf()), Fallback)
    assert "db_session" in inspect.getsource(driver_updater.DriverUpdater.__init__)


# --- requests and answers


def test_requests_are_copies(octavia):
    status = {"pools": [{"id": "p", "operating_status": "ONLINE"}]}
    DriverAgent(direct(octavia)).update_status(status)
    assert status == {"pools": [{"id": "p", "operating_status": "ONLINE"}]}


def test_a_refusal(octavia):
    octavia.answer = dict(FAULT)
    with pytest.raises(StatusRefused) as caught:
        DriverAgent(direct(octavia)).update_status(STATUS)
    assert caught.value.status_object_id == "i"


def test_answers_are_json(octavia):
    octavia.answer = {"members": ({"weight": 1},), 5: None}
    assert DriverAgent(direct(octavia)).get("pools", "p") == {"members": [{"weight": 1}], "5": None}


def test_sessions_are_closed_also_after_an_error(octavia):
    agent = DriverAgent(direct(octavia))
    agent.update_status(STATUS)
    octavia.error = db_exception.DBError("lost")
    with pytest.raises(Unavailable):
        agent.update_status(STATUS)
    assert [each.closed for each in octavia.sessions[1:]] == [
        True,
        True,
    ]  # after that which connects


# --- errors


@pytest.mark.parametrize("error", DATABASE_ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_of_the_database_is_an_outage(octavia, sockets, error):
    agent = DriverAgent(Fallback(direct(octavia), sockets))
    octavia.error = error
    with pytest.raises(Unavailable, match="Octavia's database"):
        agent.get("pools", "p")
    octavia.error = None
    agent.update_status(STATUS)
    assert sockets.requests == []


@pytest.mark.parametrize("error", DATABASE_ERRORS, ids=lambda error: type(error).__name__)
def test_a_database_that_cannot_be_reached_at_first_is_an_outage(octavia, sockets, error):
    agent = DriverAgent(Fallback(direct(octavia), sockets))

    def fail():
        raise error

    octavia.constructed = fail
    with pytest.raises(Unavailable, match="Octavia's database"):
        agent.update_status(STATUS)
    octavia.constructed = lambda: None
    agent.update_status(STATUS)
    assert (octavia.requests, sockets.requests) == ([STATUS], [])


@pytest.mark.parametrize("error", [AttributeError("no such thing"), TimeoutError("of something")])
def test_any_other_error_means_sockets_from_then_on(octavia, sockets, caplog, error):
    agent = DriverAgent(Fallback(direct(octavia), sockets))
    octavia.error = error
    agent.get("pools", "p")
    octavia.error = None
    agent.update_status(STATUS)
    assert [each for each, _ in sockets.requests] == ["get", "status"]
    assert len(octavia.requests) == 1
    logged = [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert len(logged) == 1
    assert logged[0].exc_info[1] is error


def test_what_ends_a_thread_reaches_the_caller(octavia):
    octavia.error = SystemExit(3)
    with pytest.raises(SystemExit):
        DriverAgent(direct(octavia)).update_status(STATUS)


def test_a_status_that_octavia_may_have_applied_in_part_is_not_sent_again_at_once(octavia, sockets):
    agent = DriverAgent(Fallback(direct(octavia), sockets))
    octavia.error = AttributeError("no such thing")
    with pytest.raises(Unanswered, match="no such thing"):
        agent.update_status(STATUS)
    assert sockets.requests == []
    agent.update_status(STATUS)
    assert len(sockets.requests) == 1


def test_an_answer_that_is_none_means_sockets(octavia, sockets):
    octavia.answer = None
    agent = DriverAgent(Fallback(direct(octavia), sockets))
    with pytest.raises(Unanswered):
        agent.update_status(STATUS)
    agent.update_status(STATUS)
    assert len(sockets.requests) == 1


# --- threads


def test_only_one_thread_connects(octavia):
    inside, most = [], []

    def construct():
        inside.append(None)
        most.append(len(inside) + len(octavia.requests))
        time.sleep(0.05)
        inside.pop()

    octavia.constructed = construct
    agent = DriverAgent(direct(octavia))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: agent.get("pools", "p"), range(4)))
    assert (most, len(octavia.requests)) == ([1], 4)


def test_a_call_that_takes_too_long_may_still_be_executed(octavia):
    release = threading.Event()
    octavia.during = release.wait
    agent = DriverAgent(direct(octavia, timeout=0.1, status_timeout=0.1))
    try:
        with pytest.raises(Unanswered):
            agent.update_status(STATUS)
    finally:
        release.set()


def test_a_status_that_has_begun_is_waited_for_longer(octavia):
    """Sent again, it would be executed twice."""
    agent = DriverAgent(direct(octavia, timeout=0.1))
    octavia.during = lambda: time.sleep(0.5)
    agent.update_status(STATUS)
    with pytest.raises(Unanswered):
        agent.get("pools", "p")


def test_a_call_that_waited_for_the_connection_is_not_executed_later(octavia):
    release = threading.Event()
    octavia.constructed = release.wait
    transport = direct(octavia, timeout=0.1)
    for _ in range(2):
        with pytest.raises(Unavailable) as caught:
            DriverAgent(transport).update_status(STATUS)
        assert not isinstance(caught.value, Unanswered)
    release.set()
    DriverAgent(transport).get("pools", "p")
    assert octavia.requests == [{"object": "pools", "id": "p"}]


def test_calls_are_bounded_and_slots_are_given_back(octavia):
    release = threading.Event()
    octavia.during = release.wait
    agent = DriverAgent(direct(octavia, timeout=0.1, max_calls=2))
    for _ in range(2):
        with pytest.raises(Unanswered):
            agent.get("pools", "p")
    with pytest.raises(Unavailable) as caught:
        agent.get("pools", "p")
    assert not isinstance(caught.value, Unanswered)
    release.set()
    for _ in range(5):
        agent.get("pools", "p")
    assert len(octavia.requests) == 7


def test_a_system_without_threads_left_is_an_outage(octavia, monkeypatch):
    agent = DriverAgent(direct(octavia, timeout=0.1, max_calls=1))

    def fail(_):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        with pytest.raises(Unavailable, match="start new thread"):
            agent.update_status(STATUS)
    agent.update_status(STATUS)
