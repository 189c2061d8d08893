# SPDX-License-Identifier: Apache-2.0
"""Connection strings and TLS options, right and wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octavia_ovn.adapters.ovsdb.endpoint import Endpoint, Tls, inet_address
from octavia_ovn.errors import BadConfiguration

if TYPE_CHECKING:
    from pathlib import Path

SSL = "ssl:192.0.2.1:6641"


@pytest.mark.parametrize(
    ("connections", "remotes"),
    [
        (["tcp:192.0.2.1:6641"], ("tcp:192.0.2.1:6641",)),
        (["tcp:a:1,tcp:b:2", "tcp:c:3"], ("tcp:a:1", "tcp:b:2", "tcp:c:3")),
        (["tcp:[2001:db8::1]:6641 , tcp:[fe80::1%eth0]:1"],
         ("tcp:[2001:db8::1]:6641", "tcp:[fe80::1%eth0]:1")),
        (["unix:/run/a,b.sock,tcp:nb.example.org:1"],
         ("unix:/run/a,b.sock", "tcp:nb.example.org:1")),
        ([" unix:/x "], ("unix:/x",)),
    ],
)  # fmt: skip
def test_remotes(connections: list[str], remotes: tuple[str, ...]) -> None:
    parsed = Endpoint.parse(connections)
    assert parsed == Endpoint(remotes)
    assert parsed.option == "[ovn] ovn_nb_connection"


@pytest.mark.parametrize(
    "connection",
    ["", "192.0.2.1", "tcp:192.0.2.1", "tcp::6641", "tcp:2001:db8::1:6641", "tcp:a:0",
     "tcp:a:65536", "unix:", "ptcp:6641", "tcp:a:1,b:2"],
)  # fmt: skip
def test_malformed_remotes_name_the_option(connection: str) -> None:
    with pytest.raises(BadConfiguration, match=r"\[ovn\] ovn_sb_connection"):
        Endpoint.parse([connection], option_prefix="ovn_sb")


def test_missing_files_name_the_option(tmp_path: Path) -> None:
    files = {"private_key": "", "certificate": "", "ca_cert": ""}
    for name in files:
        with pytest.raises(BadConfiguration, match=rf"\[ovn\] ovn_nb_{name} is not set"):
            Endpoint.parse([SSL], **files)
        files[name] = str(tmp_path / name)
        with pytest.raises(BadConfiguration, match=rf"\[ovn\] ovn_nb_{name}: .* is not a file"):
            Endpoint.parse([SSL], **files)
        (tmp_path / name).touch()
    parsed = Endpoint.parse([SSL], **files)
    assert parsed.tls == Tls(**files)
    with pytest.raises(BadConfiguration, match="cannot be used"):
        parsed.tls.context()


def test_tls_options_are_not_read_without_tls() -> None:
    assert Endpoint.parse(["tcp:a:1"], "no", "such", "files").tls is None


def test_inet_address() -> None:
    assert inet_address("ssl:[2001:db8::1]:6641") == ("2001:db8::1", 6641)
    assert inet_address("tcp:nb.example.org:6641") == ("nb.example.org", 6641)
