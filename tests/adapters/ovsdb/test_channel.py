# SPDX-License-Identifier: Apache-2.0
"""Messages of a lost connection do not count for the next one."""

import json
import socket
import tempfile
import time
from pathlib import Path

from octavia_ovn.adapters.ovsdb.channel import Channel
from octavia_ovn.adapters.ovsdb.endpoint import Endpoint

PATIENCE = 10


def encoded(**message):
    return json.dumps(message).encode()


ECHO = encoded(method="echo", params=[], id="probe")
UPDATE = encoded(method="update3", params=["of the first connection"], id=None)


def until(channel, condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        channel.run()
        time.sleep(0.01)


def test_messages_that_follow_a_probe_that_cannot_be_answered_are_dropped(monkeypatch):
    """The answer fails because the server has gone; it had sent more before."""
    with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as server:
        path = str(Path(directory) / "db.sock")
        server.bind(path)
        server.listen()
        channel = Channel(Endpoint((f"unix:{path}",)), probe_interval=0)
        until(channel, channel.is_connected)
        first, _ = server.accept()
        first.sendall(ECHO + UPDATE)

        def gone(_):
            raise BrokenPipeError(32, "Broken pipe")

        channel._link.send = gone
        assert channel.recv() is None
        assert not channel.is_connected()
        first.close()

        until(channel, channel.is_connected)
        second, _ = server.accept()
        assert channel.recv() is None
        second.sendall(encoded(method="update3", params=["of the second"], id=None))
        received = []
        until(channel, lambda: received.append(channel.recv()) or received[-1])
        assert received[-1].params == ["of the second"]
        second.close()
        channel.close()
