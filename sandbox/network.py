# SPDX-License-Identifier: Apache-2.0
"""Small questions about sockets and HTTP."""

from __future__ import annotations

import collections
import contextlib
import http.client
import os
import socket
import urllib.error
import urllib.request
from pathlib import Path

from sandbox import shell

_LISTENING = "00010000"  # flag __SO_ACCEPTCON

# Without a handler for proxies: everything here is on this machine, whatever http_proxy says.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def unix_listens(path: Path) -> bool:
    """Say whether a server of this network namespace listens on the socket.

    Asks the kernel instead of connecting: servers take a connection without a request for an
    error, and a file that a dead server left would look alive.
    """
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        fields = line.split(maxsplit=7)
        if fields[3] == _LISTENING and fields[7:] == [str(path)]:
            return True
    return False


def tcp_listens(host: str, port: int) -> bool:
    """Say whether a server accepts connections on the port."""
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex((host, port)) == 0


def is_free(host: str, port: int) -> bool:
    """Say whether a server could listen on the port."""
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((host, port))
        except OSError:
            return False
    return True


def http_answers(url: str) -> bool:
    """Say whether the server answers, be it with an error that is the client's fault."""
    try:
        with OPENER.open(url, timeout=20):
            return True
    except urllib.error.HTTPError as error:
        return error.code < http.HTTPStatus.INTERNAL_SERVER_ERROR
    except (OSError, http.client.HTTPException):
        return False


def unix_clients(path: Path) -> collections.Counter[int]:
    """Count connections to a unix socket by the process that holds the client's end.

    A process that inherited a connection counts too.
    """
    listing = shell.run(["ss", "-H", "-x", "state", "established"])
    # The server's ends carry the path: ... PATH INODE * PEER-INODE
    peers = {words[-1] for line in listing.splitlines() if str(path) in (words := line.split())}
    holders: collections.Counter[int] = collections.Counter()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):  # Processes end while we look.
            inode = os.readlink(link).removeprefix("socket:[").rstrip("]")
            if inode in peers:
                holders[int(link.parts[2])] += 1
    return holders
