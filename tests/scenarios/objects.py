# SPDX-License-Identifier: Apache-2.0
"""Objects of Octavia's API, as the scenarios speak of them."""

from tests.lab.ovsdb import as_list


class Thing:
    """An object of Octavia's API."""

    table = ""
    name = ""

    def __init__(self, project, row_id):
        self.project = project
        self.id = row_id

    @property
    def row(self):
        return self.project.lab.octavia.row(self.table, self.id)

    @property
    def operating(self):
        return self.row["operating_status"]

    @property
    def provisioning(self):
        return self.row["provisioning_status"]

    @property
    def exists(self):
        return self.project.lab.octavia.store.get(self.table, self.id) is not None

    def update(self, **fields):
        self.project.do(f"update_{self.name}", self.id, **fields)

    def delete(self):
        self.project.do(f"delete_{self.name}", self.id)


class Listener(Thing):
    table, name = "listeners", "listener"

    @property
    def pool(self):
        return Pool(self.project, self.row["default_pool_id"])


class Pool(Thing):
    table, name = "pools", "pool"

    def member(self, address, port=80, **fields):
        operation = self.project.do(
            "create_member", self.id, address=address, protocol_port=port, **fields
        )
        return Member(self.project, operation.id)

    def members(self):
        rows = self.project.lab.octavia.store.find("members", pool_id=self.id)
        return [Member(self.project, row["id"]) for row in rows]

    def batch(self, *members, **options):
        """PUT all members; each is an address, or a dict."""
        bodies = [
            {"address": member, "protocol_port": 80} if isinstance(member, str) else member
            for member in members
        ]
        self.project.do("batch_update_members", self.id, bodies, **options)

    def monitor(self, **fields):
        fields = {"type": "TCP", "delay": 5, "timeout": 3, "max_retries": 3} | fields
        return Monitor(self.project, self.project.do("create_health_monitor", self.id, **fields).id)


class Member(Thing):
    table, name = "members", "member"


class Monitor(Thing):
    table, name = "healthmonitors", "health_monitor"


class LoadBalancer(Thing):
    table, name = "loadbalancers", "load_balancer"

    def listener(self, port=80, protocol="TCP", **fields):
        operation = self.project.do(
            "create_listener", self.id, protocol=protocol, protocol_port=port, **fields
        )
        return Listener(self.project, operation.id)

    def pool(self, listener=None, protocol="TCP", algorithm="SOURCE_IP_PORT", **fields):
        """Create a pool, of a listener or of none."""
        fields |= {"protocol": protocol, "lb_algorithm": algorithm}
        owner = {"listener_id": listener.id} if listener else {"lb_id": self.id}
        return Pool(self.project, self.project.do("create_pool", **owner, **fields).id)

    def listeners(self):
        return self._children("listeners", Listener)

    def pools(self):
        return self._children("pools", Pool)

    def _children(self, table, kind):
        rows = self.project.lab.octavia.store.find(table, load_balancer_id=self.id)
        return [kind(self.project, row["id"]) for row in rows]

    def delete(self, cascade=False):
        self.project.do("delete_load_balancer", self.id, cascade=cascade)

    def failover(self):
        self.project.do("failover_load_balancer", self.id)

    # What others see of it

    @property
    def vip(self):
        return self.row["vip_address"]

    @property
    def vip_port(self):
        return self.row["vip_port_id"]

    def rows(self, **columns):
        found = self.project.lab.nb.select("Load_Balancer", [["name", "==", self.id]])
        return [row for row in found if all(row[name] == value for name, value in columns.items())]

    def state(self):
        """What the rows say once all writes are done, whenever that was written."""
        self.project.quiesce()
        return {row["_uuid"]: {**row, "_version": None} for row in self.rows()}

    def vips(self, protocol=None):
        """All keys of vips, with the sorted backends of each."""
        return {
            key: sorted(backends.split(","))
            for row in self.rows()
            if protocol in (None, row["protocol"])
            for key, backends in row["vips"].items()
        }

    def checks(self):
        """The keys that have a health check, with the options of each."""
        wanted = {check for row in self.rows() for check in as_list(row["health_check"])}
        return {
            row["vip"]: row["options"]
            for row in self.project.lab.nb.select("Load_Balancer_Health_Check")
            if row["_uuid"] in wanted
        }

    def mappings(self):
        return {
            address: mapping
            for row in self.rows()
            for address, mapping in row["ip_port_mappings"].items()
        }

    def external_ids(self):
        """Those of all rows."""
        merged = {}
        for row in self.rows():
            merged.update(row["external_ids"])
        return merged

    def hashing(self):
        """Key of vips -> the fields that choose its backend."""
        return {
            key: set(as_list(row["selection_fields"])) for row in self.rows() for key in row["vips"]
        }

    def is_on(self, *parents):
        """Whether all rows refer to these networks and routers."""
        uuids = {row["_uuid"] for row in self.rows()}
        return bool(uuids) and all(uuids <= self.project.attached(parent) for parent in parents)

    def is_off(self, *parents):
        uuids = {row["_uuid"] for row in self.rows()}
        return not any(uuids & self.project.attached(parent) for parent in parents)
