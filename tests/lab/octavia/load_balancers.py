"""Load balancers, as octavia.api.v2.controllers.load_balancer has them."""

from octavia_lib.api.drivers import data_models

from tests.lab import models, rows
from tests.lab.errors import BadRequest, DriverError
from tests.lab.octavia.call import Calls
from tests.lab.octavia.listeners import insert_listener
from tests.lab.octavia.members import insert_member, new_member
from tests.lab.rows import columns


class LoadBalancers(Calls):
    """Requests for load balancers, single ones and fully populated.

    :param neutron: FakeNeutron, for VIP ports that Octavia itself owns
    """

    def __init__(self, store, workers, neutron):
        super().__init__(store, workers)
        self._neutron = neutron

    def create_load_balancer(
        self,
        vip_subnet_id,
        *,
        listeners=(),
        pools=(),
        additional_vip_subnets=(),
        vip_address=None,
        vip_port_id=None,
        vip_qos_policy_id=None,
        vip_sg_ids=(),
        **given,
    ):
        """POST; with listeners and pools it is a fully populated one.

        :param additional_vip_subnets: ids, or pairs of id and address
        :param listeners: API dicts; default_pool names one of the pools
        :param pools: API dicts with name, and maybe members, healthmonitor
        """
        network_id = self._neutron.subnets[vip_subnet_id]["network_id"]
        row = rows.load_balancer(
            {
                "vip_address": vip_address,
                "vip_port_id": vip_port_id,
                "vip_subnet_id": vip_subnet_id,
                "vip_network_id": network_id,
                "vip_qos_policy_id": vip_qos_policy_id,
                "vip_sg_ids": list(vip_sg_ids),
            },
            given,
        )
        additional = [_additional_vip(vip, network_id) for vip in additional_vip_subnets]
        with self._call("create_load_balancer", row["id"], row["id"]) as call:
            if row["flavor"]:
                call.driver("validate_flavor", row["flavor"])
            call.transaction.insert("loadbalancers", row)
            self._allocate_vip(call, row, additional)
            call.transaction.update("loadbalancers", row["id"], **row)
            _create_graph(call.transaction, row["id"], listeners, pools)
            call.driver(
                "loadbalancer_create", models.new_load_balancer(call.transaction, row, given)
            )
        return call.operation

    def _allocate_vip(self, call, row, additional):
        """Ask the driver for the VIP port, or make it as Octavia would."""
        vip = {"vip_network_id": row["vip_network_id"], "vip_subnet_id": row["vip_subnet_id"]}
        for name in ("vip_address", "vip_port_id", "vip_qos_policy_id", "vip_sg_ids"):
            if row[name]:
                vip[name] = row[name]
        try:
            vip, additional = call.driver(
                "create_vip_port", row["id"], row["project_id"], vip, additional
            )
        except DriverError as error:
            if error.kind != "NotImplementedError":
                raise
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

    def update_load_balancer(self, lb_id, **given):
        with self._call("update_load_balancer", lb_id, lb_id) as call:
            row = call.existing("loadbalancers", lb_id)
            call.set_pending(lb_id)
            call.driver(
                "loadbalancer_update",
                models.load_balancer(call.transaction, row),
                data_models.LoadBalancer(loadbalancer_id=lb_id, **given),
            )
            call.transaction.update("loadbalancers", lb_id, **columns(given))
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
            call.driver("loadbalancer_delete", models.load_balancer(call.transaction, row), cascade)
        return call.operation

    def failover_load_balancer(self, lb_id):
        with self._call("failover_load_balancer", lb_id, lb_id) as call:
            call.set_pending(lb_id)
            call.driver("loadbalancer_failover", lb_id)
        return call.operation


def _create_graph(transaction, lb_id, listeners, pools):
    pool_ids = {}
    for body in pools:
        given = dict(body)
        members = given.pop("members", ())
        monitor = given.pop("healthmonitor", None)
        row = rows.pool(lb_id, given)
        pool_ids[row["name"]] = row["id"]
        transaction.insert("pools", row)
        if monitor:
            transaction.insert("healthmonitors", rows.health_monitor(row["id"], monitor))
        for member in members:
            insert_member(transaction, new_member(transaction, row["id"], member))
    for body in listeners:
        given = dict(body)
        default_pool = given.pop("default_pool", None)
        if default_pool:
            given["default_pool_id"] = pool_ids[default_pool]
        insert_listener(transaction, rows.listener(lb_id, given))


def _additional_vip(wanted, network_id):
    if isinstance(wanted, str):
        return {"subnet_id": wanted, "network_id": network_id}
    subnet_id, address = wanted
    return {"subnet_id": subnet_id, "network_id": network_id, "ip_address": address}
