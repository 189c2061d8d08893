# SPDX-License-Identifier: Apache-2.0
"""FakeOctavia: one store, the API on it, and what drivers and the agent ask of Octavia."""

from tests.lab import models
from tests.lab.httpd import HttpServer
from tests.lab.octavia.driver_listener import DriverListener
from tests.lab.octavia.health_monitors import HealthMonitors
from tests.lab.octavia.l7 import Layer7
from tests.lab.octavia.listeners import Listeners
from tests.lab.octavia.load_balancers import LoadBalancers
from tests.lab.octavia.members import Members
from tests.lab.octavia.pools import Pools
from tests.lab.octavia_http import OctaviaHttp
from tests.lab.octavia_settings import Settings
from tests.lab.store import MYSQL, Store


class FakeOctavia(LoadBalancers, Listeners, Pools, Members, HealthMonitors, Layer7):
    """Octavia's database, API controllers and driver-agent sockets.

    :param workers: WorkerPool that the driver runs in; may be set later
    :param neutron: FakeNeutron, for VIP ports that Octavia itself owns
    :param run_dir: where the sockets go
    :param flavor: MYSQL or POSTGRESQL, see store.py
    :param config: {section: {option: value}} of octavia.conf
    :param release: of Octavia, 15 or 19
    """

    def __init__(
        self, neutron, run_dir, workers=None, flavor=MYSQL, config=None, release=models.RELEASE
    ):
        settings = Settings.read(config or {}, release)
        super().__init__(Store(flavor), workers, settings, release, neutron)
        self.driver_listener = DriverListener(
            self.store, run_dir, lambda lb: neutron.delete_port(lb["vip_port_id"])
        )
        self.http = HttpServer(OctaviaHttp(self.store, lambda: self.http.url))

    def __enter__(self):
        self.driver_listener.start()
        self.http.start()
        return self

    def __exit__(self, *exc_info):
        self.driver_listener.stop()
        self.http.stop()

    @property
    def statuses(self):
        """The status messages of drivers, in the order of their answers."""
        return self.driver_listener.statuses

    @property
    def revived(self):
        """Load balancers that got another status after DELETED."""
        return self.driver_listener.revived
