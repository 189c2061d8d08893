# SPDX-License-Identifier: Apache-2.0
"""The story of one load balancer, told with the commands that an operator would type."""

from __future__ import annotations

import collections
import concurrent.futures
import shlex
import sys
import time
from typing import TYPE_CHECKING

from sandbox import ovn, settings, shell
from sandbox.console import Console
from sandbox.errors import SandboxError

if TYPE_CHECKING:
    from sandbox.api import Json
    from sandbox.guests import Guest
    from sandbox.stack import Stack

LOAD_BALANCER = "web"
BACKENDS = ("web1", "web2")
_REQUESTS = 20
_OUTSIDE_ADDRESS = "172.24.4.200/24"
_GUESTS = (*BACKENDS, "near", "far", "outside")
_INSIDE = ("web", "office")
_NETWORKS = ("web-net", "office-net", "public")
_ROUTER = "gateway"
_INDENT = "    "


def run(stack: Stack, *, keep: bool) -> None:
    """Start the sandbox if it is down, tell the story, end what was started unless `keep`.

    Raises SandboxError at the first step that does not end as it must.
    """
    was_up = settings.load(stack.settings.state) is not None
    try:
        stack.up()
        demo = Demo(stack)
        demo.clear()
        demo.tell()
        if was_up and not keep:
            demo.clear()
    except SandboxError as error:
        raise SandboxError(f"the demo failed: {error}\nLogs: {stack.settings.log}") from error
    finally:
        if not keep and not was_up:
            stack.down()
    stack.console.done("the demo has succeeded")


class Demo:
    """One telling, on a sandbox that is up. Output for the reader goes to standard output."""

    def __init__(self, stack: Stack) -> None:
        """Log in."""
        self._stack = stack
        self._cloud = stack.cloud()
        self._out = Console(sys.stdout)
        path = f"{stack.settings.bin}:{stack.settings.base_environment['PATH']}"
        client = stack.settings.client_environment
        self._environment = {**stack.settings.base_environment, **client, "PATH": path}
        self._chapter = 0

    def tell(self) -> None:
        """Tell everything."""
        self._make_networks()
        self._make_guests()
        lb_id, vip = self._make_load_balancer()
        floating = self._make_floating_ip(lb_id)
        self._show_rows()
        self._show_traffic(vip, floating)
        self._stop_backend(vip)
        self._delete(lb_id)
        self._prove_nothing_is_left()

    # --- chapters ------------------------------------------------------------------------

    def _make_networks(self) -> None:
        self._title("Two networks behind a router, and the world outside")
        # Side by side what does not depend on each other: the client takes its time to load.
        self._openstack_all(
            "network create public --external --provider-network-type flat"
            f" --provider-physical-network {ovn.PHYSICAL_NETWORK} -f value -c id",
            "network create web-net -f value -c id",
            "network create office-net -f value -c id",
            "security group rule create --protocol tcp --dst-port 80"
            f" {self._default_group()} -f value -c id",
        )
        shown = "-f value -c gateway_ip"
        self._openstack_all(
            "subnet create public-subnet --network public --subnet-range 172.24.4.0/24"
            " --allocation-pool start=172.24.4.2,end=172.24.4.199"
            f" --no-dhcp {shown}",
            f"subnet create web-subnet --network web-net --subnet-range 10.0.0.0/24 {shown}",
            f"subnet create office-subnet --network office-net --subnet-range 10.0.1.0/24 {shown}",
        )
        self._openstack(f"router create {_ROUTER} --external-gateway public -f value -c id")
        self._openstack_all(*(f"router add subnet {_ROUTER} {net}-subnet" for net in _INSIDE))

    def _make_guests(self) -> None:
        self._title("Machines: two web servers, and a client in each of three places")
        for name in BACKENDS:
            self._guest(name, "web-net", serve=True)
        self._guest("near", "web-net")
        self._guest("far", "office-net")
        self._typed(f"python3 -m sandbox guest create outside --outside {_OUTSIDE_ADDRESS}")
        self._stack.guests.create_outside("outside", [_OUTSIDE_ADDRESS])

    def _make_load_balancer(self) -> tuple[str, str]:
        self._title("A load balancer")
        self._openstack(
            f"loadbalancer create --provider ovn --vip-subnet-id web-subnet --name {LOAD_BALANCER}"
            " -c name -c provider -c vip_address -c provisioning_status"
        )
        listed = self._cloud.octavia("GET", f"/loadbalancers?name={LOAD_BALANCER}")
        lb = listed["loadbalancers"][0]
        lb_id, vip = str(lb["id"]), str(lb["vip_address"])
        self._wait(lb_id)
        shown = " -c name -c protocol -c provisioning_status"
        self._openstack(
            "loadbalancer listener create --name http --protocol TCP --protocol-port 80"
            f" {LOAD_BALANCER} -c protocol_port{shown}"
        )
        self._wait(lb_id)
        self._openstack(
            "loadbalancer pool create --name servers --listener http --protocol TCP"
            f" --lb-algorithm SOURCE_IP_PORT -c lb_algorithm{shown}"
        )
        self._wait(lb_id)
        for name in BACKENDS:
            address = self._stack.guests.get(name).address()
            self._openstack(
                f"loadbalancer member create --name {name} --address {address}"
                " --protocol-port 80 --subnet-id web-subnet servers"
                " -c name -c address -c protocol_port -c provisioning_status"
            )
            self._wait(lb_id)
        self._openstack_all(
            "loadbalancer list -c name -c vip_address -c provisioning_status"
            " -c operating_status -c provider",
            f"loadbalancer status show {LOAD_BALANCER}",
        )
        return lb_id, vip

    def _make_floating_ip(self, lb_id: str) -> str:
        self._title("A floating IP for the outside")
        port = self._cloud.wait_for(lb_id)["vip_port_id"]
        self._openstack(f"floating ip create public --port {port} -f value -c floating_ip_address")
        found = self._cloud.neutron("floatingips", port_id=port)
        return str(found[0]["floating_ip_address"])

    def _show_rows(self) -> None:
        self._title("The same in OVN: rows of the Northbound database")
        self._run("ovn-nbctl list load_balancer")
        self._run("ovn-nbctl --wait=hv --timeout=30 sync")

    def _show_traffic(self, vip: str, floating: str) -> None:
        self._title("Packets")
        for client, address, place in (
            ("near", vip, "on the same network"),
            ("far", vip, "on another network behind the router"),
            ("outside", floating, "outside, through the floating IP"),
        ):
            answers = self._ask(client, address, f"a client {place}")
            for name in BACKENDS:
                if not answers[name]:
                    raise SandboxError(f"{name} has answered none of {client}'s requests")
            if answers[""]:
                raise SandboxError(f"{answers['']} of {client}'s requests got no answer")

    def _stop_backend(self, vip: str) -> None:
        self._title("A backend stops")
        gone, stays = BACKENDS
        self._typed(f"python3 -m sandbox guest stop {gone}")
        self._stack.guests.stop_server(gone)
        answers = self._ask("near", vip, f"{gone} is silent")
        self._out.say(
            f"{_INDENT}(its share of the connections is refused: there is no health monitor)"
        )
        if answers[gone] or not answers[stays]:
            raise SandboxError(f"{gone} is stopped, but the answers are {dict(answers)}")

    def _delete(self, lb_id: str) -> None:
        self._title("The end")
        self._openstack(f"loadbalancer delete --cascade {LOAD_BALANCER}")
        self._cloud.wait_for(lb_id, "DELETED")
        self._openstack("loadbalancer list -f value")

    def _prove_nothing_is_left(self) -> None:
        self._title("Nothing is left")
        left = [
            self._run(f"ovn-nbctl --bare --columns={column} list {table}")
            for table, column in (
                ("Load_Balancer", "name"),
                ("Load_Balancer_Health_Check", "vip"),
                ("Logical_Switch", "load_balancer"),
                ("Logical_Router", "load_balancer"),
            )
        ]
        ports = self._cloud.neutron("ports")
        ours = [p["name"] for p in ports if p["name"].startswith("ovn-lb-")]
        ours += [p["name"] for p in ports if p["device_id"].startswith("lb-")]
        self._out.say(
            f"{_INDENT}Neutron ports of load balancers: {len(ours)} of {len(ports)} ports"
        )
        if any(text.strip() for text in left) or ours:
            raise SandboxError(f"the load balancer has left behind: {left} {ours}")

    # --- before and after ----------------------------------------------------------------

    def clear(self) -> None:
        """Delete what an earlier telling on the same sandbox has left."""
        cloud, guests = self._cloud, self._stack.guests
        for lb in cloud.octavia("GET", f"/loadbalancers?name={LOAD_BALANCER}")["loadbalancers"]:
            cloud.octavia("DELETE", f"/loadbalancers/{lb['id']}?cascade=true")
            cloud.wait_for(lb["id"], "DELETED")
        for name in {guest.name for guest in guests.list()} & set(_GUESTS):
            guests.remove(name, cloud)
        for router in cloud.neutron("routers", name=_ROUTER):
            self._delete_router(router)
        networks = [net["id"] for net in cloud.neutron("networks") if net["name"] in _NETWORKS]
        for network in networks:
            cloud.delete("network", f"/v2.0/networks/{network}")
        rules = {"security_group_id": self._default_group(), "protocol": "tcp"}
        for rule in cloud.neutron("security-group-rules", **rules):
            cloud.delete("network", f"/v2.0/security-group-rules/{rule['id']}")

    def _delete_router(self, router: Json) -> None:
        cloud = self._cloud
        gateway = router["external_gateway_info"] or {}
        for floating in cloud.neutron("floatingips"):
            if floating["floating_network_id"] == gateway.get("network_id"):
                cloud.delete("network", f"/v2.0/floatingips/{floating['id']}")
        interfaces = {"device_id": router["id"], "device_owner": "network:router_interface"}
        for port in cloud.neutron("ports", **interfaces):
            path = f"/v2.0/routers/{router['id']}/remove_router_interface"
            cloud.put("network", path, {"port_id": port["id"]})
        cloud.delete("network", f"/v2.0/routers/{router['id']}")

    def _default_group(self) -> str:
        project = self._cloud.project_id
        groups = self._cloud.neutron("security-groups", name="default", project_id=project)
        return str(groups[0]["id"])

    # --- telling -------------------------------------------------------------------------

    def _title(self, text: str) -> None:
        self._chapter += 1
        self._out.say(f"\n{self._chapter}. {text}\n")

    def _typed(self, command: str) -> None:
        self._out.say(f"$ {command}")

    def _openstack(self, words: str) -> None:
        self._run(f"openstack {words}")

    def _openstack_all(self, *commands: str) -> None:
        """Run commands at the same time and show them in the given order."""
        full = [f"openstack {words}" for words in commands]
        with concurrent.futures.ThreadPoolExecutor() as pool:
            for command, output in zip(full, pool.map(self._output, full), strict=True):
                self._show(command, output)

    def _run(self, command: str) -> str:
        output = self._output(command)
        self._show(command, output)
        return output

    def _output(self, command: str) -> str:
        return shell.run(shlex.split(command), env=self._environment)

    def _show(self, command: str, output: str) -> None:
        self._typed(command)
        for line in output.rstrip().splitlines():
            self._out.say(_INDENT + line)

    def _wait(self, lb_id: str) -> None:
        began = time.monotonic()
        self._cloud.wait_for(lb_id)
        self._out.say(f"{_INDENT}ACTIVE after another {time.monotonic() - began:.1f} s")

    def _guest(self, name: str, network: str, *, serve: bool = False) -> Guest:
        self._typed(
            f"python3 -m sandbox guest create {name} --network {network}"
            + (" --serve 80" if serve else "")
        )
        guest = self._stack.guests.create(self._cloud, name, network=network)
        if serve:
            self._stack.guests.start_server(name)
        self._out.say(f"{_INDENT}{guest.address()}")
        return guest

    def _ask(self, client: str, address: str, what: str) -> collections.Counter[str]:
        """Send requests and count the answers by backend; "" counts those without one."""
        self._out.say(f"{what}:")
        self._typed(f"python3 -m sandbox guest exec {client} -- curl http://{address}/")
        answers: collections.Counter[str] = collections.Counter()
        for number in range(_REQUESTS):
            text = self._stack.guests.fetch(client, f"http://{address}/")
            if number == 0:
                self._out.say(_INDENT + (text or "(no answer)").rstrip())
            answers[text.split()[0] if text else ""] += 1
        counts = [f"{answers[name]} from {name}" for name in BACKENDS]
        counts += [f"{answers['']} refused"] if answers[""] else []
        self._out.say(f"{_INDENT}of {_REQUESTS} requests: {', '.join(counts)}")
        return answers
