# SPDX-License-Identifier: Apache-2.0
"""Addresses and TLS files of OVSDB servers.

Shared by the API's session and the agent's replica, so that both read the options alike and both
name the option at fault. A TLS context is made for every connection: certificates are rotated while
processes run for months.
"""

from __future__ import annotations

import errno
import os
import random
import re
import socket
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from octavia_ovn.errors import BadConfiguration

if TYPE_CHECKING:
    from collections.abc import Sequence

# A path may hold commas, so a comma separates only where a connection method follows.
_SEPARATOR = re.compile(r"\s*,\s*(?=(?:tcp|ssl|unix):)")
_INET = re.compile(r"(?:tcp|ssl):(?P<host>\[[0-9A-Fa-f:.]+(?:%\w+)?\]|[^\[\]:,\s]+):(?P<port>\d+)")
_MAX_PORT = 65535


@dataclass(frozen=True, slots=True)
class Tls:
    """Paths of PEM files: the client's key, the client's certificate and the server's CA."""

    private_key: str
    certificate: str
    ca_cert: str

    def context(self) -> ssl.SSLContext:
        """Read the files and return a client context that verifies the peer against the CA.

        Like every OVSDB client it does not compare host names: the certificates of OVN name
        nodes, and the addresses in the options are often virtual.

        :raises BadConfiguration: a file is gone, is not PEM, or key and certificate do not match
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_REQUIRED
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_verify_locations(self.ca_cert)
            context.load_cert_chain(self.certificate, self.private_key)
        except OSError as error:
            files = f"{self.private_key}, {self.certificate}, {self.ca_cert}"
            raise BadConfiguration(f"The TLS files {files} cannot be used: {error}") from error
        return context


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The servers of one database, as OVSDB connection strings, and the TLS files if they need any.

    `remotes` holds strings like `tcp:192.0.2.1:6641`, `ssl:[2001:db8::1]:6641` and
    `unix:/run/ovn/ovnnb_db.sock`; several are the members of one cluster. `option` is where they
    were read from, like `[ovn] ovn_nb_connection`; empty if no option names them.
    """

    remotes: tuple[str, ...]
    tls: Tls | None = None
    option: str = field(default="", compare=False)

    @classmethod
    def parse(
        cls,
        connections: Sequence[str],
        private_key: str = "",
        certificate: str = "",
        ca_cert: str = "",
        option_prefix: str = "ovn_nb",
    ) -> Endpoint:
        """Check the options `[ovn] <option_prefix>_connection`, `…_private_key` and so on.

        Each item of `connections` may itself hold several remotes separated by commas. The TLS
        files are checked only when a remote is an `ssl:` one.

        :raises BadConfiguration: names the option that is missing or wrong
        """
        remotes = tuple(
            remote
            for connection in connections
            for remote in _SEPARATOR.split(connection.strip())
            if remote
        )
        option = f"[ovn] {option_prefix}_connection"
        if not remotes:
            raise BadConfiguration(f"{option} is empty: set the OVSDB server to connect to")
        for remote in remotes:
            _check_remote(remote, option)
        if not any(remote.startswith("ssl:") for remote in remotes):
            return cls(remotes, option=option)
        files = {"private_key": private_key, "certificate": certificate, "ca_cert": ca_cert}
        for name, path in files.items():
            _check_file(path, f"[ovn] {option_prefix}_{name}")
        return cls(remotes, Tls(**files), option)

    def __str__(self) -> str:
        return ",".join(self.remotes)

    def connect(self, remote: str, timeout: float) -> socket.socket:
        """Open a connection to one of the remotes with, for `ssl:`, the TLS handshake.

        :param remote: one of `remotes`
        :param timeout: seconds, for each step
        :raises OSError: the server cannot be reached, or the handshake failed
        :raises BadConfiguration: the TLS files cannot be used
        """
        connected = _connect(remote, timeout)
        if self.tls is None or not remote.startswith("ssl:"):
            return connected
        try:
            return self.tls.context().wrap_socket(connected)
        except (OSError, BadConfiguration):
            connected.close()
            raise


def dial(remote: str) -> socket.socket:
    """Return a non-blocking socket that is connected or is connecting.

    The IP address of a name is resolved in the ordinary, blocking way.

    :raises OSError: the attempt has failed already
    """
    path = unix_path(remote)
    address: Any
    if path is not None:
        dialled, address = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), path
    else:
        found = socket.getaddrinfo(*inet_address(remote), type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = random.choice(found)  # noqa: S311  # no secret
        dialled = socket.socket(family, kind, protocol)
        dialled.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    dialled.setblocking(False)
    error = dialled.connect_ex(address)
    if error not in (0, errno.EINPROGRESS):
        dialled.close()
        raise OSError(error, os.strerror(error))
    return dialled


def inet_address(remote: str) -> tuple[str, int]:
    """Return host and port of a valid `tcp:` or `ssl:` remote."""
    host, _, port = remote.split(":", 1)[1].rpartition(":")
    return host.strip("[]"), int(port)


def unix_path(remote: str) -> str | None:
    """Return the path of a `unix:` remote, None for another remote."""
    return remote.split(":", 1)[1] if remote.startswith("unix:") else None


def _connect(remote: str, timeout: float) -> socket.socket:
    path = unix_path(remote)
    if path is None:
        connected = socket.create_connection(inet_address(remote), timeout)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connected
    connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connected.settimeout(timeout)
        connected.connect(path)
    except OSError:
        connected.close()
        raise
    return connected


def _check_remote(remote: str, option: str) -> None:
    if remote.startswith("unix:") and len(remote) > len("unix:"):
        return
    match = _INET.fullmatch(remote)
    if match is None or not 0 < int(match["port"]) <= _MAX_PORT:
        raise BadConfiguration(
            f"{option} holds {remote!r}: set tcp:HOST:PORT, ssl:HOST:PORT (an IPv6 address in"
            " brackets) or unix:PATH"
        )


def _check_file(path: str, option: str) -> None:
    if not path:
        raise BadConfiguration(f"{option} is not set, and an ssl: connection needs it")
    if not os.path.isfile(path):
        raise BadConfiguration(f"{option}: {path} is not a file")
    if not os.access(path, os.R_OK):
        raise BadConfiguration(f"{option}: {path} cannot be read by this process")
