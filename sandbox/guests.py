# SPDX-License-Identifier: Apache-2.0
"""Virtual machines, as far as a load balancer can tell: network namespaces on Neutron ports.

A guest has the MAC and the addresses of its port on eth0, and a cable to br-int whose other end
carries the port's id, as a hypervisor's agent would do it. A guest may also stand outside, on
br-ex, with addresses of its own; it is then a neighbour of the cloud's gateways.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import re
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox import namespaces, ovn, shell
from sandbox.errors import SandboxError
from sandbox.process import Service, Supervisor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandbox.api import Cloud, Json
    from sandbox.settings import Settings

# A device name has at most 15 characters, and "vm-" comes before.
_NAME = re.compile(r"[a-z][a-z0-9-]{0,11}")
_MTU = 1442  # what Geneve leaves of 1500
_BACKEND = Path(__file__).with_name("http_backend.py")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Guest:
    """A namespace with an interface."""

    name: str
    namespace: str
    addresses: tuple[str, ...]
    """With prefix length, such as 10.0.0.5/24."""
    port_id: str = ""
    """Neutron port; empty outside."""

    @property
    def device(self) -> str:
        """The hypervisor's end of the cable."""
        return f"vm-{self.name}"

    def address(self, version: int = 4) -> str:
        """Return the first address of an IP version, without prefix length."""
        for text in self.addresses:
            interface = ipaddress.ip_interface(text)
            if interface.version == version:
                return str(interface.ip)
        raise SandboxError(f"guest {self.name} has no IPv{version} address")


class Guests:
    """The guests of one sandbox."""

    def __init__(self, settings: Settings, supervisor: Supervisor) -> None:
        """Keep records of guests in the run directory, servers with the supervisor."""
        self._settings = settings
        self._supervisor = supervisor
        self._records = settings.run / "guests"

    # --- create, find, remove ------------------------------------------------------------

    def create(
        self, cloud: Cloud, name: str, *, network: str = "", port: str = "", address: str = ""
    ) -> Guest:
        """Wire a guest to a Neutron port (id), or to a new one on a network (name or id).

        The new port has the guest's name and, if given, the fixed IP `address`.
        """
        self._check_new(name)
        if port:
            found = cloud.get("network", f"/v2.0/ports/{port}")["port"]
        else:
            network_id = _id_of_network(cloud, network)
            values: Json = {"network_id": network_id, "name": name}
            if address:
                values["fixed_ips"] = [{"ip_address": address}]
            found = cloud.create("port", **values)
        # Nova says so: the port is on this hypervisor.
        binding = {"port": {"binding:host_id": ovn.CHASSIS, "device_owner": "compute:sandbox"}}
        cloud.put("network", f"/v2.0/ports/{found['id']}", binding)
        addresses, gateways = [], []
        for fixed in found["fixed_ips"]:
            subnet = cloud.get("network", f"/v2.0/subnets/{fixed['subnet_id']}")["subnet"]
            length = subnet["cidr"].partition("/")[2]
            addresses.append(f"{fixed['ip_address']}/{length}")
            gateways += [subnet["gateway_ip"]] if subnet["gateway_ip"] else []
        guest = Guest(
            name=name,
            namespace=f"{self._settings.prefix}-{name}",
            addresses=tuple(addresses),
            port_id=found["id"],
        )
        self._wire(guest, "br-int", mac=found["mac_address"])
        self._route(guest, {"default": gateways})
        return guest

    def create_outside(
        self, name: str, addresses: Sequence[str], *, routes: dict[str, str] | None = None
    ) -> Guest:
        """Put a guest on br-ex. `routes`: destination -> gateway."""
        self._check_new(name)
        namespace = f"{self._settings.prefix}-{name}"
        guest = Guest(name=name, namespace=namespace, addresses=tuple(addresses))
        self._wire(guest, "br-ex")
        self._route(guest, {to: [via] for to, via in (routes or {}).items()})
        return guest

    def list(self) -> list[Guest]:
        """Return all guests by name."""
        return [_read(file) for file in sorted(self._records.glob("*.json"))]

    def get(self, name: str) -> Guest:
        """Return a guest; SandboxError if there is none."""
        file = self._file(name)
        if not file.exists():
            raise SandboxError(f"There is no guest {name}")
        return _read(file)

    def remove(self, name: str, cloud: Cloud | None = None) -> None:
        """Remove a guest and, with `cloud`, its Neutron port."""
        guest = self.get(name)
        self.stop_server(name)
        ovn.unplug(self._settings, guest.device)
        # Both ends go at once; the namespace alone could live on in another mount namespace.
        hypervisor = ovn.hypervisor(self._settings)
        shell.run(["ip", "-n", hypervisor, "link", "delete", guest.device], check=False)
        namespaces.remove(guest.namespace)
        if cloud and guest.port_id:
            cloud.delete("network", f"/v2.0/ports/{guest.port_id}")
        self._file(name).unlink()

    # --- use -----------------------------------------------------------------------------

    def run(self, name: str, argv: Sequence[str], *, timeout: float = 60.0) -> str:
        """Run a command inside and return its output; SandboxError if it fails."""
        command = namespaces.command(self.get(name).namespace, argv)
        return shell.run(command, env=self._settings.base_environment, timeout=timeout)

    def fetch(self, name: str, url: str, *, timeout: float = 3.0) -> str | None:
        """GET with curl from inside; None if there is no answer within `timeout` seconds."""
        inner = ("curl", "--globoff", "--silent", "--show-error", "--max-time", f"{timeout}", url)
        done = subprocess.run(
            namespaces.command(self.get(name).namespace, inner),
            env=self._settings.base_environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return None if done.returncode else done.stdout

    def start_server(self, name: str, ports: Sequence[int] = (80,)) -> None:
        """Start a server that answers HTTP and UDP with the guest's name; waits for it."""
        guest = self.get(name)
        words = (sys.executable, str(_BACKEND), name, *(str(port) for port in ports))
        inside = partial(_listens_inside, guest.namespace, tuple(ports))
        service = Service(
            name=_service(name),
            argv=namespaces.command(guest.namespace, words),
            env=self._settings.base_environment,
            ready=inside,
            ready_timeout=30,
        )
        self._supervisor.start(service)
        self._supervisor.wait(service)

    def stop_server(self, name: str) -> None:
        """Stop a guest's server, if it runs."""
        self._supervisor.stop(_service(name))

    def serves(self, name: str) -> bool:
        """Say whether a guest's server runs."""
        return self._supervisor.alive(_service(name))

    # --- cables --------------------------------------------------------------------------

    def _check_new(self, name: str) -> None:
        if not _NAME.fullmatch(name) or name == "hv":
            raise SandboxError(
                f"{name!r}: a guest's name has at most 12 letters, digits and hyphens, "
                f"begins with a letter and is not 'hv'"
            )
        if self._file(name).exists():
            raise SandboxError(f"There is a guest {name} already")

    def _wire(self, guest: Guest, bridge: str, *, mac: str = "") -> None:
        self._records.mkdir(parents=True, exist_ok=True)
        # First, so that `remove` and `down` find what a failure below leaves.
        self._file(guest.name).write_text(json.dumps(dataclasses.asdict(guest)) + "\n")
        hypervisor, inside = ovn.hypervisor(self._settings), guest.namespace
        namespaces.add(inside)
        cable = ["ip", "link", "add", guest.device, "netns", hypervisor, "type", "veth"]
        shell.run([*cable, "peer", "name", "eth0", "netns", inside])
        shell.run(["ip", "-n", hypervisor, "link", "set", guest.device, "up"])
        if mac:
            shell.run(["ip", "-n", inside, "link", "set", "eth0", "address", mac])
        for option in ("accept_dad", "accept_ra"):
            setting = f"net.ipv6.conf.eth0.{option}=0"
            shell.run(namespaces.command(inside, ("sysctl", "-qw", setting)))
        # The userspace datapath gets packets whose checksums nobody would fill in.
        shell.run(namespaces.command(inside, ("ethtool", "-K", "eth0", "tx", "off")))
        shell.run(["ip", "-n", inside, "link", "set", "eth0", "mtu", str(_MTU), "up"])
        for address in guest.addresses:
            shell.run(["ip", "-n", inside, "address", "add", address, "dev", "eth0"])
        ovn.plug(self._settings, bridge, guest.device, port_id=guest.port_id)

    def _route(self, guest: Guest, routes: dict[str, Sequence[str]]) -> None:
        for destination, gateways in routes.items():
            for via in gateways:
                family = "-6" if ":" in via else "-4"
                words = ["ip", family, "-n", guest.namespace, "route", "replace", destination]
                shell.run([*words, "via", via])

    def _file(self, name: str) -> Path:
        return self._records / f"{name}.json"


def _service(name: str) -> str:
    return f"guest-{name}"


def _read(file: Path) -> Guest:
    values = json.loads(file.read_text())
    return Guest(**{**values, "addresses": tuple(values["addresses"])})


def _id_of_network(cloud: Cloud, name: str) -> str:
    found = cloud.neutron("networks", name=name) or cloud.neutron("networks", id=name)
    if len(found) != 1:
        raise SandboxError(f"{len(found)} networks are named {name!r}; one is wanted")
    return str(found[0]["id"])


def _listens_inside(namespace: str, ports: tuple[int, ...]) -> bool:
    """Say whether all TCP ports are listened on in the namespace."""
    listing = shell.run(namespaces.command(namespace, ("ss", "-Hltn")))
    local = [line.split()[3] for line in listing.splitlines()]
    return all(any(end.endswith(f":{port}") for end in local) for port in ports)
