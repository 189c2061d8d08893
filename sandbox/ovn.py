# SPDX-License-Identifier: Apache-2.0
"""OVN and Open vSwitch: databases, northd, and a hypervisor without a kernel module.

ovs-vswitchd and ovn-controller have a network namespace of their own, the *hypervisor*: bridges,
taps and the guests' cables are in there and vanish with it; nothing shows up on the host.
"""

from __future__ import annotations

import json
import time
from functools import partial
from typing import TYPE_CHECKING

from sandbox import namespaces, network, shell
from sandbox.errors import SandboxError
from sandbox.process import Service

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.settings import Settings

CHASSIS = "chassis-1"
"""Name of the first hypervisor, for OVN and for Neutron."""

PHYSICAL_NETWORK = "physnet1"
"""Neutron's name for what is behind br-ex, where the outside namespaces are."""

# Name of the database -> stem of its files, schema below the prefix of OVN.
SCHEMAS = {
    "nb": ("ovnnb_db", "share/ovn/ovn-nb.ovsschema"),
    "sb": ("ovnsb_db", "share/ovn/ovn-sb.ovsschema"),
    "ovs-db": ("db", "share/openvswitch/vswitch.ovsschema"),
}


def hypervisor(settings: Settings) -> str:
    """Return the name of the hypervisor's network namespace."""
    return f"{settings.prefix}-hv"


def create(settings: Settings) -> None:
    """Make the empty databases and the hypervisor's namespace, where they do not exist."""
    for stem, schema in SCHEMAS.values():
        file = settings.run / f"{stem}.db"
        if not file.exists():
            command = ["ovsdb-tool", "create", file, settings.ovn_prefix / schema]
            shell.run(command, env=settings.base_environment)
    namespaces.add(hypervisor(settings))


def databases(settings: Settings) -> list[Service]:
    """Return the three ovsdb-servers; NB and SB listen on TCP too."""
    return [_database(settings, name) for name in SCHEMAS]


def daemons(settings: Settings) -> list[Service]:
    """Return northd, vswitchd and ovn-controller.

    vswitchd is restarted if it aborts, as distributions have it: connection tracking of 3.1 in user
    space did, when a packet came while its connection was being flushed.
    """
    run = settings.run
    local = f"unix:{run}/db.sock"
    inside = ("ip", "netns", "exec", hypervisor(settings))
    return [
        _daemon(
            settings,
            "ovn-northd",
            (f"--ovnnb-db={settings.nb}", f"--ovnsb-db={settings.sb}"),
        ),
        _daemon(settings, "ovs-vswitchd", (local, "--monitor"), wrapper=inside),
        _daemon(settings, "ovn-controller", (local,), wrapper=inside, control=False),
    ]


def configure(settings: Settings) -> None:
    """Fill the running databases: root rows, this chassis, both bridges."""
    env = settings.base_environment
    shell.run(["ovn-nbctl", "init"], env=env)
    shell.run(["ovn-sbctl", "init"], env=env)
    ids = {
        "system-id": CHASSIS,
        "hostname": CHASSIS,
        "ovn-remote": settings.sb,
        "ovn-encap-type": "geneve",
        "ovn-encap-ip": "127.0.0.1",
        "ovn-bridge-datapath-type": "netdev",
        "ovn-bridge-mappings": f"{PHYSICAL_NETWORK}:br-ex",
        "ovn-cms-options": "enable-chassis-as-gw",
    }
    command = ["ovs-vsctl", "--no-wait", "--", "init", "--", "set", "open_vswitch", "."]
    command += [f"external_ids:{name}={json.dumps(value)}" for name, value in ids.items()]
    for bridge, options in (("br-int", ["fail_mode=secure"]), ("br-ex", [])):
        command += ["--", "--may-exist", "add-br", bridge]
        command += ["--", "set", "bridge", bridge, "datapath_type=netdev", *options]
    shell.run(command, env=env)


def plug(settings: Settings, bridge: str, device: str, *, port_id: str = "") -> None:
    """Connect a device of the hypervisor to a bridge, as the Neutron port if one is given."""
    command = ["ovs-vsctl", "--timeout=10", "--may-exist", "add-port", bridge, device]
    if port_id:
        command += ["--", "set", "interface", device, f"external_ids:iface-id={port_id}"]
    shell.run(command, env=settings.base_environment)


def unplug(settings: Settings, device: str) -> None:
    """Take a device off its bridge, if it is on one."""
    command = ["ovs-vsctl", "--timeout=10", "--if-exists", "del-port", device]
    shell.run(command, env=settings.base_environment)


def sync(settings: Settings, *, timeout: float = 30.0) -> None:
    """Wait until the hypervisor's flows follow what is in NB now."""
    command = ["ovn-nbctl", "--wait=hv", f"--timeout={timeout:.0f}", "sync"]
    shell.run(command, env=settings.base_environment)


def wait_for_chassis(settings: Settings, *, timeout: float = 30.0) -> None:
    """Wait until ovn-controller has registered in SB: routers get no gateway before."""
    find = ["ovn-sbctl", "--bare", "--columns=name", "find", "Chassis", f"name={CHASSIS}"]
    deadline = time.monotonic() + timeout
    while not shell.run(find, env=settings.base_environment).strip():
        if time.monotonic() > deadline:
            log = shell.tail(settings.log / "ovn-controller.log")
            raise SandboxError(f"ovn-controller has not registered its chassis.\n{log}")
        time.sleep(0.1)


def _database(settings: Settings, name: str) -> Service:
    stem = SCHEMAS[name][0]
    socket = settings.run / f"{stem}.sock"
    argv = [
        "ovsdb-server",
        f"--remote=punix:{socket}",
        f"--unixctl={settings.run}/{stem}.ctl",
        f"--pidfile={settings.run}/{stem}.pid",
        "-vfile:off",
        "-vsyslog:off",
    ]
    if name in settings.ports:
        argv.append(f"--remote=ptcp:{settings.ports[name]}:{settings.host}")
    argv.append(str(settings.run / f"{stem}.db"))
    ready = partial(network.unix_listens, socket)
    return Service(name=name, argv=tuple(argv), env=settings.base_environment, ready=ready)


def _daemon(
    settings: Settings,
    name: str,
    options: tuple[str, ...],
    *,
    wrapper: tuple[str, ...] = (),
    control: bool = True,
) -> Service:
    """`control`: whether --unixctl is known; ovn-controller 23.03 does not have it."""
    pidfile = settings.run / f"{name}.pid"
    argv = (*wrapper, name, *options, f"--pidfile={pidfile}", "-vfile:off", "-vsyslog:off")
    if control:
        argv = (*argv, f"--unixctl={settings.run}/{name}.ctl")
    return Service(
        name=name, argv=argv, env=settings.base_environment, ready=partial(_has_pid, pidfile)
    )


def _has_pid(pidfile: Path) -> bool:
    return pidfile.exists() and bool(pidfile.read_text().strip())
