# SPDX-License-Identifier: Apache-2.0
"""Packets: load balancers that ovn-octavia-provider has made go on working.

Its rows are those of the row format without our keys and options; its newest ports have an owner,
with which Neutron gives the switch port addresses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox import octavia
from tests.sandbox.waiting import until

if TYPE_CHECKING:
    from sandbox.api import Json
    from tests.sandbox.plane import Plane


def test_rows_of_the_other_driver_are_taken_over_without_cutting_a_connection(
    plane: Plane,
) -> None:
    stack = plane.scenery.stack
    lb = plane.load_balancer(plane.listener(plane.member("one"), plane.member("two")))
    plane.await_vip(plane.floating_ip(lb["vip_port_id"]))
    stack.stop(octavia.DRIVER_AGENT)
    _make_it_the_other_drivers(plane, lb)
    left = plane.row(lb)
    assert plane.addresses(lb["vip_port_id"]) != "[]"

    with plane.connection("behind", lb["vip_address"]) as connection:
        server = connection.ask()
        stack.start(octavia.DRIVER_AGENT)
        until(lambda: plane.row(lb)["options"].get("reject") == "true")
        until(lambda: plane.addresses(lb["vip_port_id"]) == "[]")
        plane.sync()
        taken = plane.row(lb)

        assert taken["vips"] == left["vips"]
        assert taken["external_ids"].items() >= left["external_ids"].items()
        assert connection.ask() == server

    stack.stop(octavia.DRIVER_AGENT)
    stack.start(octavia.DRIVER_AGENT)
    # A request about another load balancer shows that the agent has looked at all there are.
    plane.load_balancer()

    assert plane.row(lb) == taken  # `_version` included: nothing has been written
    assert set(plane.ask("beside", lb["vip_address"])) == {"one", "two"}
    port = plane.cloud.get("network", f"/v2.0/ports/{lb['vip_port_id']}")["port"]
    assert port["device_owner"] == ""


def _make_it_the_other_drivers(plane: Plane, lb: Json) -> None:
    row = plane.row(lb)
    ours = [key for key in row["external_ids"] if key.startswith("octavia:")]
    assert ours
    remove = ["remove", "Load_Balancer", row["_uuid"]]
    words = [*remove, "external_ids", *(key.replace(":", "\\:") for key in ours)]
    plane.scenery.nb(*words, "--", *remove, "options", "reject")
    port = f"/v2.0/ports/{lb['vip_port_id']}"
    plane.cloud.put("network", port, {"port": {"device_owner": "ovn-lb:vip"}})
