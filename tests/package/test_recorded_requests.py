# SPDX-License-Identifier: Apache-2.0
"""The driver under every request of the recordings' script, handed over as a real Octavia does.

After each request that Octavia accepts, the rows must say what Octavia shows.
"""

import contextlib
import dataclasses
import types

import pytest
from octavia_lib.api.drivers import exceptions

from octavia_ovn import driver, wiring
from octavia_ovn.adapters.northbound.intents import IntentRows
from octavia_ovn.adapters.octavia import data_models
from octavia_ovn.adapters.octavia.data_models import DriverDefaults
from octavia_ovn.controller.record import Recorder
from octavia_ovn.core import codec
from octavia_ovn.core.codec import keys
from octavia_ovn.core.request.admission import Admission
from octavia_ovn.core.topology import Subnet
from tests.core.database import Database
from tests.lab import models
from tests.lab.errors import DriverError
from tests.lab.replay import Recorder as Worker
from tests.lab.replay import Replay
from tests.recordings import script, steps

RELEASES = [release for release in models.BEFORE if release <= models.RELEASE]
PREFERENCES = DriverDefaults()
CANNOT = ("insert_headers: ", "tls_enabled: ", "vip_sg_ids: ")
"""How the refusals begin that the script provokes; all else must be accepted."""
NOT_BY_OVN = ("monitor_address: ", "monitor_port: ", "OVN checks members by TCP")
"""The same where no program on the chassis checks members."""
# Nothing of it can be accepted.
REFUSED = ("flavor", "availability zone", "layer 7", "layer 7 in a load balancer with children")


class Rows(IntentRows):
    """A router joins the script's subnets; a program checks members and counts connections."""

    def router_subnets(self, network_ids, deadline):
        return iter(steps.CIDRS)

    def announces(self, mark, deadline):
        return True


class Driver(Worker):
    """Stands for the worker processes: the real driver, over rows in memory."""

    def __init__(self, *, probes):
        super().__init__()
        self.rows = Database()
        self.refusals = []
        self._plan = Recorder(Rows(None), 5.0, _subnet, Admission(probes=probes)).plan
        self.runtime = types.SimpleNamespace(
            defaults=PREFERENCES,
            recorder=self,
            cidr=steps.CIDRS.get,
            vip_ports=types.SimpleNamespace(
                create=self._create_ports,
                undo=lambda _: None,
                is_user_port=lambda port_id: port_id == steps.PORT,
                qos_policy=lambda *_: contextlib.nullcontext(),
            ),
        )

    def call(self, method, *args, **kwargs):
        try:
            return getattr(driver.OvnProviderDriver(), method)(*args, **kwargs)
        except exceptions.UnsupportedOptionError as error:
            self.refusals.append(error.user_fault_string)
            raise DriverError("UnsupportedOptionError", error.user_fault_string) from error

    def ping(self):
        pass

    def record(self, request, lb_id="", pool_id=""):
        if pool_id:
            mark = keys.POOL_MARK + pool_id
            lb_id = next(row.name for row in self.rows.all() if mark in row.external_ids)
        self.rows.write(self._plan(request, self.rows.of(lb_id)))

    def _create_ports(self, request):
        return super().call(
            "create_vip_port", request.lb_id, request.project_id, request.vip, request.additional
        )


def _subnet(subnet_id):
    return Subnet(subnet_id, steps.NETWORK, steps.CIDRS[subnet_id])


@pytest.mark.parametrize(
    "scenario",
    [each for each in script.SCENARIOS if each.name not in REFUSED],
    ids=lambda each: each.name,
)
@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("probes", [False, True], ids=["checks by OVN", "checks by a program"])
def test_the_rows_say_what_octavia_shows(probes, release, scenario, tmp_path, monkeypatch):
    worker = Driver(probes=probes)
    monkeypatch.setattr(wiring, "get", lambda: worker.runtime)
    replay = Replay(scenario, release, tmp_path, worker)
    for step in replay.run():
        for row in replay.octavia.store.find("loadbalancers"):
            if row["provisioning_status"] == "DELETED":
                continue
            shown = models.load_balancer(replay.octavia.store, row)
            expected = data_models.existing_load_balancer(data_models.fields(shown), PREFERENCES)
            assert view(codec.decode(worker.rows.of(row["id"])).lb) == view(expected), step
    cannot = CANNOT if probes else (*CANNOT, *NOT_BY_OVN)
    assert not [each for each in worker.refusals if not each.startswith(cannot)]


def view(lb):
    """What Octavia and the rows must agree on; a subnet that is not named, the driver finds."""
    return {
        "enabled": lb.enabled,
        "vips": {vip.address for vip in lb.vips},
        "listeners": {each.id: each for each in lb.listeners},
        "pools": {each.id: dataclasses.replace(each, slots=(), members=()) for each in lb.pools},
        "members": {
            one.id: dataclasses.replace(one, subnet_id=one.subnet_id or steps.MEMBER_SUBNET)
            for each in lb.pools
            for one in each.members
        },
    }
