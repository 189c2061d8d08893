# SPDX-License-Identifier: Apache-2.0
"""`octavia-ovn watch`: connections through VIPs of load balancers whose flavor asks for it."""

from __future__ import annotations

import re
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from sandbox import ovn, shell
from tests.sandbox.relay import reachable
from tests.sandbox.test_live_trace import left
from tests.sandbox.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sandbox.api import Json
    from sandbox.stack import Stack
    from tests.sandbox.plane import Plane

PORT = 9105
_SAMPLE = re.compile(r'available\{listener="(.*?)",loadbalancer="(.*?)"\} (\S+)')


@pytest.fixture(scope="module", autouse=True)
def _reachable(stack: Stack) -> Iterator[None]:
    with reachable(stack.settings):
        yield


class Watch:
    """The command, where Open vSwitch makes its devices."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        settings = stack.settings
        self._stack = stack
        self._inside = ["nsenter", f"--net=/run/netns/{ovn.hypervisor(settings)}"]
        self.log = folder / "log"
        # Who runs the tests may ignore signals, and a process inherits that.
        words = ["env", "--default-signal", *self._inside]
        words += [str(settings.bin / "octavia-ovn"), "watch", "--interval", "10"]
        words += ["--metrics-port", str(PORT), "--ovs-rundir", str(settings.run)]
        words += ["--config-file", str(settings.etc / "octavia.conf")]
        with self.log.open("w") as file:
            self.process = subprocess.Popen(
                words,
                env={**settings.base_environment, "PYTHONUNBUFFERED": "1"},
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    def _metrics(self) -> str:
        words = [*self._inside, "curl", "--silent", f"http://127.0.0.1:{PORT}/metrics"]
        return subprocess.run(words, check=False, capture_output=True, text=True).stdout

    def shown(self) -> dict[tuple[str, str], float]:
        """Return what is exported, by load balancer and name of the listener."""
        found = {}
        for listener_id, lb_id, value in _SAMPLE.findall(self._metrics()):
            got = self._stack.cloud().octavia("GET", f"/listeners/{listener_id}")["listener"]
            found[lb_id, got["name"]] = float(value)
        return found

    def unknown(self) -> float:
        """Return of how many listeners nothing is known."""
        (line,) = re.findall(
            r"^octavia_ovn_data_path_unknown (\S+)$", self._metrics(), re.MULTILINE
        )
        return float(line)

    def await_shown(self, **values: float) -> None:
        """Wait until these are exported of the one load balancer."""
        until(lambda: {name: value for (_, name), value in self.shown().items()} == values)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)


@pytest.fixture
def watched(plane: Plane) -> Json:
    """A load balancer of the flavor with two listeners, one of which admits other clients only."""
    restricted = plane.listener(plane.member("two"), name="restricted")
    restricted |= {"name": "restricted", "protocol_port": 81, "allowed_cidrs": ["198.51.100.0/24"]}
    plane.load_balancer(plane.listener(plane.member("one")))
    return plane.load_balancer(
        plane.listener(plane.member("one"), plane.member("two")),
        plane.listener(plane.member("one"), protocol="UDP"),
        restricted,
        flavor_id=plane.flavor(data_path_probe=True),
    )


def test_what_is_known_of_data_paths(
    stack: Stack, plane: Plane, watched: Json, tmp_path: Path
) -> None:
    watch = Watch(stack, tmp_path)
    try:
        # The one without the flavor, UDP, and the one that may stop this client are not shown.
        until(lambda: watch.shown() == {(watched["id"], "TCP"): 1.0}, seconds=60)
        assert watch.unknown() == 1

        guests = plane.scenery.stack.guests
        guests.stop_server("one")
        guests.stop_server("two")
        watch.await_shown(TCP=0.0)
        guests.start_server("one")
        guests.start_server("two")
        watch.await_shown(TCP=1.0)

        # Its port is lost, and made again.
        (device,) = (each for each in left(stack) if each.startswith("lbl-"))
        shell.run(["ovs-vsctl", "del-port", device], env=stack.settings.base_environment)
        until(lambda: device not in left(stack) and len(left(stack)) == 3, seconds=60)
        watch.await_shown(TCP=1.0)

        text = watch.log.read_text()
        assert re.search(r"Listener \S+ at \S+:81: it is not known: .*198\.51|allowed_cidrs", text)
        assert "connection refused" in text
        assert "all connections are accepted" in text
        assert watch.end() == 0
    finally:
        watch.process.kill()
    assert left(stack) == []


def test_the_next_one_removes_what_a_killed_one_has_left(
    stack: Stack, watched: Json, tmp_path: Path
) -> None:
    watch = Watch(stack, tmp_path)
    until(watch.shown, seconds=60)
    watch.end(signal.SIGKILL)
    old = left(stack)
    assert len(old) == 3

    watch = Watch(stack, tmp_path)
    until(watch.shown, seconds=60)
    assert not set(old) & set(left(stack))
    assert watch.end(signal.SIGINT) == 0
    assert left(stack) == []
