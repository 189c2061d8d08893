# SPDX-License-Identifier: Apache-2.0
"""The options of `[ovn]` with the locations of OVN's databases.

Apart from :mod:`octavia_ovn.config.octavia`, because a collector on a chassis reads these only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from oslo_config import cfg, types

_CONNECTION = types.String(regex=r"^(tcp|ssl|unix):.+")


def database_opts(prefix: str, name: str, port: int) -> list[cfg.Opt]:
    """Return the options of one database.

    :param prefix: of their names
    :param name: of the database, for people
    :param port: its usual TCP port
    """
    return [
        cfg.ListOpt(
            f"{prefix}_connection",
            default=[f"tcp:127.0.0.1:{port}"],
            item_type=_CONNECTION,
            help=f"Servers of the {name} database, separated by commas: tcp:HOST:PORT,"
            " ssl:HOST:PORT or unix:FILE. Name all members of a cluster. ssl needs"
            f" {prefix}_private_key, {prefix}_certificate and {prefix}_ca_cert.",
        ),
        cfg.StrOpt(
            f"{prefix}_private_key",
            default="",
            help=f"PEM file with the private key for ssl connections to the {name} database.",
        ),
        cfg.StrOpt(
            f"{prefix}_certificate",
            default="",
            help=f"PEM file with the certificate that belongs to {prefix}_private_key.",
        ),
        cfg.StrOpt(
            f"{prefix}_ca_cert",
            default="",
            help=f"PEM file with the CA certificates that servers of the {name} database are"
            " verified with.",
        ),
    ]


SOUTHBOUND_OPTS = database_opts("ovn_sb", "OVN Southbound", 6642)


class Database(NamedTuple):
    """The location of an OVSDB database; the fields are the arguments of `Endpoint.parse`.

    :param connections: strings like `tcp:192.0.2.1:6641`
    :param private_key: path of a PEM file, or empty; so are the next two
    :param option_prefix: `ovn_nb` or `ovn_sb`, for messages about the options
    """

    connections: tuple[str, ...]
    private_key: str
    certificate: str
    ca_cert: str
    option_prefix: str

    @classmethod
    def read(cls, get: Callable[[str], Any], prefix: str) -> Database:
        """Return what the options of one database say.

        :param get: returns the value of an option of `[ovn]`
        :param prefix: of their names
        """
        return cls(
            connections=tuple(get(f"{prefix}_connection")),
            private_key=get(f"{prefix}_private_key"),
            certificate=get(f"{prefix}_certificate"),
            ca_cert=get(f"{prefix}_ca_cert"),
            option_prefix=prefix,
        )
