# SPDX-License-Identifier: Apache-2.0
"""On which switches and routers the rows hang, and which they name."""

import json

from tests.lab.invariants.notation import version
from tests.lab.ovn_mirror import ROUTER_GATEWAY, ovn_name


def complaints(seen):
    """Say what is wrong with where the rows hang."""
    vip_subnets = [subnet for _, subnet, _ in seen.tree.vips()]
    member_subnets = [
        subnet
        for subnet in map(seen.subnet_of, seen.tree.all_members())
        if subnet in seen.neutron.subnets
    ]
    families = {version(address) for address, _, _ in seen.tree.vips()}
    routers = seen.routers_on(vip_subnets + member_subnets)
    gateways = seen.routers_on(vip_subnets + member_subnets, ROUTER_GATEWAY)
    vip_gateways = seen.routers_on(vip_subnets, ROUTER_GATEWAY)
    subnets = set(vip_subnets + member_subnets)
    neighbours = {subnet for router in routers for subnet in seen.interface_subnets(router)}
    farther = {subnet for router in gateways for subnet in seen.interface_subnets(router)}
    close = {
        subnet for subnet in neighbours if seen.neutron.subnets[subnet]["ip_version"] in families
    }
    yield from _difference(
        "switches",
        seen.attached(seen.switches),
        _switch_names(seen, subnets | close),
        _switch_names(seen, subnets | neighbours | farther),
    )
    yield from _difference(
        "routers",
        seen.attached(seen.routers),
        {ovn_name(router) for router in routers | vip_gateways},
        {ovn_name(router) for router in routers | gateways},
    )
    yield from _reference_complaints(seen, vip_subnets, member_subnets)


def _difference(what, found, required, allowed):
    for row, names in found.items():
        if not required <= names <= allowed:
            yield (
                f"row {row[:8]} is on the {what} {sorted(names)}; "
                f"missing {sorted(required - names)}, too many {sorted(names - allowed)}"
            )


def _reference_complaints(seen, vip_subnets, member_subnets):
    own_routers = seen.routers_on(vip_subnets) | seen.routers_on(vip_subnets, ROUTER_GATEWAY)
    referred = set()
    for row in seen.rows:
        external_ids = row["external_ids"]
        router = external_ids.get("lr_ref")
        if own_routers and router not in map(ovn_name, own_routers):
            yield f"lr_ref is {router!r}, not one of {sorted(map(ovn_name, own_routers))}"
        if router and "," in router:
            yield f"lr_ref names several routers: {router}"
        referred |= set(json.loads(external_ids.get("ls_refs", "{}")))
    required = _switch_names(seen, vip_subnets + member_subnets)
    allowed = {
        ovn_name(seen.neutron.subnets[subnet]["network_id"])
        for subnet in vip_subnets + member_subnets
    }
    if not required <= referred <= allowed:
        yield f"ls_refs names {sorted(referred)}, not {sorted(required)}"


def _switch_names(seen, subnets):
    """Names of the switches of these subnets, provider networks left out."""
    networks = {seen.neutron.subnets[subnet]["network_id"] for subnet in subnets}
    return {
        ovn_name(network)
        for network in networks
        if not seen.neutron.networks[network]["provider:physical_network"]
    }
