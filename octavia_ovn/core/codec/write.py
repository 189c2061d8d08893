# SPDX-License-Identifier: Apache-2.0
"""Writing the row format."""

from __future__ import annotations

import json
from collections.abc import Mapping

from octavia_ovn.core import flavors, ip, model
from octavia_ovn.core.codec import keys as k
from octavia_ovn.core.pending import Pending
from octavia_ovn.core.placement import RowGroup
from octavia_ovn.core.rows import Flow

# Made once: json.dumps makes an encoder for each call with options.
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def dumps(value: object) -> str:
    """Write JSON so that equal values give equal strings."""
    return _ENCODER.encode(value)


def encode(lb: model.LoadBalancer, group: RowGroup) -> dict[str, str]:
    """Return the intent keys of the row of a row group."""
    keys = {
        k.ENABLED: str(lb.enabled),
        k.VIP: lb.vips[0].address,
        k.LOAD_BALANCER: dumps(_lb_attributes(lb)),
    }
    flavor = flavors.write(lb.flavor)
    for key, part in _flavor_parts(flavor).items():
        keys[key] = dumps(part)
    if lb.security_groups:
        keys[k.VIP_GROUPS] = ",".join(sorted(lb.security_groups))
    keys |= _vips(lb)
    for listener in group.listeners:
        keys[_key(k.LISTENER, listener.id, listener.enabled)] = (
            f"{listener.port}:{k.POOL}{listener.pool_id}"
            if listener.pool_id
            else f"{listener.port}:"
        )
        attributes = _listener_attributes(listener)
        if attributes:
            keys[k.LISTENER_ATTRIBUTES + listener.id] = dumps(attributes)
    for pool in group.pools:
        keys[_key(k.POOL, pool.id, pool.enabled)] = ",".join(map(encode_member, pool.members))
        keys[k.POOL_ATTRIBUTES + pool.id] = dumps(_pool_attributes(pool))
        keys[k.POOL_MARK + pool.id] = k.MARKED
    monitors = [pool.monitor.id for pool in group.pools if pool.monitor]
    if monitors:
        keys[k.MONITORS] = json.dumps(sorted(monitors))
    return keys


def _flavor_parts(flavor: Mapping[str, object]) -> dict[str, dict[str, object]]:
    """Return the keys of a flavor by the key of external_ids that holds them."""
    parts: dict[str, dict[str, object]] = {}
    for name, value in flavor.items():
        key = k.FLAVOR if name in flavors.FIRST else k.FLAVOR_MORE
        parts.setdefault(key, {})[name] = value
    return parts


def _vips(lb: model.LoadBalancer) -> dict[str, str]:
    keys = {}
    if lb.vips[0].port_id:
        keys[k.VIP_PORT] = lb.vips[0].port_id
    if lb.vips[1:]:
        keys[k.ADDITIONAL_VIPS] = ",".join(vip.address for vip in lb.vips[1:])
        keys[k.ADDITIONAL_PORTS] = ",".join(vip.port_id or "" for vip in lb.vips[1:])
    return keys


def _key(prefix: str, object_id: str, enabled: bool) -> str:
    return f"{prefix}{object_id}{'' if enabled else k.DISABLED}"


def encode_member(member: model.Member) -> str:
    """Return the token of a member in its pool's key."""
    subnet = f"_{member.subnet_id}" if member.subnet_id else ""
    return f"{k.MEMBER}{member.id}_{member.address}:{member.port}{subnet}"


def endpoint(address: str, port: int) -> str:
    """Return `address:port` as OVN writes it, IPv6 in brackets."""
    return f"{bracketed(address)}:{port}"


def endpoints(value: str) -> tuple[str, ...]:
    """Return the different backends in the value of an entry of `vips`, in their order."""
    return tuple(dict.fromkeys(each for each in value.split(",") if each))


def bracketed(address: str) -> str:
    """Return an address, IPv6 in brackets."""
    return f"[{address}]" if ip.family(address) == 6 else address  # noqa: PLR2004 - IPv6


def switch_refs(refs: Mapping[str, int]) -> str:
    """Return the value of `ls_refs`."""
    return json.dumps(dict(sorted(refs.items())))


def member_status(statuses: Mapping[str, str]) -> str:
    """Return the value of `neutron:member_status`."""
    return json.dumps(dict(sorted(statuses.items())))


def lost_vips(lost: Mapping[str, str]) -> str:
    """Return the value of `octavia:lost_vips`."""
    return dumps(dict(lost))


def draining(deadlines: Mapping[Flow, int]) -> str:
    """Return the value of `octavia:draining`."""
    found: dict[str, dict[str, dict[str, int]]] = {}
    for flow, deadline in deadlines.items():
        vips = found.setdefault(flow.protocol, {})
        vips.setdefault(flow.vip, {})[flow.backend] = deadline
    return dumps(found)


def encode_pending(pending: Pending) -> str:
    """Return the value of `octavia:pending`."""
    objects: dict[str, dict[str, str]] = {}
    for (kind, object_id), final in pending.objects.items():
        objects.setdefault(kind.value, {})[object_id] = final.value
    value = {"requests": list(pending.requests), "objects": objects}
    flags = ("created", "resync", "orphaned", "groups")
    return dumps({**value, **{flag: True for flag in flags if getattr(pending, flag)}})


def _lb_attributes(lb: model.LoadBalancer) -> dict[str, object]:
    vips = [
        _compact(
            subnet_id=vip.subnet_id,
            network_id=vip.network_id,
            cidr=vip.cidr,
            brought=vip.user_port,
            replaces=vip.replaces,
        )
        for vip in lb.vips
    ]
    return _compact(project_id=lb.project_id, vips=vips)


def _listener_attributes(listener: model.Listener) -> dict[str, object]:
    return _compact(
        application=listener.application and listener.application.value,
        allowed_cidrs=list(listener.allowed_cidrs) or None,
        connection_limit=listener.connection_limit,
    )


def _pool_attributes(pool: model.Pool) -> dict[str, object]:
    members = {member.id: attributes for member in pool.members if (attributes := _odd(member))}
    monitor = pool.monitor and {
        "id": pool.monitor.id,
        "type": pool.monitor.type.value,
        **{name: getattr(pool.monitor, name) for name in model.MONITOR_NUMBERS},
        **_compact(**{name: getattr(pool.monitor, name) for name in model.HTTP_FORMS}),
        "enabled": pool.monitor.enabled,
    }
    persistence = pool.persistence and _compact(
        mechanism=pool.persistence.mechanism.value, timeout=pool.persistence.timeout
    )
    return _compact(
        algorithm=pool.algorithm.value,
        persistence=persistence,
        monitor=monitor,
        members=members or None,
        slots=list(pool.slots) or None,
        application=pool.application and pool.application.value,
    )


def _odd(member: model.Member) -> dict[str, object]:
    """Return the fields of a member that differ from the default."""
    odd: dict[str, object] = {}
    if member.weight != 1:
        odd["weight"] = member.weight
    if member.backup:
        odd["backup"] = True
    if not member.enabled:
        odd["enabled"] = False
    checked = {name: getattr(member, name) for name in ("monitor_address", "monitor_port")}
    return {**odd, **_compact(**checked)}


def _compact(**values: object) -> dict[str, object]:
    return {key: value for key, value in values.items() if value is not None}


def mapping_source(value: str) -> str:
    """Return the source address in the value of an entry of `ip_port_mappings`."""
    return value.partition(":")[2].strip("[]")
