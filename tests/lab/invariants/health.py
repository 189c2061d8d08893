# SPDX-License-Identifier: Apache-2.0
"""Health checks of the rows, and from where members are probed."""

import collections
import json

from tests.lab.invariants.notation import bracketed, endpoint
from tests.lab.ovsdb import as_list


def complaints(seen, entries, at_once):
    """Say what is wrong with health checks, mappings and the ports that members are probed from.

    :param entries: of vips, of :func:`tests.lab.invariants.serving.expected`
    """
    yield from _check_complaints(seen, entries)
    yield from _mapping_complaints(seen, entries)
    yield from _port_complaints(seen, entries, at_once)


def _check_complaints(seen, entries):
    monitors = set()
    for row in seen.rows:
        monitors |= set(json.loads(row["external_ids"].get("octavia:healthmonitors", "[]")))
        expected = {
            key: entries[row["protocol"], key]
            for key in row["vips"]
            if (row["protocol"], key) in entries
            and entries[row["protocol"], key].monitor
            and row["vips"][key]
        }
        checks = [seen.checks[check] for check in as_list(row["health_check"])]
        found = sorted(check["vip"] for check in checks)
        if found != sorted(expected):
            yield f"health checks of {found}, not of {sorted(expected)}"
            continue
        for check in checks:
            yield from _options_complaints(check, expected[check["vip"]])
    known = {monitor["id"]: monitor for monitor in seen.tree.monitors.values() if monitor}
    if not {key for key, row in known.items() if row["enabled"]} <= monitors <= set(known):
        yield f"octavia:healthmonitors are {monitors}, not {set(known)}"


def _options_complaints(check, entry):
    monitor = entry.monitor
    options = {
        "interval": str(monitor["delay"]),
        "timeout": str(monitor["timeout"]),
        "success_count": str(monitor["rise_threshold"]),
        "failure_count": str(monitor["fall_threshold"]),
    }
    names = {
        "octavia:healthmonitor": monitor["id"],
        "octavia:pool_id": entry.pool["id"],
        "octavia:vip": entry.address,
    }
    if check["options"] != options:
        yield f"the check of {check['vip']} has {check['options']}, not {options}"
    for name, value in names.items():
        if check["external_ids"].get(name) != value:
            yield f"the check of {check['vip']} has {name} {check['external_ids'].get(name)}"


def _mapping_complaints(seen, entries):
    found = {}
    for row in seen.rows:
        found.update(row["ip_port_mappings"])
    monitored = [
        (member, pool)
        for pool in seen.tree.pools
        if seen.tree.monitors[pool["id"]]
        for member in seen.tree.members[pool["id"]]
    ]
    for member, pool in monitored:
        address = bracketed(member["ip_address"])
        mapping = _mapping_of(seen, member)
        if _is_checked(entries, member, pool) and found.get(address) != mapping:
            yield f"{address} is mapped to {found.get(address)}, not to {mapping}"
    for address in found.keys() - {bracketed(member["ip_address"]) for member, _ in monitored}:
        yield f"{address} is mapped although no monitored pool has it"


def _mapping_of(seen, member):
    """Which port to probe a member at, and from which address.

    A member at an address that no port has is mapped to the port that probes come from: OVN serves
    it then, and never probes it.
    """
    source = _source_of(seen, member)
    port = seen.port_of(member) or source
    return f"{port['id']}:{bracketed(source['fixed_ips'][0]['ip_address'])}" if source else None


def _source_of(seen, member):
    """The port whose address probes a member: the health monitor port of its subnet."""
    name = f"ovn-lb-hm-{seen.subnet_of(member)}"
    return next((port for port in seen.neutron.ports.values() if port["name"] == name), None)


def _is_checked(entries, member, pool):
    backend = endpoint(member["ip_address"], member["protocol_port"])
    return any(
        entry.monitor and entry.pool["id"] == pool["id"] and backend in entry.weights
        for entry in entries.values()
    )


def _port_complaints(seen, entries, at_once):
    required, allowed = _probed_subnets(seen, entries)
    found = collections.Counter()
    networks = {seen.neutron.subnets[vip[1]]["network_id"] for vip in seen.tree.vips()}
    for port in seen.neutron.ports.values():
        if not port["name"].startswith("ovn-lb-hm-"):
            continue
        subnet_id = port["name"].removeprefix("ovn-lb-hm-")
        found[subnet_id] += 1
        attributes = port["device_owner"], port["device_id"], port["port_security_enabled"]
        if attributes != ("ovn-lb-hm:distributed", port["name"], False):
            yield f"owner, device and security of {port['name']} are {attributes}"
        if not at_once and subnet_id not in allowed and port["network_id"] in networks:
            yield f"{port['name']} is there although nothing is monitored on its subnet"
    for subnet_id in required:
        if found[subnet_id] != 1:
            yield f"{found[subnet_id]} health monitor ports on subnet {subnet_id}"


def _probed_subnets(seen, entries):
    """Subnets that must have a port to probe from, and those that may have one."""
    store = seen.lab.octavia.store
    allowed = {
        member["subnet_id"]
        for monitor in store.find("healthmonitors")
        for member in store.find("members", pool_id=monitor["pool_id"])
    }
    required = set()
    for pool in seen.tree.pools:
        for member in seen.tree.members[pool["id"]]:
            if seen.tree.monitors[pool["id"]]:
                allowed.add(seen.subnet_of(member))
            if _is_checked(entries, member, pool):
                required.add(seen.subnet_of(member))
    return required, allowed
