# SPDX-License-Identifier: Apache-2.0
"""Ports in Neutron that hold the VIPs."""

DVR_SAFE_OWNER = ""


def complaints(seen):
    """Say what is wrong with them; those that users provide need only have the address."""
    lb_id = seen.tree.lb["id"]
    for number, (address, subnet_id, port_id) in enumerate(seen.tree.vips()):
        port = seen.neutron.ports.get(port_id)
        if not port:
            yield f"the port of VIP {address} does not exist"
            continue
        if {"subnet_id": subnet_id, "ip_address": address} not in port["fixed_ips"]:
            yield f"the port of VIP {address} has {port['fixed_ips']}"
        if lb_id not in port["name"]:
            continue  # the user's own
        prefix = f"ovn-lb-vip-additional-{number}-" if number else "ovn-lb-vip-"
        named = (port["name"], port["device_owner"], port["device_id"])
        wanted = (f"{prefix}{lb_id}", DVR_SAFE_OWNER, f"lb-{lb_id}")
        if named != wanted:
            yield f"name, owner and device of the VIP port are {named}, not {wanted}"
