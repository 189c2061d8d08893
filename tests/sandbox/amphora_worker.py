# SPDX-License-Identifier: Apache-2.0
"""What octavia-worker does for a load balancer of amphora, as far as that needs no Nova.

``amphora_worker.py CONF build LB`` is run after Octavia's API has created a load balancer; prints
the id of the port that the amphora has beside the VIP. ``amphora_worker.py CONF delete LB`` is run
after the API was asked to delete it. Both use Octavia's own tasks, drivers and tables. The sandbox
has Octavia's no-op drivers for machines and their images: what is to be an amphora plugs the port
in itself.
"""

from __future__ import annotations

import sys
import uuid

from octavia.api.drivers import utils as provider_utils
from octavia.common import config, constants, rpc, utils
from octavia.controller.worker.v2 import controller_worker
from octavia.controller.worker.v2.tasks import database_tasks
from octavia.db import api, repositories


def build(lb_id: str) -> str:
    """Make security group, port and row of one amphora; everything is ACTIVE then."""
    with api.session().begin() as session:
        lb = repositories.LoadBalancerRepository().get(session, id=lb_id)
    network, amphora_id = utils.get_network_driver(), str(uuid.uuid4())
    group = network.update_vip_sg(lb, lb.vip)
    port = network.network_proxy.create_port(
        name=f"octavia-lb-vrrp-{amphora_id}",
        network_id=lb.vip.network_id,
        fixed_ips=[{"subnet_id": lb.vip.subnet_id}],
        admin_state_up=True,
        device_owner=constants.OCTAVIA_OWNER,
    )
    network._add_vip_address_pairs(port.id, [lb.vip.ip_address])
    network._add_vip_security_group_to_port(lb_id, port.id, group)
    with api.session().begin() as session:
        repositories.AmphoraRepository().create(
            session,
            id=amphora_id,
            load_balancer_id=lb_id,
            compute_id=str(uuid.uuid4()),
            status=constants.AMPHORA_ALLOCATED,
            role=constants.ROLE_STANDALONE,
            lb_network_ip="192.0.2.10",
            vrrp_port_id=port.id,
            vrrp_ip=port.fixed_ips[0]["ip_address"],
            ha_port_id=lb.vip.port_id,
            ha_ip=lb.vip.ip_address,
        )
    task = database_tasks.MarkLBActiveInDB(mark_subobjects=True)
    task.execute({constants.LOADBALANCER_ID: lb_id})
    return str(port.id)


def delete(lb_id: str) -> None:
    """Delete amphorae, ports, security group and rows."""
    with api.session().begin() as session:
        lb = repositories.LoadBalancerRepository().get(session, id=lb_id)
        values = provider_utils.db_loadbalancer_to_provider_loadbalancer(lb).to_dict()
    controller_worker.ControllerWorker().delete_load_balancer(values, cascade=True)


if __name__ == "__main__":
    config.init(["--config-file", sys.argv[1]])
    config.setup_logging(config.cfg.CONF)
    rpc.init()
    print({"build": build, "delete": delete}[sys.argv[2]](sys.argv[3]))
