# SPDX-License-Identifier: Apache-2.0
"""Packets: protocols of layer 7 that OVN carries as TCP."""

from __future__ import annotations

import contextlib
import subprocess
from typing import TYPE_CHECKING

from sandbox import namespaces, shell
from tests.sandbox.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.sandbox.plane import Plane


_NAME = "one.example"
_TLS_PORT = "443"


def test_http_is_served_as_tcp_and_stays_http_for_octavia(plane: Plane) -> None:
    members = (plane.member("one"), plane.member("two"))
    lb = plane.load_balancer(plane.listener(*members, protocol="HTTP"))

    for client in ("beside", "behind"):
        assert set(plane.ask(client, lb["vip_address"])) == {"one", "two"}
    for kind in ("listeners", "pools"):
        (found,) = plane.cloud.octavia("GET", f"/{kind}?loadbalancer_id={lb['id']}")[kind]
        assert found["protocol"] == "HTTP"


def test_tls_passes_through_to_the_member(plane: Plane, tmp_path: Path) -> None:
    member = plane.member("one", protocol_port=int(_TLS_PORT))
    lb = plane.load_balancer(plane.listener(member, protocol="HTTPS"))
    resolve = ("--resolve", f"{_NAME}:80:{lb['vip_address']}")

    with _tls_server(plane, "one", tmp_path) as certificate:
        trust = ("--cacert", str(certificate))
        for client in ("beside", "behind"):
            words = ("curl", "--silent", "--show-error", "--max-time", "5", *trust, *resolve)
            page = plane.scenery.stack.guests.run(client, (*words, f"https://{_NAME}:80/"))
            assert "s_server" in page


@contextlib.contextmanager
def _tls_server(plane: Plane, guest: str, folder: Path) -> Iterator[Path]:
    """A server with a certificate of its own, which is returned."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subject = ("-subj", f"/CN={_NAME}", "-addext", f"subjectAltName=DNS:{_NAME}")
    files = ("-nodes", "-keyout", key, "-out", certificate)
    shell.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", *subject, *files])
    words = ("openssl", "s_server", "-accept", _TLS_PORT, "-key", str(key), "-cert")
    guests = plane.scenery.stack.guests
    inside = namespaces.command(guests.get(guest).namespace, (*words, str(certificate), "-www"))
    with subprocess.Popen(
        inside, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            until(lambda: f":{_TLS_PORT} " in guests.run(guest, ("ss", "-Hltn")))
            yield certificate
        finally:
            server.kill()
