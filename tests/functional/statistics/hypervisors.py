# SPDX-License-Identifier: Apache-2.0
"""OVN with several hypervisors on one machine: databases, northd, and guests in namespaces.

Each hypervisor is a network namespace with an Open vSwitch and an ovn-controller of its own, in the
userspace datapath, so no kernel module is needed. Tunnels run over a bridge `br-phy` of each.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.settings import default_ovn_prefix
from tests.sandbox.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# With $OVN_PREFIX these are of another OVN than the system's.
_PREFIX = default_ovn_prefix()
_OVS_SCHEMA = f"{_PREFIX}/share/openvswitch/vswitch.ovsschema"
_NB_SCHEMA = f"{_PREFIX}/share/ovn/ovn-nb.ovsschema"
_SB_SCHEMA = f"{_PREFIX}/share/ovn/ovn-sb.ovsschema"
PATH = f"{_PREFIX}/bin:{_PREFIX}/sbin:{os.environ['PATH']}"
"""Where its programs are found."""
_MTU = "1400"  # what Geneve leaves, at least


@dataclass
class Processes:
    """Programs in one folder of sockets and logs."""

    folder: Path
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def environment(self) -> dict[str, str]:
        """Return what points the tools to this folder."""
        places = ("OVS_RUNDIR", "OVN_RUNDIR", "OVS_LOGDIR", "OVN_LOGDIR", "OVS_DBDIR")
        return {**os.environ, "PATH": PATH, **dict.fromkeys(places, str(self.folder))}

    def run(self, *argv: str) -> str:
        """Run a tool; return what it prints."""
        done = subprocess.run(
            argv, env=self.environment(), capture_output=True, text=True, check=False, timeout=30
        )
        assert done.returncode == 0, f"{argv}: {done.stderr}"
        return done.stdout

    def start(self, *argv: str, ready: str = "") -> subprocess.Popen[bytes]:
        """Start a program; wait for a file of that name."""
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                argv, env=self.environment(), stdout=log, stderr=log, start_new_session=True
            )
        self.running.append(process)
        if ready:
            until((self.folder / ready).exists)
        return process

    def database(self, name: str, schema: str) -> None:
        """Start an empty ovsdb-server."""
        self.run("ovsdb-tool", "create", f"{self.folder}/{name}.db", schema)
        self.start(
            "ovsdb-server",
            f"--remote=punix:{self.folder}/{name}.sock",
            f"--unixctl={self.folder}/{name}.ctl",
            f"{self.folder}/{name}.db",
            ready=f"{name}.sock",
        )

    def close(self) -> None:
        """End all, the last first."""
        for process in reversed(self.running):
            _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a program with its children."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


class Hypervisor:
    """One chassis."""

    def __init__(self, name: str, number: int, prefix: str, folder: Path, sb: str) -> None:
        """Start it; `number` chooses its address."""
        self.name = name
        self.number = number
        self.namespace = f"{prefix}{name}"
        self._prefix = prefix
        self._sb = sb
        folder.mkdir()
        self.processes = Processes(folder)
        self._switch: subprocess.Popen[bytes]
        self._controller: subprocess.Popen[bytes]
        netns("add", self.namespace)
        ip("-n", self.namespace, "link", "set", "lo", "up")
        self.processes.database("db", _OVS_SCHEMA)
        self.processes.run("ovs-vsctl", "--no-wait", "init")
        self._start_switch()
        self._configure()
        self.start_controller()

    @property
    def rundir(self) -> Path:
        """Folder of Open vSwitch's sockets."""
        return self.processes.folder

    @property
    def _local(self) -> str:
        return f"unix:{self.rundir}/db.sock"

    def _inside(self, *argv: str) -> tuple[str, ...]:
        return ("ip", "netns", "exec", self.namespace, *argv)

    def _start_switch(self) -> None:
        control = f"--unixctl={self.rundir}/ovs-vswitchd.ctl"
        pidfile = f"--pidfile={self.rundir}/ovs-vswitchd.pid"
        # Its userspace datapath may abort when connections are flushed (docs/operators/flavors.md).
        argv = ("ovs-vswitchd", self._local, "--monitor", control, pidfile)
        self._switch = self.processes.start(*self._inside(*argv), ready="ovs-vswitchd.ctl")

    def start_controller(self) -> None:
        """Start ovn-controller."""
        self._controller = self.processes.start(*self._inside("ovn-controller", self._local))

    def kill_controller(self) -> None:
        """Kill ovn-controller: flows stay, and its row in the Southbound database."""
        _kill(self._controller)

    def restart_switch(self) -> None:
        """Kill and start ovs-vswitchd: all flows and connections are lost."""
        _kill(self._switch)
        (self.rundir / "ovs-vswitchd.ctl").unlink()
        self._start_switch()

    def _configure(self) -> None:
        address = tunnel_address(self.number)
        ids = {
            "system-id": self.name,
            "hostname": self.name,
            "ovn-remote": self._sb,
            "ovn-encap-type": "geneve",
            "ovn-encap-ip": address,
            "ovn-bridge-datapath-type": "netdev",
        }
        words = ["set", "open_vswitch", "."]
        words += [f'external_ids:{key}="{value}"' for key, value in ids.items()]
        for bridge in ("br-int", "br-phy"):
            words += ["--", "add-br", bridge, "--", "set", "bridge", bridge, "datapath_type=netdev"]
        self.processes.run(
            "ovs-vsctl", "--timeout=10", *words, "--", "set", "bridge", "br-int", "fail_mode=secure"
        )
        ip("-n", self.namespace, "address", "add", f"{address}/24", "dev", "br-phy")
        ip("-n", self.namespace, "link", "set", "br-phy", "up")

    def cable(self, device: str, bridge: str = "br-phy", *external_ids: str) -> None:
        """Connect a device of the namespace to a bridge."""
        words = ["add-port", bridge, device]
        if external_ids:
            words += ["--", "set", "interface", device, *external_ids]
        self.processes.run("ovs-vsctl", "--timeout=10", *words)

    def guest(self, port: str, mac: str, addresses: Sequence[str], gateways: Sequence[str]) -> str:
        """Make a namespace on a switch port; return its name.

        `addresses` have prefix lengths; there is a gateway for each.
        """
        inside, device = f"{self._prefix}{port}", f"vm-{port}"
        netns("add", inside)
        ip(
            "link",
            "add",
            device,
            "netns",
            self.namespace,
            "type",
            "veth",
            "peer",
            "name",
            "eth0",
            "netns",
            inside,
        )
        ip("-n", self.namespace, "link", "set", device, "up")
        ip("-n", inside, "link", "set", "lo", "up")
        # The userspace datapath gets packets whose checksums would stay empty.
        subprocess.run(
            ["ip", "netns", "exec", inside, "ethtool", "-K", "eth0", "tx", "off"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        ip("-n", inside, "link", "set", "eth0", "address", mac, "mtu", _MTU, "up")
        for address, gateway in zip(addresses, gateways, strict=True):
            # A new IPv6 address would take a second to find out that it is free.
            rest = ["nodad"] if ":" in address else []
            ip("-n", inside, "address", "add", address, "dev", "eth0", *rest)
            ip("-n", inside, "route", "add", "default", "via", gateway)
        self.cable(device, "br-int", f"external_ids:iface-id={port}")
        return inside


class Cloud:
    """The databases, northd and the hypervisors."""

    def __init__(self, names: Sequence[str]) -> None:
        """Start everything."""
        self.prefix = f"st{os.getpid()}-"
        self.folder = Path(tempfile.mkdtemp(prefix="hv"))
        self.central = Processes(self.folder)
        self.hypervisors: dict[str, Hypervisor] = {}
        self.guests: list[str] = []
        try:
            self._start(names)
        except BaseException:
            self.close()
            raise

    def _start(self, names: Sequence[str]) -> None:
        for name, schema in (("nb", _NB_SCHEMA), ("sb", _SB_SCHEMA)):
            self.central.database(name, schema)
        self.nbctl("init")
        self.central.start(
            "ovn-northd", f"--ovnnb-db={self.nb}", f"--ovnsb-db={self.sb}",
            f"--unixctl={self.folder}/northd.ctl",
        )  # fmt: skip
        for number, name in enumerate(names, 1):
            folder = self.folder / name
            self.hypervisors[name] = Hypervisor(name, number, self.prefix, folder, self.sb)
        first = self.hypervisors[names[0]]
        for name in names[1:]:  # a star around the first
            other = self.hypervisors[name]
            ip(
                "link", "add", f"to-{name}", "netns", first.namespace, "type", "veth",
                "peer", "name", "uplink", "netns", other.namespace,
            )  # fmt: skip
            for hypervisor, device in ((first, f"to-{name}"), (other, "uplink")):
                ip("-n", hypervisor.namespace, "link", "set", device, "up")
                hypervisor.cable(device)

    @property
    def nb(self) -> str:
        """Connection string."""
        return f"unix:{self.folder}/nb.sock"

    @property
    def sb(self) -> str:
        """Connection string."""
        return f"unix:{self.folder}/sb.sock"

    def nbctl(self, *words: str) -> str:
        """Run ovn-nbctl."""
        return self.central.run("ovn-nbctl", "--timeout=20", f"--db={self.nb}", *words)

    def sbctl(self, *words: str) -> str:
        """Run ovn-sbctl."""
        return self.central.run("ovn-sbctl", "--timeout=20", f"--db={self.sb}", *words)

    def sync(self) -> None:
        """Wait until all flows follow NB."""
        self.nbctl("--wait=hv", "sync")

    def guest(
        self,
        hypervisor: str,
        port: str,
        mac: str,
        addresses: Sequence[str],
        gateways: Sequence[str],
    ) -> str:
        """See `Hypervisor.guest`."""
        inside = self.hypervisors[hypervisor].guest(port, mac, addresses, gateways)
        self.guests.append(inside)
        return inside

    def close(self) -> None:
        """End everything, remove everything."""
        for hypervisor in self.hypervisors.values():
            hypervisor.processes.close()
        self.central.close()
        for name in (*self.guests, *(each.namespace for each in self.hypervisors.values())):
            subprocess.run(["ip", "netns", "delete", name], check=False)
        shutil.rmtree(self.folder)


def tunnel_address(number: int) -> str:
    """Return the address of a hypervisor's end of tunnels."""
    return f"192.168.222.{number}"


def own_names() -> subprocess.Popen[bytes]:
    """Start a process that has names of network namespaces of its own, as a machine has."""
    script = "mount -t tmpfs none /run/netns && echo done && exec sleep infinity"
    argv = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"done\n"
    return process


@contextlib.contextmanager
def cloud(*names: str) -> Iterator[Cloud]:
    """Run OVN with hypervisors of these names."""
    made = Cloud(names)
    try:
        yield made
    finally:
        made.close()


def ip(*words: str) -> None:
    """Run iproute2."""
    subprocess.run(["ip", *words], check=True)


def netns(*words: str) -> None:
    """Run `ip netns`."""
    ip("netns", *words)
