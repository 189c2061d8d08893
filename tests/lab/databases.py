# SPDX-License-Identifier: Apache-2.0
"""Real database servers with Octavia's schema: MariaDB and PostgreSQL, without root's files."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from octavia.common import constants
from octavia.db import base_models, models
from sqlalchemy import create_engine, text

from sandbox import database, octavia, packages, shell
from sandbox.settings import Settings, port_numbers

_READY = 60.0
_LOOKUPS = {
    models.ProvisioningStatus: constants.SUPPORTED_PROVISIONING_STATUSES,
    models.OperatingStatus: constants.SUPPORTED_OPERATING_STATUSES,
    models.Protocol: ["TCP", "UDP", "SCTP", "HTTP", "HTTPS"],
    models.Algorithm: ["SOURCE_IP_PORT"],
    models.HealthMonitorType: ["TCP"],
    models.L7PolicyAction: ["REJECT"],
    models.L7RuleType: ["PATH"],
    models.L7RuleCompareType: ["EQUAL_TO"],
    models.ClientAuthenticationMode: ["NONE"],
}


class Server:
    """A database server in a directory of its own."""

    url = ""

    def __init__(self):
        self._process = None

    def start(self):
        """Start it and wait until it takes connections."""
        self._process = self._run()
        deadline = time.monotonic() + _READY
        while not self._is_ready():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise TimeoutError(f"{type(self).__name__} does not start")
            time.sleep(0.05)

    def stop(self):
        """End it in order, with all connections, and wait."""
        if self._process is not None:
            self._process.send_signal(self.stop_signal)
            self._process.wait(_READY)
            self._process = None


class MariaDB(Server):
    """MariaDB with the schema that octavia-db-manage makes."""

    stop_signal = signal.SIGTERM

    def __init__(self, folder: Path):
        super().__init__()
        venv = Path(sys.prefix)
        self._settings = Settings(state=folder, venv=venv, ports=port_numbers(1, {}))
        self._service = database.service(self._settings)
        self.url = database.url(self._settings, "octavia")

    def prepare(self):
        """Fill the directory; leaves the server running."""
        self._settings.run.mkdir(parents=True)
        if database.restore(self._settings):  # as a sandbox has left it
            self.start()
            return
        self._create()
        self._settings.etc.mkdir()
        octavia.configure(self._settings)
        for command in octavia.migrations(self._settings):
            shell.run(command, env=self._settings.base_environment)

    def prepare_empty(self):
        """Fill the directory with a database that has no tables; leaves the server running."""
        self._settings.run.mkdir(parents=True)
        self._create()

    def _create(self):
        database.create(self._settings)
        self.start()
        database.create_databases(self._settings)

    def _run(self):
        log = (self._settings.run / "log").open("a")
        return subprocess.Popen(self._service.argv, env=self._service.env, stdout=log, stderr=log)

    def _is_ready(self):
        return self._service.ready()


class PostgreSQL(Server):
    """PostgreSQL with the schema of Octavia's models.

    One of Octavia's migrations names a constraint as only MySQL does, so they do not run here.
    """

    stop_signal = signal.SIGINT  # disconnects everybody

    def __init__(self, folder: Path):
        super().__init__()
        self._folder = folder
        self._bin = Path(shutil.which("postgres", path=packages.search_path())).resolve().parent
        # It refuses to run as root; Debian's package makes this user.
        self._user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        self.url = f"postgresql+psycopg2://{self._user}@/octavia?host={folder}"

    def prepare(self):
        """Fill the directory; leaves the server running."""
        shutil.chown(self._folder, self._user)
        command = [
            self._bin / "initdb", "-D", self._folder / "data", "-A", "trust", "-N", "-E", "UTF8",
            "--locale=C.UTF-8",
        ]  # fmt: skip
        self._popen(command).wait(_READY)
        self.start()
        maintenance = create_engine(
            self.url.replace("/octavia", "/postgres"), isolation_level="AUTOCOMMIT"
        )
        with maintenance.connect() as connection:
            connection.execute(text("CREATE DATABASE octavia"))
        maintenance.dispose()
        engine = create_engine(self.url)
        with engine.begin() as connection:
            base_models.BASE.metadata.create_all(connection)
            for model, names in _LOOKUPS.items():
                connection.execute(model.__table__.insert(), [{"name": each} for each in names])
        engine.dispose()

    def _run(self):
        # Nothing here must survive a crash of the machine.
        command = [
            self._bin / "postgres", "-D", self._folder / "data", "-k", self._folder,
            "-c", "listen_addresses=", "-c", "fsync=off", "-c", "shared_buffers=16MB",
        ]  # fmt: skip
        return self._popen(command)

    def _popen(self, command):
        log = (self._folder / "log").open("a")
        users = {"user": self._user, "group": self._user, "extra_groups": []}
        return subprocess.Popen(
            command, cwd=self._folder, stdout=log, stderr=log,
            **(users if os.geteuid() == 0 else {}),
        )  # fmt: skip

    def _is_ready(self):
        command = [self._bin / "pg_isready", "-q", "-h", self._folder]
        return subprocess.run(command, check=False).returncode == 0
