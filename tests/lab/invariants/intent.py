# SPDX-License-Identifier: Apache-2.0
"""What the rows say was asked for: the load balancer, its listeners, pools and members."""

import collections
import json

from tests.lab.invariants.notation import layer4


def complaints(seen, at_once):
    """Say what is wrong with what the rows say was asked for."""
    yield from _row_complaints(seen)
    yield from _protocol_complaints(seen)
    yield from _tree_key_complaints(seen)
    if not at_once:
        yield from _member_status_complaints(seen)


def _row_complaints(seen):
    lb = seen.tree.lb
    additional = list(seen.tree.vips())[1:]
    expected = {
        "neutron:vip": lb["vip_address"],
        "neutron:vip_port_id": lb["vip_port_id"],
        "neutron:vip_fip": seen.fip_of(lb["vip_address"], lb["vip_port_id"]),
        "enabled": str(lb["enabled"]),
        "neutron:additional_vips": ",".join(vip[0] for vip in additional) or None,
        "neutron:additional_vip_port_ids": ",".join(vip[2] for vip in additional) or None,
    }
    fips = {seen.fip_of(address, port) for address, _, port in additional} - {None}
    for row in seen.rows:
        external_ids = row["external_ids"]
        for key, value in expected.items():
            if external_ids.get(key) != value:
                yield f"{key} is {external_ids.get(key)!r}, not {value!r}"
        known = external_ids.get("neutron:additional_vip_fips", "").split(",")
        if set(filter(None, known)) != fips:
            yield f"neutron:additional_vip_fips are {known}, not {fips}"
        for option, value in _expected_options(seen, row["protocol"]).items():
            if row["options"].get(option) != value:
                yield f"option {option} is {row['options'].get(option)!r}, not {value!r}"


def _expected_options(seen, protocol):
    flavor = seen.tree.lb["flavor"] or {}
    flushes = protocol == "udp" and "drain_timeout" not in flavor
    return {
        "reject": "true" if flavor.get("reject", True) else None,
        "ct_flush": "true" if flavor.get("ct_flush", flushes) else None,
        "hairpin_snat_ip": flavor.get("hairpin_snat_ip"),
    }


def _protocol_complaints(seen):
    protocols = {layer4(item["protocol"]) for item in seen.tree.listeners + seen.tree.pools}
    found = {row["protocol"] or "" for row in seen.rows}
    if protocols and found != protocols:
        yield f"there are rows for {found}, not for {protocols}"
    if not protocols and len(seen.rows) > 1:
        yield "several rows although there is no listener and no pool"


def _tree_key_complaints(seen):
    found = collections.defaultdict(list)
    for row in seen.rows:
        for key, value in row["external_ids"].items():
            if key.startswith(("listener_", "pool_")):
                found[key].append((row["protocol"], set(filter(None, value.split(",")))))
    expected = dict(_listener_keys(seen)) | dict(_pool_keys(seen))
    for key in expected.keys() | found.keys():
        values = [value for _, value in found[key]]
        wanted = [expected[key]] if key in expected else []
        if values != wanted:
            yield f"{key} is {values}, not {wanted}"
    protocols = {f"listener_{row['id']}": row["protocol"] for row in seen.tree.listeners}
    for key, protocol in protocols.items():
        if any(each != layer4(protocol) for each, _ in found[key]):
            yield f"a {protocol} listener is in the row of another protocol"


def _listener_keys(seen):
    for listener in seen.tree.listeners:
        pool = f"pool_{listener['default_pool_id']}" if listener["default_pool_id"] else ""
        key = f"listener_{listener['id']}" + ("" if listener["enabled"] else ":D")
        yield key, {f"{listener['protocol_port']}:{pool}"}


def _pool_keys(seen):
    for pool in seen.tree.pools:
        members = {
            f"member_{member['id']}_{member['ip_address']}:{member['protocol_port']}"
            f"_{seen.subnet_of(member)}"
            for member in seen.tree.members[pool["id"]]
        }
        yield f"pool_{pool['id']}" + ("" if pool["enabled"] else ":D"), members


def _member_status_complaints(seen):
    found = {}
    for row in seen.rows:
        found.update(json.loads(row["external_ids"].get("neutron:member_status", "{}")))
    known = {member["id"]: member["operating_status"] for member in seen.tree.all_members()}
    if found != known:
        yield f"neutron:member_status is {found}, Octavia has {known}"
