# SPDX-License-Identifier: Apache-2.0
"""The story of one load balancer, told with the commands that an operator would type."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from sandbox import ovn, settings
from sandbox.errors import SandboxError
from sandbox.telling import REQUESTS, Telling

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.api import Json
    from sandbox.stack import Stack

LOAD_BALANCER = "web"
SERVERS = ("web1", "web2")
_OUTSIDE_ADDRESS = "172.24.4.200/24"
_GUESTS = (*SERVERS, "near", "far", "outside")
_INSIDE = ("web", "office")
_OFFICE = "10.0.1.0/24"
_NETWORKS = ("web-net", "office-net", "public")
_ROUTER = "gateway"
_STATUSES = "-c name -c provisioning_status -c operating_status"
_SYNC = "ovn-nbctl --wait=hv --timeout=30 sync"
"""Ends when every hypervisor has the flows."""


def run(stack: Stack, *, keep: bool, story: Callable[[Stack], Demo] | None = None) -> None:
    """Start the sandbox if it is down, tell a story, end what was started unless `keep`.

    Raises SandboxError at the first step that does not end as it must.
    """
    was_up = settings.load(stack.settings.state) is not None
    try:
        stack.up()
        demo = (story or Demo)(stack)
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


class Demo(Telling):
    """One telling. Each step ends with an error if it does not end as it says."""

    def tell(self) -> None:
        """Tell everything."""
        self._make_networks()
        self._make_guests()
        lb_id, vip = self._make_load_balancer()
        floating = self._make_floating_ip(lb_id)
        self._show_rows(vip, floating)
        self._show_traffic(vip, floating)
        self._stop_server(vip)
        self._monitor(lb_id, vip)
        self._restrict(lb_id, vip)
        self._draw()
        self._delete(lb_id)
        self._prove_nothing_is_left()

    # --- chapters ------------------------------------------------------------------------

    def _make_networks(self) -> None:
        self._title(
            "Networks",
            "Two networks of a tenant, web-net and office-net, behind a router whose gateway is on"
            " the network public, the world outside.",
            "each command prints the id, or the gateway's address, of what it has created.",
        )
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
            f"subnet create office-subnet --network office-net --subnet-range {_OFFICE} {shown}",
        )
        self._openstack(f"router create {_ROUTER} --external-gateway public -f value -c id")
        self._openstack_all(*(f"router add subnet {_ROUTER} {net}-subnet" for net in _INSIDE))

    def _make_guests(self) -> None:
        self._title(
            "Machines",
            "Network namespaces stand for virtual machines: two web servers, web1 and web2, and a"
            " client in each of three places: near (on the servers' network), far (on the other"
            " network) and outside.",
            "their addresses.",
        )
        for name in SERVERS:
            self._guest(name, "web-net", serve=True)
        self._guest("near", "web-net")
        self._guest("far", "office-net")
        self._typed(f"python3 -m sandbox guest create outside --outside {_OUTSIDE_ADDRESS}")
        self._note(self._stack.guests.create_outside("outside", [_OUTSIDE_ADDRESS]).address())

    def _make_load_balancer(self) -> tuple[str, str]:
        self._title(
            "A load balancer",
            "A load balancer of the provider ovn, with a listener on port 80, a pool, and both"
            " servers as members. There is no virtual machine to boot.",
            "each object is ACTIVE within a second, and the load balancer is ONLINE.",
        )
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
        for name in SERVERS:
            address = self._stack.guests.get(name).address()
            self._openstack(
                f"loadbalancer member create --name {name} --address {address}"
                " --protocol-port 80 --subnet-id web-subnet servers"
                " -c name -c address -c protocol_port -c provisioning_status"
            )
            self._wait(lb_id)
        self._openstack(f"loadbalancer list -c vip_address -c provider {_STATUSES}")
        online = self._cloud.wait_for(lb_id)["operating_status"] == "ONLINE"
        self._verify(online, "the load balancer is ONLINE")
        return lb_id, vip

    def _make_floating_ip(self, lb_id: str) -> str:
        self._title(
            "A floating IP",
            "Clients outside reach the VIP by a floating IP, which is associated with its port.",
            "an address on the network public.",
        )
        port = self._cloud.wait_for(lb_id)["vip_port_id"]
        self._openstack(f"floating ip create public --port {port} -f value -c floating_ip_address")
        found = self._cloud.neutron("floatingips", port_id=port)
        return str(found[0]["floating_ip_address"])

    def _show_rows(self, vip: str, floating: str) -> None:
        self._title(
            "The same in OVN",
            "A load balancer is a row of the OVN Northbound database. OVN turns it into flows on"
            " every hypervisor.",
            "vips has an entry for the VIP and one for the floating IP, each with both servers.",
        )
        rows = self._run("ovn-nbctl list load_balancer")
        self._run(_SYNC)
        servers = [f"{self._stack.guests.get(name).address()}:80" for name in SERVERS]
        entries = [f'"{each}:80"="' for each in (vip, floating)]
        self._verify(all(each in rows for each in (*servers, *entries)), "both entries are there")

    def _show_traffic(self, vip: str, floating: str) -> None:
        self._title(
            "Packets",
            f"Each client sends {REQUESTS} requests; a server answers with its name, and with the"
            " address and port that it sees.",
            "both servers answer each client, and see the client's own address.",
        )
        for client, address, place in (
            ("near", vip, "on the same network"),
            ("far", vip, "on another network behind the router"),
            ("outside", floating, "outside, through the floating IP"),
        ):
            answers = self._ask(client, address, SERVERS)
            both = answers[SERVERS[0]] and answers[SERVERS[1]] and not answers[""]
            self._verify(both, f"both servers answer a client {place}")

    def _stop_server(self, vip: str) -> None:
        gone, stays = SERVERS
        self._title(
            "A server stops, and nothing checks it",
            f"The server on {gone} stops. The pool has no health monitor, so OVN still sends it its"
            " share of the connections.",
            f"only {stays} answers, and some requests fail.",
        )
        self._typed(f"python3 -m sandbox guest stop {gone}")
        self._stack.guests.stop_server(gone)
        answers = self._ask("near", vip, SERVERS)
        lost = answers[""] and answers[stays] and not answers[gone]
        self._verify(lost, f"the share of {gone} is lost")

    def _monitor(self, lb_id: str, vip: str) -> None:
        gone, stays = SERVERS
        self._title(
            "A health monitor takes it out, and back in",
            "A health monitor connects to each member once a second; two failures in a row take a"
            " member out.",
            f"{gone} is in ERROR within seconds and gets no more connections, so no request fails."
            " Once its server runs again, it gets its share again.",
        )
        self._openstack(
            "loadbalancer healthmonitor create --name alive --type TCP --delay 1 --timeout 1"
            " --max-retries 1 --max-retries-down 2 servers -c name -c type -c provisioning_status"
        )
        self._wait(lb_id)
        self._until_member(gone, "ERROR")
        self._run(_SYNC)
        self._openstack(f"loadbalancer member list servers -c address {_STATUSES}")
        answers = self._ask("near", vip, SERVERS)
        self._verify(answers == {stays: REQUESTS}, f"{stays} answers every request")
        self._typed(f"python3 -m sandbox guest serve {gone}")
        self._stack.guests.start_server(gone)
        self._until_member(gone, "ONLINE")
        self._run(_SYNC)
        answers = self._ask("near", vip, SERVERS)
        self._verify(answers[gone] and answers[stays] and not answers[""], "both answer again")

    def _restrict(self, lb_id: str, vip: str) -> None:
        self._title(
            "A listener for some clients only",
            f"allowed_cidrs restrict the listener to the network office-net ({_OFFICE}). Packets of"
            " others are dropped; octavia-ovn trace says why a client does not get through.",
            "far gets answers, near gets none, and the trace has one fault (✗), with its code.",
        )
        self._openstack(f"loadbalancer listener set --allowed-cidr {_OFFICE} http")
        self._wait(lb_id)
        self._run(_SYNC)
        answers = self._ask("far", vip, SERVERS)
        self._verify(not answers[""], f"far, which is in {_OFFICE}, gets every answer")
        answers = self._ask("near", vip, SERVERS, requests=3, timeout=1.0)
        self._verify(answers == {"": 3}, "near gets none")
        trace = self._run(self._ours(f"trace {LOAD_BALANCER} --from near --port 80"), status=1)
        named = trace.count("✗ Allowed clients") == 1 and "[OVNLB-309]" in trace
        self._verify(named, "the trace names the reason: near is not in allowed_cidrs")

    def _draw(self) -> None:
        self._title(
            "The whole, at a glance",
            "octavia-ovn show has Octavia's statuses beside the state in OVN, and draws a picture"
            " of it.",
            "each line is marked as right (●).",
        )
        picture = self._stack.settings.state / f"{LOAD_BALANCER}.svg"
        picture.unlink(missing_ok=True)
        self._run(self._ours(f"show {LOAD_BALANCER} --svg {picture}"))
        drawn = picture.exists() and ElementTree.parse(picture).getroot().tag.endswith("svg")
        self._verify(drawn, f"the picture is in {picture}; open it in a browser")

    def _delete(self, lb_id: str) -> None:
        self._title(
            "The end",
            "The load balancer is deleted with everything below it.",
            "the list is empty.",
        )
        self._openstack(f"loadbalancer delete --cascade {LOAD_BALANCER}")
        self._cloud.wait_for(lb_id, "DELETED")
        left = self._run("openstack loadbalancer list -f value")
        self._verify(LOAD_BALANCER not in left.split(), "it is gone from Octavia")

    def _prove_nothing_is_left(self) -> None:
        self._title(
            "Nothing is left",
            "Neither OVN nor Neutron has anything of the load balancer.",
            "no output from OVN, and no ports of load balancers.",
        )
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
        self._note(f"Neutron ports of load balancers: {len(ours)} of {len(ports)} ports")
        self._verify(not any(map(str.strip, left)) and not ours, "nothing is left")

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

    # --- words of this story ---------------------------------------------------------------

    def _wait(self, lb_id: str) -> None:
        began = time.monotonic()
        self._cloud.wait_for(lb_id)
        self._note(f"ACTIVE after another {time.monotonic() - began:.1f} s")

    def _until_member(self, name: str, status: str) -> None:
        (pool,) = self._cloud.octavia("GET", "/pools?name=servers")["pools"]

        def shown() -> bool:
            query = f"/pools/{pool['id']}/members?name={name}"
            (member,) = self._cloud.octavia("GET", query)["members"]
            return bool(member["operating_status"] == status)

        self._until(shown, f"{name} is {status}")

    def _ours(self, words: str) -> str:
        """Return a command of the driver's, which reads Octavia's configuration."""
        return f"octavia-ovn {words} --config-file {self._stack.settings.etc / 'octavia.conf'}"

    def _guest(self, name: str, network: str, *, serve: bool = False) -> None:
        self._typed(
            f"python3 -m sandbox guest create {name} --network {network}"
            + (" --serve 80" if serve else "")
        )
        guest = self._stack.guests.create(self._cloud, name, network=network)
        if serve:
            self._stack.guests.start_server(name)
        self._note(guest.address())
