# SPDX-License-Identifier: Apache-2.0
"""The private MariaDB, and a cache of its migrated content.

The migrations of three projects take most of a first start, so that the data directory is copied
once they are through; later starts begin with the copy.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import urllib.parse
from functools import partial
from typing import TYPE_CHECKING

from sandbox import network, packages, shell
from sandbox.process import Service

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.settings import Settings

NAMES = ("keystone", "neutron", "octavia")

# To be raised when what is written into the databases changes with versions unchanged.
_CACHE_FORMAT = "2"


def url(settings: Settings, name: str) -> str:
    """Return the SQLAlchemy URL of a database."""
    query = urllib.parse.urlencode({"unix_socket": _socket(settings), "charset": "utf8mb4"})
    # oslo.config takes % for the start of a variable nowhere, but $ it does: none is in here.
    return f"mysql+pymysql://root@localhost/{name}?{query}"


def service(settings: Settings) -> Service:
    """Return the server; reachable through a unix socket only."""
    argv = (
        "mariadbd",
        "--no-defaults",
        "--user=root",
        f"--datadir={_data(settings)}",
        f"--socket={_socket(settings)}",
        f"--pid-file={settings.run}/mariadb.pid",
        "--skip-networking",
        "--skip-log-bin",
        "--character-set-server=utf8mb4",
        "--max-connections=400",
        "--performance-schema=OFF",
        # Nothing here must survive a crash of the machine: no waiting for disks, small files.
        "--innodb-flush-log-at-trx-commit=0",
        "--innodb-flush-method=nosync",
        "--innodb-doublewrite=0",
        "--innodb-file-per-table=0",
        "--innodb-log-file-size=16M",
        "--innodb-buffer-pool-size=64M",
    )
    ready = partial(network.unix_listens, _socket(settings))
    return Service(name="mariadb", argv=argv, env=settings.base_environment, ready=ready)


def create(settings: Settings) -> None:
    """Make an empty data directory."""
    command = [
        "mariadb-install-db", "--no-defaults", "--user=root", f"--datadir={_data(settings)}",
        "--auth-root-authentication-method=normal", "--skip-test-db",
    ]  # fmt: skip
    shell.run(command, env=settings.base_environment)


def create_databases(settings: Settings) -> None:
    """Make the empty databases in the running server."""
    sql(settings, "".join(f"CREATE DATABASE IF NOT EXISTS {name};" for name in NAMES))


def sql(settings: Settings, statements: str) -> str:
    """Run statements as root and return the rows, tab-separated, without headings."""
    command = ["mariadb", "--no-defaults", "-uroot", "-S", str(_socket(settings)), "-N", "-B"]
    return shell.run([*command, "-e", statements], env=settings.base_environment)


def restore(settings: Settings) -> bool:
    """Start from the cached data directory; False if there is none for these versions."""
    cached = _cached(settings)
    if not cached.is_dir():
        return False
    shutil.copytree(cached, _data(settings))
    return True


def store(settings: Settings) -> None:
    """Put the data directory into the cache; the server must have been stopped in order."""
    cached = _cached(settings)
    part = cached.with_name(f"{cached.name}.{os.getpid()}")
    part.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(_data(settings), part)
    if cached.exists():  # Another sandbox was faster.
        shutil.rmtree(part)
    else:
        part.rename(cached)


def _cached(settings: Settings) -> Path:
    key = f"{_CACHE_FORMAT} {settings.password} {packages.versions(settings)}"
    return settings.cache / ("mariadb-" + hashlib.sha256(key.encode()).hexdigest()[:12])


def _data(settings: Settings) -> Path:
    return settings.run / "mariadb"


def _socket(settings: Settings) -> Path:
    return settings.run / "mariadb.sock"
