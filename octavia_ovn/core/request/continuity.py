# SPDX-License-Identifier: Apache-2.0
"""State that a load balancer keeps when Octavia provides it, or a part of it, again.

Octavia does not know the slots of members, the subnets found for them, and the networks of VIPs.
"""

from __future__ import annotations

from dataclasses import replace

from octavia_ovn.core import model, slots


def keep(before: model.LoadBalancer | None, after: model.LoadBalancer) -> model.LoadBalancer:
    """Return a load balancer from Octavia with the state that only the existing rows have."""
    if before is None:
        return after
    vips = {(vip.address, vip.replaces or vip.port_id): vip for vip in before.vips}
    return replace(
        after,
        vips=tuple(_merge_vip(vips.get((vip.address, vip.port_id)), vip) for vip in after.vips),
        security_groups=(
            before.security_groups if after.security_groups is None else after.security_groups
        ),
        pools=tuple(_keep_places(before.pool(pool.id), pool) for pool in after.pools),
    )


def _merge_vip(before: model.Vip | None, after: model.Vip) -> model.Vip:
    if before is None:
        return after
    return replace(
        after,
        port_id=before.port_id,
        replaces=before.replaces,
        subnet_id=after.subnet_id or before.subnet_id,
        network_id=after.network_id or before.network_id,
        cidr=after.cidr or before.cidr,
        user_port=before.user_port if after.user_port is None else after.user_port,
    )


def _keep_places(before: model.Pool | None, after: model.Pool) -> model.Pool:
    if before is None:
        return after
    wanted = {each.id: with_subnet(each, before) for each in after.members}
    kept = [wanted.pop(each.id) for each in before.members if each.id in wanted]
    members = (*kept, *wanted.values())
    return slots.arrange(replace(after, members=members), slots.places(before))


def with_subnet(member: model.Member, pool: model.Pool) -> model.Member:
    """Keep the subnet that was found for a member that came without one."""
    if member.subnet_id is not None:
        return member
    before = pool.member(member.id)
    if before is None or before.address != member.address:
        return member
    return replace(member, subnet_id=before.subnet_id)
