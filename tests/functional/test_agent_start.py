# SPDX-License-Identifier: Apache-2.0
"""A provider agent that cannot start, or ends, leaves nothing open in a process that stays.

octavia-driver-agent calls it again after each error, every second, for as long as the cause lasts.
"""

import dataclasses
import multiprocessing
import os
import signal
import threading
import time

import pytest
from oslo_config import cfg

from octavia_ovn import agent
from octavia_ovn.config import octavia
from octavia_ovn.errors import BadConfiguration, OctaviaOvnError, Refused, Unavailable
from tests.functional.ovsdb.server import SCHEMA, Server

STARTS = 50
SOUTHBOUND = SCHEMA.with_name("ovn-sb.ovsschema")
PATIENCE = 20.0


@pytest.fixture
def settings(server):
    conf = cfg.ConfigOpts()
    conf([], project="octavia", default_config_files=[])
    found = octavia.load(conf)
    return dataclasses.replace(
        found,
        connection_timeout=0.5,
        nb=found.nb._replace(connections=(f"unix:{server.socket}",)),
        sb=found.sb._replace(connections=("tcp:127.0.0.1:1",)),
    )


def held():
    """The resources of a process: descriptors, and the agent's threads."""
    return len(os.listdir("/proc/self/fd")), threading.active_count()


def settled_at(expected=None):
    """The resources once all stopped threads have ended."""
    end = time.monotonic() + PATIENCE
    before = None
    while held() > (expected or before or (0, 0)) and time.monotonic() < end:
        before = held()
        time.sleep(0.5)
    return held()


def tls_missing(settings, directory, monkeypatch):
    return _without_tls(settings, "nb", directory)


def southbound_tls_missing(settings, directory, monkeypatch):
    return _without_tls(settings, "sb", directory)


def _without_tls(settings, database, directory):
    names = dict.fromkeys(("private_key", "certificate", "ca_cert"), str(directory / "none"))
    old = getattr(settings, database)
    options = old._replace(connections=("ssl:127.0.0.1:6641",), **names)
    return dataclasses.replace(settings, **{database: options})


def refused(settings, directory, monkeypatch):
    nb = settings.nb._replace(connections=("tcp:127.0.0.1:1",))
    return dataclasses.replace(settings, nb=nb, connection_timeout=0.02)


def no_socket(settings, directory, monkeypatch):
    nb = settings.nb._replace(connections=(f"unix:{directory}/none",))
    return dataclasses.replace(settings, nb=nb, connection_timeout=0.02)


def too_old(settings, directory, monkeypatch):
    monkeypatch.setattr("octavia_ovn.adapters.northbound.replica.CHECKS", "A_Table_That_No_OVN_Has")
    return settings


def defect_at_the_end(settings, directory, monkeypatch):
    def broken(*_, **__):
        raise KeyError("a defect")

    monkeypatch.setattr(agent, "Listeners", broken)
    return settings


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (tls_missing, BadConfiguration),
        (southbound_tls_missing, BadConfiguration),
        (refused, Unavailable),
        (no_socket, Unavailable),
        (too_old, Refused),
        (defect_at_the_end, KeyError),
    ],
)
def test_failed_starts_leave_nothing_open(settings, directory, monkeypatch, failure, error):
    broken = failure(settings, directory, monkeypatch)
    with pytest.raises(error):
        agent.start(broken)
    before = held()
    for _ in range(STARTS):
        with pytest.raises(error):
            agent.start(broken)
    assert settled_at(before) <= before


def test_a_server_without_the_database_leaves_nothing_open(settings, tmp_path_factory):
    directory = tmp_path_factory.mktemp("sb")
    with Server(directory, schema=SOUTHBOUND) as other:
        nb = settings.nb._replace(connections=(f"unix:{other.socket}",))
        broken = dataclasses.replace(settings, nb=nb, connection_timeout=0.05)
        with pytest.raises(OctaviaOvnError):
            agent.start(broken)
        before = held()
        for _ in range(STARTS):
            with pytest.raises(OctaviaOvnError):
                agent.start(broken)
        assert settled_at(before) <= before


@pytest.mark.parametrize("broken", [True, False])
def test_a_run_that_ends_leaves_nothing_open(settings, broken):
    """Whether it was stopped, or an unexpected error ended it."""

    class Event:
        def __init__(self):
            self.turns = 0

        def is_set(self):
            self.turns += 1
            if self.turns > 3 and broken:
                raise KeyError("a defect")
            return self.turns > 3

    def run():
        made = agent.start(settings)
        if broken:
            with pytest.raises(KeyError):
                made.run(Event())
        else:
            made.run(Event())

    run()
    before = settled_at()
    for _ in range(5):
        run()
    assert settled_at(before) <= before


def _outlive(ends, started):
    """Be octavia-driver-agent that is killed while its provider agent cannot start."""
    context = multiprocessing.get_context("fork")
    child = context.Process(target=_provider_agent, args=(ends, started))
    child.start()
    signal.pause()


def _provider_agent(ends, started):
    """Call the agent as octavia-driver-agent does: again after each error."""
    while True:
        try:
            agent.run(_Never())
            break
        except OctaviaOvnError:
            started.set()
            time.sleep(0.05)
    ends.set()


class _Never:
    def is_set(self):
        return False


def test_an_orphan_ends_although_it_has_never_started(settings, directory, monkeypatch):
    broken = refused(settings, directory, monkeypatch)
    monkeypatch.setattr(octavia, "load", lambda: broken)
    context = multiprocessing.get_context("fork")
    ends, started = context.Event(), context.Event()
    parent = context.Process(target=_outlive, args=(ends, started))
    parent.start()
    assert started.wait(PATIENCE)
    assert not ends.is_set()
    parent.kill()
    parent.join(PATIENCE)
    assert ends.wait(PATIENCE)
