# SPDX-License-Identifier: Apache-2.0
"""A second hypervisor in the sandbox, with a tunnel to its own, and machines that migrate.

Its program has names of network namespaces of its own, as on a machine of its own.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox import namespaces, ovn, shell
from sandbox.api import Cloud
from sandbox.chassis import Place, Program, cable, cable_end
from tests.functional.statistics.hypervisors import Hypervisor, own_names, tunnel_address
from tests.sandbox.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sandbox.guests import Guest
    from sandbox.settings import Settings
    from sandbox.stack import Stack
    from tests.sandbox.plane import Plane

NAME = "chassis-2"
_TUNNELS = "br-phy"
_LOCAL = "127.0.0.1"
_WIRE = str(Path(__file__).with_name("wire.py"))
# What QEMU sends from a machine that begins to run on another hypervisor.
_ANNOUNCE = """
import socket, struct, sys
mac = bytes.fromhex(sys.argv[1].replace(":", ""))
body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 3) + mac + bytes(4) + mac + bytes(4)
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
    raw.bind(("eth0", 0))
    raw.send((b"\\xff" * 6 + mac + struct.pack("!H", 0x8035) + body).ljust(60, b"\\0"))
"""


@dataclasses.dataclass(frozen=True)
class Host:
    """A hypervisor, as Nova uses it."""

    name: str
    namespace: str
    plug: Callable[[str, str], object]
    """Connects a device to br-int, as a port."""
    unplug: Callable[[str], object]


class SecondChassis:
    """The second hypervisor and the program on it."""

    def __init__(
        self, stack: Stack, hypervisor: Hypervisor, mounts: int, wire: subprocess.Popen[str]
    ) -> None:
        self.hypervisor = hypervisor
        self._wire = wire
        place = Place(NAME, hypervisor.namespace, hypervisor.rundir, mounts)
        self.program = Program(stack, health=True, place=place)

    def vsctl(self, *words: str) -> str:
        """Run ovs-vsctl there."""
        return self.hypervisor.processes.run("ovs-vsctl", "--timeout=10", *words)

    def set_wire(self, **quality: float) -> None:
        """Set how frames pass between this hypervisor and the controller; see wire.py."""
        assert self._wire.stdin is not None
        self._wire.stdin.write(f"{json.dumps(quality)}\n")
        self._wire.stdin.flush()

    @property
    def host(self) -> Host:
        """What machines can be moved to."""
        hypervisor = self.hypervisor
        return Host(
            NAME,
            hypervisor.namespace,
            lambda device, port: hypervisor.cable(
                device, "br-int", f"external_ids:iface-id={port}"
            ),
            lambda device: self.vsctl("--if-exists", "del-port", device),
        )


def first_host(settings: Settings) -> Host:
    """Return the sandbox's own hypervisor."""
    return Host(
        ovn.CHASSIS,
        ovn.hypervisor(settings),
        lambda device, port: ovn.plug(settings, "br-int", device, port_id=port),
        lambda device: ovn.unplug(settings, device),
    )


@contextlib.contextmanager
def second_chassis(stack: Stack) -> Iterator[SecondChassis]:
    """While there are two; the program on the second one does not run yet."""
    settings = stack.settings
    folder = settings.run / NAME
    env = settings.base_environment
    row = ["ovn-sbctl", "--timeout=10", "--if-exists", "chassis-del", NAME]
    with contextlib.ExitStack() as ends:
        ends.enter_context(_tunnels(settings))
        ends.callback(shell.run, row, env=env)
        ends.callback(shutil.rmtree, folder)
        hypervisor = Hypervisor(NAME, 2, f"{settings.prefix}-", folder, settings.sb)
        ends.callback(namespaces.remove, hypervisor.namespace)
        ends.callback(hypervisor.processes.close)
        _join(settings, hypervisor)
        mounts = ends.enter_context(own_names())
        ends.callback(mounts.kill)
        way = ends.enter_context(cable(stack, hypervisor.namespace, 1))
        wire = ends.enter_context(_wire(settings, hypervisor.namespace, way))
        find = ["ovn-sbctl", "--bare", "--columns=name", "find", "Chassis", f"name={NAME}"]
        until(lambda: shell.run(find, env=env).strip())
        made = SecondChassis(stack, hypervisor, mounts.pid, wire)
        ends.callback(made.program.clean)
        ends.callback(made.program.stop)
        yield made


@contextlib.contextmanager
def _tunnels(settings: Settings) -> Iterator[None]:
    """While the sandbox's own hypervisor can send through tunnels."""
    env, inside = settings.base_environment, ovn.hypervisor(settings)
    vsctl = ["ovs-vsctl", "--timeout=10"]
    encap = ["set", "open_vswitch", ".", "external_ids:ovn-encap-ip={}"]

    def address(value: str) -> None:
        shell.run([*vsctl, *(each.format(value) for each in encap)], env=env)

    kind = ["set", "bridge", _TUNNELS, "datapath_type=netdev"]
    shell.run([*vsctl, "add-br", _TUNNELS, "--", *kind], env=env)
    try:
        here = tunnel_address(1)
        shell.run(["ip", "-n", inside, "address", "add", f"{here}/24", "dev", _TUNNELS])
        shell.run(["ip", "-n", inside, "link", "set", _TUNNELS, "up"])
        address(here)
        yield
    finally:
        address(_LOCAL)
        shell.run([*vsctl, "del-br", _TUNNELS], env=env)


def _join(settings: Settings, other: Hypervisor) -> None:
    inside = ovn.hypervisor(settings)
    ends = ["to-second", "netns", inside, "type", "veth", "peer", "name", "uplink"]
    shell.run(["ip", "link", "add", *ends, "netns", other.namespace])
    for namespace, device in ((inside, "to-second"), (other.namespace, "uplink")):
        shell.run(["ip", "-n", namespace, "link", "set", device, "up"])
    ovn.plug(settings, _TUNNELS, "to-second")
    other.cable("uplink")


@contextlib.contextmanager
def _wire(settings: Settings, inside: str, outside: str) -> Iterator[subprocess.Popen[str]]:
    """While frames to the controller pass through a program: not every kernel can lose them.

    :param outside: the controller's end of the cable; the other one becomes `outer`
    """
    address, controller = f"{cable_end(settings, 1, 2)}/30", cable_end(settings, 0, 1)
    lines = ["link set control down", "address flush dev control", "link set control name outer"]
    lines += ["link add control type veth peer name inner"]
    lines += [f"link set {each} up" for each in ("outer", "inner", "control")]
    lines += [f"address add {address} dev control", f"route add {controller} dev control"]
    _batch(inside, lines)
    # The program would receive packets with incomplete checksums.
    off = ["ethtool", "-K", outside, "tx", "off", "gso", "off"]
    shell.run(off)
    shell.run(namespaces.command(inside, [*off[:2], "control", *off[3:]]))
    argv = namespaces.command(inside, (sys.executable, _WIRE, "outer", "inner"))
    with subprocess.Popen(argv, stdin=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def _batch(namespace: str, lines: list[str]) -> None:
    command = ["ip", "-n", namespace, "-batch", "-"]
    subprocess.run(command, input="\n".join(lines), text=True, check=True)


class Migration:
    """A live migration of a guest, in the steps of Nova and QEMU."""

    def __init__(self, plane: Plane, name: str, source: Host, target: Host) -> None:
        self._plane = plane
        # As Nova: only services may say that a port migrates.
        self._cloud = Cloud(plane.scenery.stack.settings, "octavia", "service")
        self._guest: Guest = plane.scenery.stack.guests.get(name)
        self._source = source
        self._target = target

    def run(self) -> None:
        """Do all steps."""
        self.prepare()
        self.switch_over()
        self.finish()

    def prepare(self) -> None:
        """Have the port on both hypervisors; the machine still runs on the first one."""
        self._update({"binding:profile": {"migrating_to": self._target.name}})
        guest, inside = self._guest, self._guest.namespace
        link = ["ip", "link", "add", guest.device, "netns", self._target.namespace]
        shell.run([*link, "type", "veth", "peer", "name", "eth1", "netns", inside])
        shell.run(["ip", "-n", self._target.namespace, "link", "set", guest.device, "up"])
        self._inside("ethtool", "-K", "eth1", "tx", "off")
        mac, mtu = self._link()["address"], str(self._link()["mtu"])
        self._inside("ip", "link", "set", "eth1", "address", mac, "mtu", mtu)
        for option in ("accept_dad", "accept_ra"):
            self._inside("sysctl", "-qw", f"net.ipv6.conf.eth1.{option}=0")
        self._target.plug(guest.device, guest.port_id)
        until(lambda: self._bound("additional_chassis"))
        self._plane.sync()

    def switch_over(self) -> None:
        """Let the machine run on the other one, which announces it; Neutron does not know yet."""
        lines = ["link set eth0 down", "address flush dev eth0", "link set eth0 name old0"]
        lines += ["link set eth1 name eth0", "link set eth0 up"]
        lines += [f"address add {each} dev eth0" for each in self._guest.addresses]
        lines += [f"route replace default via {each} dev eth0" for each in self._gateways()]
        inside = self._guest.namespace
        mac = self._link()["address"]
        _batch(inside, lines)
        self._inside(sys.executable, "-c", _ANNOUNCE, mac)

    def finish(self) -> None:
        """Have the port on the second one only."""
        self._update({"binding:host_id": self._target.name, "binding:profile": {}})
        self._source.unplug(self._guest.device)
        self._inside("ip", "link", "delete", "old0")
        until(lambda: self._bound("chassis") and not self._bound("additional_chassis"))
        self._plane.sync()

    def _update(self, values: dict[str, object]) -> None:
        path = f"/v2.0/ports/{self._guest.port_id}"
        self._cloud.put("network", path, {"port": values})

    def _bound(self, column: str) -> bool:
        """Whether the port is on the target."""
        env = self._plane.scenery.stack.settings.base_environment
        find = ["ovn-sbctl", "--bare", f"--columns={column}", "find", "Port_Binding"]
        found = shell.run([*find, f"logical_port={self._guest.port_id}"], env=env).strip()
        chassis = ["ovn-sbctl", "--bare", "--columns=_uuid", "find", "Chassis"]
        return (
            bool(found)
            and found == shell.run([*chassis, f"name={self._target.name}"], env=env).strip()
        )

    def _link(self) -> dict[str, str]:
        shown: list[dict[str, str]] = json.loads(self._inside("ip", "-j", "link", "show", "eth0"))
        return shown[0]

    def _gateways(self) -> list[str]:
        shown = [
            json.loads(self._inside("ip", "-j", family, "route", "show", "default"))
            for family in ("-4", "-6")
        ]
        return [route["gateway"] for routes in shown for route in routes]

    def _inside(self, *words: str) -> str:
        return shell.run(namespaces.command(self._guest.namespace, words))
