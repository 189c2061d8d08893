# SPDX-License-Identifier: Apache-2.0
"""FakeNeutron: an in-memory Neutron that keeps the NB database in step."""

from tests.lab import neutron_api
from tests.lab.floating_ips import FloatingIps
from tests.lab.httpd import HttpServer


class FakeNeutron(FloatingIps):
    """Networks, subnets, ports, routers and floating IPs.

    The methods do what API calls would do; the HTTP side of it is in
    neutron_api.py and `http` serves it, counts requests and injects faults.
    """

    def __init__(self, nb_client):
        super().__init__(nb_client)
        self.http = HttpServer(neutron_api.Application(self))

    def __enter__(self):
        self.http.start()
        return self

    def __exit__(self, *exc_info):
        self.http.stop()

    def adopt(self, tables):
        """Know what a dump of these tables knows, without writing any row."""
        for table, rows in tables.items():
            getattr(self, table).update({row["id"]: row for row in rows})
        for subnet_id in self.subnets:
            self._addresses.add_subnet(subnet_id)
        for port in self.ports.values():
            for fixed_ip in port["fixed_ips"]:
                self._addresses.add(fixed_ip)

    def adopt_rows(self):
        """Find the rows of what has been adopted, whose machines are running."""
        self._mirror.find_rows()
        for port in self.ports.values():
            if port["device_owner"].startswith("compute:"):
                self.hypervisor.plug(port["id"])
