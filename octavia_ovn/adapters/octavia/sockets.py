# SPDX-License-Identifier: Apache-2.0
"""The unix sockets of octavia-driver-agent.

The wire format is octavia-lib's: a request is its length in decimal, a newline and JSON; so is the
answer; then the connection ends. Its client reads byte by byte with a pause of 10 ms after each and
waits for up to two minutes in its constructor, so this one takes its place.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Mapping
from typing import Any

from octavia_ovn.adapters.octavia.transport import TIMEOUT, Service
from octavia_ovn.errors import Unanswered, Unavailable

_CHUNK = 65536


class Sockets:
    """Sends each request through a connection of its own; nothing is done before the first.

    :param status_path: path of a socket; so are the next two
    :param timeout: seconds for one request and its answer
    """

    def __init__(
        self, status_path: str, stats_path: str, get_path: str, timeout: float = TIMEOUT
    ) -> None:
        self._paths = {
            Service.STATUS: status_path,
            Service.STATS: stats_path,
            Service.GET: get_path,
        }
        self._timeout = timeout

    def ask(self, service: Service, request: Mapping[str, object]) -> dict[str, Any]:
        """Return the answer to a request, see :class:`Transport`."""
        path = self._paths[service]
        deadline = time.monotonic() + self._timeout
        body = json.dumps(request).encode()
        kind: type[Unavailable] = Unavailable  # until it has the request
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
                _limit(peer, deadline)
                peer.connect(path)
                kind = Unanswered
                peer.sendall(b"%d\n%b" % (len(body), body))
                answer = json.loads(_receive(peer, deadline))
        except BlockingIOError as error:
            msg = f"octavia-driver-agent did not answer at {path} within {self._timeout:g} s"
            raise kind(msg) from error
        except (OSError, EOFError) as error:
            raise kind(f"octavia-driver-agent does not serve {path}: {error}") from error
        except ValueError as error:
            msg = f"octavia-driver-agent does not speak its protocol at {path}: {error}"
            raise kind(msg) from error
        if not isinstance(answer, dict):
            raise kind(f"octavia-driver-agent does not speak its protocol at {path}")
        return answer


def _limit(peer: socket.socket, deadline: float) -> None:
    """Have the kernel end all waiting on a socket at a time of the monotonic clock.

    Python's own time-outs make the socket non-blocking, and then connecting fails at once when the
    driver agent's short queue of connections is full instead of waiting for a place in it.

    :raises BlockingIOError: when the time has come
    """
    left = deadline - time.monotonic()
    if left <= 0:
        raise BlockingIOError
    interval = struct.pack("ll", int(left), max(1, int(left % 1 * 1_000_000)))
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, interval)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, interval)


def _receive(peer: socket.socket, deadline: float) -> bytes:
    """Return the body of an answer.

    :raises EOFError: when the connection ends before it is complete
    :raises ValueError: when it does not begin with a length
    """
    size = None
    data = b""
    while size is None or len(data) < size:
        _limit(peer, deadline)
        chunk = peer.recv(_CHUNK)
        if not chunk:
            raise EOFError("the connection ended before the answer was complete")
        data += chunk
        if size is None and b"\n" in data:
            head, data = data.split(b"\n", 1)
            size = int(head)
    return data[:size]
