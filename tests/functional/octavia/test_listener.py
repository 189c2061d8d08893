# SPDX-License-Identifier: Apache-2.0
"""The client of octavia-driver-agent against the server of an Octavia that is installed."""

import tempfile
import threading
from pathlib import Path

import pytest

from octavia_ovn.adapters.octavia.driver_agent import DriverAgent, StatusRefused
from octavia_ovn.adapters.octavia.sockets import Sockets
from tests.functional.driver_messages import FAULT, STATUS


class Updater:
    """In place of the one that writes Octavia's database."""

    def update_loadbalancer_status(self, status):
        return {"status_code": 200} if status == STATUS else dict(FAULT)


@pytest.fixture
def agent(monkeypatch):
    """A client of Octavia's server, which forks for each connection."""
    # Not by each worker that collects tests: it takes seconds.
    from octavia.api.drivers.driver_agent import driver_listener  # noqa: PLC0415

    monkeypatch.setattr(driver_listener.driver_updater, "DriverUpdater", Updater)
    # The path of a unix socket is short; pytest's directories are not.
    with tempfile.TemporaryDirectory() as path:
        paths = [str(Path(path) / f"{name}.sock") for name in ("status", "stats", "get")]
        handler = driver_listener.StatusRequestHandler
        with driver_listener.ForkingUDSServer(paths[0], handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield DriverAgent(Sockets(*paths))
            server.shutdown()


def test_what_octavia_takes(agent):
    agent.update_status(STATUS)


def test_what_octavia_refuses(agent):
    with pytest.raises(StatusRefused) as caught:
        agent.update_status({"listeners": [{"id": "i"}]})
    assert caught.value.status_object_id == "i"
