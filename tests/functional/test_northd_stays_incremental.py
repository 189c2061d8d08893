# SPDX-License-Identifier: Apache-2.0
"""What ovn-northd computes again when members come and go, by its own counters.

Since OVN 24.03 a change of a load balancer is processed incrementally, unless one has checks by
OVN: then northd computes everything again, for each change of any load balancer.
"""

import contextlib
import re
import subprocess

import pytest

from octavia_ovn.core.health import HealthState
from tests.functional.ovsdb.server import free_ports
from tests.functional.test_probes import TCP, World, config
from tests.lab.ovsdb import as_list, update

UP, DOWN = HealthState.UP, HealthState.DOWN
FLIPS = 5
_NODE = re.compile(r"Node: (\S+)\n- recompute: +(\d+)")


class Northd:
    """The counters of ovn-northd."""

    def __init__(self, lab):
        self._lab = lab

    def settled(self):
        """Wait until it has done all, and forget what it has counted so far."""
        self._sync()
        self._control("clear-stats")

    def recomputed(self):
        """How often it has computed all again since then: load balancers, and logical flows."""
        self._sync()
        found = dict(_NODE.findall(self._control("show-stats")))
        return int(found["northd"]), int(found["lflow"])

    def _sync(self):
        nb = self._lab.env.nb.remote
        subprocess.run(["ovn-nbctl", f"--db={nb}", "--wait=sb", "sync"], check=True, timeout=30)

    def _control(self, command):
        path = f"{self._lab.env.directory}/northd.ctl"
        argv = ["ovn-appctl", "-t", path, f"inc-engine/{command}"]
        return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=30).stdout


class Counted(World):
    """The same, with northd's counters."""

    def __init__(self, lab, port):
        super().__init__(lab, port)
        self.northd = Northd(lab)


def is_incremental():
    """Whether this OVN can process a change of a load balancer incrementally."""
    shown = subprocess.run(["ovn-northd", "--version"], check=True, capture_output=True, text=True)
    year, month, *_ = shown.stdout.split()[1].split(".")
    return (int(year), int(month)) >= (24, 3)


@pytest.fixture
def make_world(make_lab):
    with contextlib.ExitStack() as stack:

        def make(*, enabled):
            (port,) = free_ports(1)
            lab = stack.enter_context(make_lab(northd=True, config=config(port, enabled=enabled)))
            made = Counted(lab, port)
            stack.callback(made.stop)
            return made

        yield make


@pytest.mark.skipif(
    not is_incremental(),
    reason="OVN before 24.03 computes all again for any change: there is nothing to distinguish",
)
def test_a_flip_that_a_chassis_finds_is_incremental(make_world):
    world = make_world(enabled=True)
    one, two = world.probing()
    one.finds(UP)
    two.finds(UP)
    world.until(lambda: world.serving() == {0, 1})

    world.northd.settled()
    for _ in range(FLIPS):
        one.finds(DOWN)
        world.until(lambda: world.serving() == {1})
        one.finds(UP)
        world.until(lambda: world.serving() == {0, 1})
    assert world.northd.recomputed() == (0, 0)

    # A program that is silent has NB_Global.nb_cfg incremented; a dead hypervisor's members leave.
    world.northd.settled()
    number = world.global_row()["nb_cfg"]
    one.kill()
    world.until(lambda: world.global_row()["nb_cfg"] > number)
    world.follow("hv-2")
    world.until(lambda: world.serving() == {1})
    assert world.northd.recomputed() == (0, 0)


def test_a_flip_that_ovn_finds_is_not(make_world):
    """So the counters do count."""
    world = make_world(enabled=False)
    world.load_balancer(TCP)
    where = [["ip", "==", world.tenant.vm(0)]]
    world.until(lambda: world.lab.sb.select("Service_Monitor", where))
    assert as_list(world.rows()[0]["health_check"])
    world.northd.settled()
    for number in range(2 * FLIPS):
        status = ("offline", "online")[number % 2]
        world.lab.sb.transact(update("Service_Monitor", where, {"status": status}))
        assert min(world.northd.recomputed()) > number
