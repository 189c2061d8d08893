# SPDX-License-Identifier: Apache-2.0
"""Octavia's functions as a provider agent finds them loaded, if the laboratory wants them to be.

They pass everything on to the laboratory. Where its sockets do not answer, Octavia's database does
not: that is what an agent sees which calls Octavia in its own process.
"""

import sys
import types

from oslo_config import cfg

CONFIG = {"database": {"connection": "laboratory"}}
"""What makes the laboratory's provider agents find them."""
PACKAGE = "octavia.api.drivers.driver_agent"


def load(conf):
    """Load them if a database is configured."""
    conf.register_opt(cfg.StrOpt("connection"), group="database")
    if not conf.database.connection:
        return
    ask = _transport(conf)

    class DriverUpdater:
        def __init__(self, **kwargs):
            self.db_session = types.SimpleNamespace(close=lambda: None)

        def update_loadbalancer_status(self, status):
            return ask("STATUS", status)

        def update_listener_statistics(self, statistics):
            return ask("STATS", statistics)

    def process_get(get_data):
        return ask("GET", get_data)

    for name, content in (("driver_updater", DriverUpdater), ("driver_get", process_get)):
        module = types.ModuleType(name)
        setattr(module, content.__name__, content)
        sys.modules[f"{PACKAGE}.{name}"] = module


def _transport(conf):
    from oslo_db.exception import DBConnectionError  # noqa: PLC0415 - not in each venv

    from octavia_ovn.adapters.octavia.sockets import Sockets  # noqa: PLC0415
    from octavia_ovn.adapters.octavia.transport import Service  # noqa: PLC0415
    from octavia_ovn.config import octavia  # noqa: PLC0415
    from octavia_ovn.errors import Unavailable  # noqa: PLC0415

    settings = octavia.load(conf)
    sockets = Sockets(settings.status_socket, settings.stats_socket, settings.get_socket)

    def ask(service, request):
        try:
            return sockets.ask(Service[service], request)
        except Unavailable as error:
            raise DBConnectionError(error) from error

    return ask
