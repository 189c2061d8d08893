# SPDX-License-Identifier: Apache-2.0
"""The steps of the scenarios.

Every call of Octavia's API goes through Project.do(), which waits for its end and then checks all
that must hold after any call: tests.lab.invariants, one transaction, statuses in order.
"""

import json
import uuid

import pytest

from tests.lab.env import wait_until
from tests.lab.errors import ApiError
from tests.lab.invariants import Oracle
from tests.lab.ovsdb import as_list, omap, update
from tests.scenarios.networks import Network, Router
from tests.scenarios.objects import LoadBalancer

PATIENCE = 15.0  # seconds until an operation counts as stuck
SETTLING = 10.0  # seconds until an event must have had its effect
QUIET = 0.05  # seconds without a transaction after which the agent has finished
TRANSACTIONS_OF_AGENT = 2  # the rows; and the request is no longer waited for
FINAL = ("ACTIVE", "ERROR", "DELETED")


class Project:
    """A tenant's networks and load balancers in a laboratory shared with others."""

    def __init__(self, lab, check_invariants=True):
        self.lab = lab
        self.neutron = lab.neutron
        self._check = check_invariants
        self._oracle = Oracle(lab)
        self._lbs = []
        self._external = None
        self._found = self._cloud_ids()

    # Act

    def network(self, *families, **options):
        return Network(self.neutron, families or (4,), **options)

    def router(self, *networks, external=None):
        """Make a router with an interface on each network."""
        return Router(self.neutron, networks, external)

    @property
    def external(self):
        """The external network, made when first asked for."""
        if not self._external:
            self._external = self.network(physical_network="public", external=True)
        return self._external

    def load_balancer(self, network, subnet=None, **fields):
        operation = self.do("create_load_balancer", subnet or network.subnet, **fields)
        return LoadBalancer(self, operation.id)

    def serving(self, network, members=1, algorithm="SOURCE_IP_PORT", monitor=False, **fields):
        """A load balancer with one TCP listener on port 80, its pool, and members on port 80."""
        pool = {"name": "pool", "protocol": "TCP", "lb_algorithm": algorithm}
        pool["members"] = [
            {"address": network.vm(), "protocol_port": 80, "subnet_id": network.subnet}
            for _ in range(members)
        ]
        if monitor:
            pool["healthmonitor"] = {"type": "TCP", "delay": 5, "timeout": 3, "max_retries": 3}
        return self.load_balancer(
            network,
            listeners=[{"protocol": "TCP", "protocol_port": 80, "default_pool": "pool"}],
            pools=[pool],
            **fields,
        )

    def floating_ip(self, port_id, address=None):
        return self.neutron.associate_fip(port_id, self.external.id, address)

    def health(self, address, status, port=80, protocol="tcp"):
        """Let the data plane find a backend online, offline or in error."""
        where = [["ip", "==", address], ["port", "==", port], ["protocol", "==", protocol]]
        self.wait(
            lambda: self.lab.sb.select("Service_Monitor", where),
            f"northd monitors {address}:{port}",
        )
        self.lab.sb.transact(update("Service_Monitor", where, {"status": status}))

    def do(self, name, /, *args, patience=PATIENCE, **fields):
        """Call Octavia's API, wait for the end, and look whether all is as it must be."""
        lab = self.lab
        writes = len(lab.worker_tap.writes), len(lab.agent_tap.writes)
        statuses = len(lab.octavia.statuses)
        ports = set(lab.neutron.ports)
        try:
            operation = getattr(lab.octavia, name)(*args, **fields)
        except ApiError:
            self._check_refusal(writes, statuses, ports)
            raise
        if name == "create_load_balancer":
            self._lbs.append(operation.lb_id)
        seconds = lab.octavia.finish(operation, patience)
        assert seconds is not None, f"{name} did not end: {lab.octavia.stuck()}"
        self._check_operation(operation, statuses)
        if self._check:
            complaints = self._oracle.complaints(operation.lb_id, at_once=True)
            assert not complaints, f"right after {name}: " + "\n".join(complaints)
            self._check_transactions(operation, writes)
            self._check_complaints(operation.lb_id, name)
        return operation

    def refused(
        self, name, /, *args, kinds=("UnsupportedOptionError", "NotImplementedError"), **fields
    ):
        """Call Octavia's API, which must refuse; do() sees that nothing has changed."""
        with pytest.raises(ApiError) as caught:
            self.do(name, *args, **fields)
        kind = getattr(caught.value, "kind", type(caught.value).__name__)
        assert kind in kinds, f"refused as {kind}: {caught.value}"
        return caught.value

    def inherit(self, lb):
        """Take a load balancer that was made elsewhere for one of this project."""
        self._lbs.append(lb.id)

    # Assert

    def wait(self, condition, what, timeout=SETTLING):
        """Wait until a condition holds, and until the rows show that all is reported to Octavia."""
        assert wait_until(condition, timeout, 0.01) is not None, f"not within time: {what}"
        self.quiesce()

    def settled(self, *lbs):
        """Wait until events have had their effect; then every invariant holds, and stays."""
        if not self._check:
            self.quiesce()
            return
        ids = [lb.id for lb in lbs] or self._lbs
        for lb_id in ids:
            self._check_complaints(lb_id, "the event")
        self.quiesce()

    def _check_complaints(self, lb_id, what):
        wait_until(lambda: not self._oracle.complaints(lb_id), SETTLING, 0.02)
        complaints = self._oracle.complaints(lb_id)
        assert not complaints, f"after {what}: " + "\n".join(complaints)

    def attached(self, parent):
        """UUIDs of the load balancer rows on a network's switch or on a router."""
        table = "Logical_Router" if isinstance(parent, Router) else "Logical_Switch"
        rows = self.lab.nb.select(table, [["name", "==", parent.name]], ["load_balancer"])
        return {uuid for row in rows for uuid in as_list(row["load_balancer"])}

    def monitor_ports(self, network):
        """The ports from which members of a network are probed."""
        return [
            port
            for port in self.neutron.ports.values()
            if port["name"].startswith("ovn-lb-hm-") and port["network_id"] == network.id
        ]

    def quiesce(self):
        """Wait until neither the agent nor a worker has written for a while."""
        lab = self.lab
        seen = []

        def is_quiet():
            now = (len(lab.worker_tap.writes), len(lab.agent_tap.writes), self._waited_for())
            seen.append(now)
            return len(seen) > rounds and len(set(seen[-rounds:])) == 1 and not now[-1]

        rounds = int(QUIET / 0.01)
        wait_until(is_quiet, SETTLING, 0.01)

    def _waited_for(self):
        """What the rows say that Octavia still waits for."""
        rows = self.lab.nb.select("Load_Balancer", columns=["external_ids"])
        return sum("octavia:pending" in row["external_ids"] for row in rows)

    def messages_since(self, count):
        return [message.status for message in self.lab.octavia.statuses[count:]]

    def look_again(self):
        """Make the agent reconcile every load balancer; it must find nothing to do."""
        self.quiesce()
        lbs = [lb_id for lb_id in self._lbs if self._lb_exists(lb_id)]
        before = {lb_id: self._rows_of(lb_id) for lb_id in lbs}
        writes = len(self.lab.agent_tap.writes)
        for rows in before.values():
            for row in rows.values():
                row["external_ids"]["test:seen"] = "yes"
                self.lab.nb.transact(
                    update(
                        "Load_Balancer",
                        [["_uuid", "==", ["uuid", row["_uuid"]]]],
                        {"external_ids": omap(row["external_ids"])},
                    )
                )
        self.quiesce()
        written = [write.operations for write in self.lab.agent_tap.writes[writes:]]
        assert not written, f"a second look wrote {written}"
        assert {lb_id: self._rows_of(lb_id) for lb_id in lbs} == before

    def _lb_exists(self, lb_id):
        return self.lab.octavia.row("loadbalancers", lb_id)["provisioning_status"] != "DELETED"

    def _rows_of(self, lb_id):
        rows = self.lab.nb.select("Load_Balancer", [["name", "==", lb_id]])
        for row in rows:
            del row["_version"]
        return {row["_uuid"]: row for row in rows}

    def clean_up(self):
        """Delete what is left; each deletion is one more test."""
        for lb_id in self._lbs:
            if self._lb_exists(lb_id):
                self.do("delete_load_balancer", lb_id, cascade=True)

    def leave(self):
        """Delete the networks with all that is on them: northd computes for all there are."""
        fips, routers, networks = (
            now - found for now, found in zip(self._cloud_ids(), self._found, strict=True)
        )
        for fip_id in fips:
            self.neutron.delete_fip(fip_id)
        for router_id in routers:
            self.neutron.delete_router(router_id)
        for network_id in networks:
            self.neutron.vanish_network(network_id)

    def _cloud_ids(self):
        neutron = self.neutron
        with neutron.locked():
            return [set(each) for each in (neutron.floatingips, neutron.routers, neutron.networks)]

    # The checks of do()

    def _check_refusal(self, writes, statuses, ports):
        lab = self.lab
        if not self._check:
            return
        assert len(lab.worker_tap.writes) == writes[0], "a refused call wrote to the database"
        assert set(lab.neutron.ports) <= ports, "a refused call left a port"
        self.quiesce()
        for message in self.messages_since(statuses):
            for table, records in message.items():
                for record in records:
                    self._check_repeated(table, record)

    def _check_repeated(self, table, record):
        """A status that comes while nothing is pending may only repeat what Octavia knows."""
        row = self.lab.octavia.store.get(table, record["id"])
        reported = record.get("provisioning_status")
        if row and reported:
            assert reported == row["provisioning_status"], f"a refused call made {table} {record}"

    def _check_operation(self, operation, statuses):
        """All that was pending is reported, the load balancer not before the others."""
        named = set()
        for message in self.messages_since(statuses):
            for table, records in message.items():
                for record in records:
                    assert _is_uuid(record["id"]), f"not an id: {record}"
                    provisioning = record.get("provisioning_status")
                    if provisioning:
                        assert provisioning in FINAL, record
                        named.add((table, record["id"]))
            if self._check and ("loadbalancers", operation.lb_id) in named:
                assert operation.pending <= named, (
                    f"the load balancer was released before {operation.pending - named}"
                )

    def _check_transactions(self, operation, writes):
        self.quiesce()
        by_api = self.lab.worker_tap.writes[writes[0] :]
        by_agent = self.lab.agent_tap.writes[writes[1] :]
        assert len(by_api) == 1, f"{operation.name} took {len(by_api)} transactions in the API"
        monitored = self.lab.octavia.store.find("healthmonitors")  # northd has its say then
        assert monitored or len(by_agent) <= TRANSACTIONS_OF_AGENT, (
            f"{operation.name} took {len(by_agent)} transactions in the agent: "
            + json.dumps([write.operations for write in by_agent])
        )


def _is_uuid(text):
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def addresses_of(pool):
    """The addresses of a pool's members."""
    return [member.row["ip_address"] for member in pool.members()]


def becomes(project, thing, status):
    """Wait until an object has an operating status."""
    project.wait(lambda: thing.operating == status, f"{thing.name} becomes {status}")
