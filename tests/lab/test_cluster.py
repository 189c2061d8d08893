# SPDX-License-Identifier: Apache-2.0
"""The lab's cluster of northbound databases, and its wall clocks."""

import contextlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.functional.ovsdb.server import wait_for
from tests.lab.cluster import ELECTION, SplitCluster
from tests.lab.inside import wall_clock


@pytest.fixture(scope="module")
def cluster():
    with (
        tempfile.TemporaryDirectory(prefix="nb-") as directory,
        SplitCluster(Path(directory)) as cluster,
    ):
        yield cluster


def names(member):
    return {row["name"] for row in member.rows()}


def test_an_isolated_follower_answers_with_what_it_knew(cluster):
    follower = cluster.followers()[0]
    links = cluster.links(follower)
    links.stall()
    cluster.separated.add(follower)
    try:
        leader = cluster.leader()
        leader.insert(name="meanwhile")
        assert "meanwhile" in names(leader)
        assert "meanwhile" not in names(follower)
    finally:
        links.resume()
        cluster.separated.discard(follower)
    wait_for(lambda: "meanwhile" in names(follower), ELECTION)
    wait_for(cluster.is_whole, ELECTION)


def test_an_isolated_leader_is_replaced(cluster):
    leader = cluster.leader()
    links = cluster.links(leader)
    links.stall()
    cluster.separated.add(leader)
    try:
        wait_for(lambda: cluster.leader() is not leader, ELECTION)
    finally:
        links.resume()
        cluster.separated.discard(leader)
    wait_for(cluster.is_whole, ELECTION)


def test_a_stepped_wall_clock(tmp_path):
    program = (
        "import time, wall_clock; wall_clock.follow('agent');"
        "print(time.time(), time.monotonic(), flush=True); input();"
        "print(time.time(), time.monotonic(), flush=True)"
    )
    wall_clock.step(tmp_path, "agent", 0.0)
    with contextlib.closing(_Program(program, tmp_path)) as process:
        before = process.read()
        wall_clock.step(tmp_path, "agent", -3600.0)
        after = process.answer()
    assert abs(before[0] - time.time()) < 60
    assert -3600.5 < after[0] - before[0] < -3540
    assert 0 <= after[1] - before[1] < 60


class _Program:
    def __init__(self, program, clocks):
        self._process = subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=Path(wall_clock.__file__).parent,
            env={"LAB_CLOCKS": str(clocks)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def read(self):
        return [float(each) for each in self._process.stdout.readline().split()]

    def answer(self):
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self.read()

    def close(self):
        self._process.communicate()
