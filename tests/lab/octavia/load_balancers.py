# SPDX-License-Identifier: Apache-2.0
"""Load balancers, as octavia.api.v2.controllers.load_balancer has them."""

from octavia_lib.api.drivers import data_models

from tests.lab import models, rows
from tests.lab.errors import BadRequest, DriverError
from tests.lab.octavia.call import KEPT, Calls
from tests.lab.octavia.l7 import insert_l7policies
from tests.lab.octavia.listeners import insert_listener
from tests.lab.octavia.members import insert_member, new_member
from tests.lab.rows import columns

VIP = (
    "vip_address", "vip_port_id", "vip_subnet_id", "vip_network_id", "vip_qos_policy_id",
    "vip_sg_ids",
)  # fmt: skip


class LoadBalancers(Calls):
    """Requests for load balancers, single ones and fully populated.

    :param neutron: FakeNeutron, for VIP ports that Octavia itself owns
    """

    def __init__(self, store, workers, settings, release, neutron):
        super().__init__(store, workers, settings, release)
        self._neutron = neutron

    def create_load_balancer(
        self,
        vip_subnet_id=None,
        *,
        listeners=(),
        pools=(),
        additional_vip_subnets=(),
        **given,
    ):
        """POST; with listeners and pools it is a fully populated one.

        :param additional_vip_subnets: ids, or pairs of id and address
        :param listeners: API dicts; default_pool names one of the pools, or is a dict of its own
        :param pools: API dicts with name, and maybe members, healthmonitor
        """
        self._check_groups(given)
        vip = self._vip(vip_subnet_id, given)
        given = {name: value for name, value in given.items() if name not in (*VIP, *KEPT)}
        row = rows.load_balancer({**dict.fromkeys(VIP), "vip_sg_ids": [], **vip}, given)
        additional = [
            _additional_vip(wanted, vip["vip_network_id"]) for wanted in additional_vip_subnets
        ]
        with self._call("create_load_balancer", row["id"], row["id"]) as call:
            if row["flavor"]:
                call.driver("validate_flavor", row["flavor"])
            call.transaction.insert("loadbalancers", row)
            answered = self._allocate_vip(call, row, vip, additional)
            call.transaction.update("loadbalancers", row["id"], **row)
            _create_graph(call.transaction, row["id"], listeners, pools, self.settings)
            call.driver(
                "loadbalancer_create",
                models.new_load_balancer(call.transaction, row, given, answered, self.release),
            )
        return call.operation

    def _check_groups(self, given):
        if "vip_sg_ids" in given and self.release < 19:
            raise BadRequest("Unknown attribute vip_sg_ids")

    def _vip(self, subnet_id, given):
        """Return the fields of the VIP, those included that Octavia finds out itself."""
        vip = {name: given[name] for name in VIP if given.get(name)}
        if "vip_port_id" in vip:
            fixed_ip = self._fixed_ip(vip["vip_port_id"], subnet_id)
            subnet_id = fixed_ip["subnet_id"]
            vip["vip_address"] = fixed_ip["ip_address"]
        elif subnet_id is None:
            # The first subnet of IPv4.
            subnets = self._neutron.subnets
            subnet_id = next(
                each["id"]
                for each in subnets.values()
                if each["network_id"] == vip["vip_network_id"] and each["ip_version"] == 4
            )
        network_id = self._neutron.subnets[subnet_id]["network_id"]
        return {**vip, "vip_subnet_id": subnet_id, "vip_network_id": network_id}

    def _fixed_ip(self, port_id, subnet_id):
        fixed_ips = self._neutron.ports[port_id]["fixed_ips"]
        return next(each for each in fixed_ips if subnet_id in (None, each["subnet_id"]))

    def _allocate_vip(self, call, row, vip, additional):
        """Ask the driver for the VIP port, or make it as Octavia would; return the VIP."""
        try:
            vip, additional = call.driver(
                "create_vip_port", row["id"], row["project_id"], dict(vip), additional
            )
        except DriverError as error:
            if error.kind != "NotImplementedError":
                raise
            vip = dict(vip)
            if not row["vip_port_id"]:
                port = self._neutron.create_port(
                    network_id=row["vip_network_id"],
                    name=f"octavia-lb-{row['id']}",
                    device_owner="Octavia",
                    device_id=f"lb-{row['id']}",
                    fixed_ips=[{"subnet_id": row["vip_subnet_id"]}],
                )
                vip["vip_port_id"] = port["id"]
                vip["vip_address"] = port["fixed_ips"][0]["ip_address"]
                row["octavia_owned"] = True
        row.update(
            {
                name: vip.get(name)
                for name in ("vip_address", "vip_port_id", "vip_subnet_id", "vip_network_id")
            }
        )
        row["octavia_owned"] |= bool(vip.get("octavia_owned"))
        row["additional_vips"] = additional
        return vip

    def update_load_balancer(self, lb_id, **given):
        self._check_groups(given)
        with self._call("update_load_balancer", lb_id, lb_id) as call:
            row = call.existing("loadbalancers", lb_id)
            call.set_pending(lb_id)
            asked = self.asked("loadbalancers", given)
            sg_ids = {"vip_sg_ids": asked.pop("vip_sg_ids") or []} if "vip_sg_ids" in asked else {}
            # Octavia does not hand the security groups over.
            call.driver(
                "loadbalancer_update",
                self.before("loadbalancers", call, row),
                data_models.LoadBalancer(loadbalancer_id=lb_id, **asked),
            )
            call.transaction.update("loadbalancers", lb_id, **columns(asked), **sg_ids)
        return call.operation

    def delete_load_balancer(self, lb_id, cascade=False):
        with self._call("delete_load_balancer", lb_id, lb_id) as call:
            row = call.existing("loadbalancers", lb_id)
            children = any(
                call.transaction.find(table, load_balancer_id=lb_id)
                for table in ("listeners", "pools")
            )
            if children and not cascade:
                raise BadRequest("Cannot delete: it has children")
            call.set_pending(lb_id, status="PENDING_DELETE")
            model = self.before("loadbalancers", call, row)
            call.driver("loadbalancer_delete", model, cascade)
        return call.operation

    def failover_load_balancer(self, lb_id):
        with self._call("failover_load_balancer", lb_id, lb_id) as call:
            call.set_pending(lb_id)
            call.driver("loadbalancer_failover", lb_id)
        return call.operation


def _create_graph(transaction, lb_id, listeners, pools, settings):
    pools = [*pools, *filter(_is_whole, (each.get("default_pool") for each in listeners))]
    pool_ids = {body["name"]: _create_pool(transaction, lb_id, body, settings) for body in pools}
    for body in listeners:
        given = {name: value for name, value in body.items() if name not in KEPT}
        policies = given.pop("l7policies", ())
        default_pool = given.pop("default_pool", None)
        if default_pool:
            given["default_pool_id"] = pool_ids[_name(default_pool)]
        row = rows.listener(lb_id, given, settings.timeouts)
        insert_listener(transaction, row)
        insert_l7policies(transaction, row["id"], policies, pool_ids)


def _create_pool(transaction, lb_id, body, settings):
    given = {name: value for name, value in body.items() if name not in KEPT}
    members = given.pop("members", ())
    monitor = given.pop("healthmonitor", None)
    row = rows.pool(lb_id, given, settings.for_pools())
    transaction.insert("pools", row)
    if monitor:
        transaction.insert("healthmonitors", rows.health_monitor(row["id"], monitor))
    for member in members:
        insert_member(transaction, new_member(transaction, row["id"], member))
    return row["id"]


def _name(pool):
    return pool["name"] if isinstance(pool, dict) else pool


def _is_whole(pool):
    """Tell whether it is more than the name of another."""
    return isinstance(pool, dict) and len(pool) > 1


def _additional_vip(wanted, network_id):
    if isinstance(wanted, str):
        return {"subnet_id": wanted, "network_id": network_id, "port_id": None}
    subnet_id, address = wanted
    return {
        "subnet_id": subnet_id,
        "network_id": network_id,
        "port_id": None,
        "ip_address": address,
    }
