# SPDX-License-Identifier: Apache-2.0
"""Load balancers that ovn-octavia-provider has made, from when this driver first reads them."""

import json
import pathlib
import re

import pytest

from tests.lab.networks import new_id
from tests.lab.restore import restore
from tests.scenarios.objects import LoadBalancer

CORPUS = sorted((pathlib.Path(__file__).parents[1] / "corpus").glob("*.json"))


UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def with_new_ids(text):
    """The same dump as if made at another time, so that it can be restored twice."""
    ids = {old: new_id() for old in UUID.findall(text)}
    return UUID.sub(lambda match: ids[match[0]], text)


@pytest.fixture(params=CORPUS, ids=lambda path: path.stem)
def inherited(request, project):
    """A load balancer of the corpus, with what its vips were when it was inherited."""
    dump = json.loads(with_new_ids(request.param.read_text(encoding="utf-8")))
    project.lab.nb_log.skip()
    restore(project.lab, dump)
    lb = LoadBalancer(project, dump["octavia"]["loadbalancers"][0]["id"])
    project.inherit(lb)
    project.settled(lb)
    return lb, {
        key: sorted(backends.split(","))
        for row in dump["northbound"]["Load_Balancer"]
        for key, backends in row["vips"].items()
    }


def test_taking_over_changes_no_vip(project, inherited):
    """No vip is changed, not even on the way; what is ours is added, and all is as it must be."""
    lb, vips = inherited
    assert lb.vips() == vips
    _, *changes = [
        row["vips"]
        for record in project.lab.nb_log.read()
        for row in record.get("Load_Balancer", {}).values()
        if row and "vips" in row and row["vips"] != ["map", []]
    ] or [None]
    written = [pair for change in changes for pair in change[1]]
    assert all(sorted(backends.split(",")) == vips[key] for key, backends in written)


def test_inherited_load_balancer_can_be_changed(project, inherited):
    """It takes a listener, a pool and a member, as any other; what it served, it serves."""
    lb, vips = inherited
    network = project.neutron.subnets[lb.row["vip_subnet_id"]]["network_id"]
    port = project.neutron.create_port(network, name="vm", device_owner="compute:nova")
    listener = lb.listener(8888)
    lb.pool(listener).member(port["fixed_ips"][0]["ip_address"], 80)
    added = {key: value for key, value in lb.vips().items() if key not in vips}
    if lb.row["enabled"]:
        assert added
    assert {key: lb.vips()[key] for key in vips} == vips
