# SPDX-License-Identifier: Apache-2.0
"""Which keys and backends the column vips must have, and how connections are spread."""

import collections
import dataclasses
import math

from tests.lab.invariants.notation import endpoint, layer4, version
from tests.lab.invariants.statuses import member_status
from tests.lab.ovsdb import as_list

MAX_BACKENDS = 256
HASH_BY_CLIENT = {"ip_src", "ip_dst"}
HASH_BY_CONNECTION = {"ip_src", "ip_dst", "tp_src", "tp_dst"}
HASH_BY_CLIENT_IPV6 = {"ipv6_src", "ipv6_dst"}


@dataclasses.dataclass
class Entry:
    """What one key of `vips` must be."""

    listener: dict
    pool: dict
    monitor: dict | None
    address: str
    weights: dict  # backend -> weight
    optional: set  # backends that may be there as well, while health decides


def expected(seen):
    """(protocol, key) -> Entry, for every key that vips must have."""
    entries = {}
    if not seen.tree.lb["enabled"]:
        return entries
    pools = {pool["id"]: pool for pool in seen.tree.pools}
    for listener in seen.tree.listeners:
        pool = pools.get(listener["default_pool_id"])
        if not (pool and listener["enabled"] and pool["enabled"]):
            continue
        for address, _, port_id in seen.tree.vips():
            for shown in filter(None, (address, seen.fip_of(address, port_id))):
                entry = _entry(seen, listener, pool, shown)
                if seen.tree.members[pool["id"]]:
                    key = endpoint(shown, listener["protocol_port"])
                    entries[layer4(listener["protocol"]), key] = entry
    return entries


def _entry(seen, listener, pool, address):
    serving = [
        member
        for member in seen.tree.members[pool["id"]]
        if member["enabled"]
        and member["weight"] > 0
        and version(member["ip_address"]) == version(address)
        and not seen.is_unreachable(member, pool)
    ]
    first = [member for member in serving if not member["backup"]]
    down = [member for member in first if member_status(seen, member, pool) == {"ERROR"}]
    optional = []
    if len(down) == len(first):
        # All are down: the backups serve; those that are down may wait beside them.
        first, optional = [member for member in serving if member["backup"]], down
    if not first:
        first, optional = down, []
    weights = collections.Counter()
    for member in first:
        weights[endpoint(member["ip_address"], member["protocol_port"])] += member["weight"]
    return Entry(
        listener,
        pool,
        seen.tree.active_monitor(pool["id"]),
        address,
        dict(weights),
        {endpoint(member["ip_address"], member["protocol_port"]) for member in optional},
    )


def complaints(seen, entries):
    """Say what is wrong with the vips and with how they are spread over backends.

    :param entries: that there must be, of :func:`expected`
    """
    yield from _vips_complaints(seen, entries)
    yield from _hashing_complaints(seen, entries)


def _vips_complaints(seen, entries):
    found = {}
    for row in seen.rows:
        for key, value in row["vips"].items():
            if (row["protocol"], key) in found:
                yield f"two rows for {row['protocol']} have {key}"
            found[row["protocol"], key] = [each for each in value.split(",") if each]
    for key in entries.keys() | found.keys():
        if key not in entries:
            yield f"vips has {key}, which should not be"
        elif key not in found:
            yield f"vips lacks {key}"
        else:
            yield from _backend_complaints(key, found[key], entries[key])


def _backend_complaints(key, backends, entry):
    counts = collections.Counter(backends)
    if not set(entry.weights) <= set(counts) <= set(entry.weights) | entry.optional:
        yield f"{key} leads to {sorted(counts)}, not {sorted(entry.weights)}"
        return
    if len(backends) > MAX_BACKENDS:
        yield f"{key} has {len(backends)} backends"
    divisor = math.gcd(*entry.weights.values())  # 0 of none at all
    exact = {backend: weight // divisor for backend, weight in entry.weights.items()}
    keeps_slots = expected_hashing(entry.pool) == HASH_BY_CLIENT
    is_exact = sum(exact.values()) <= MAX_BACKENDS and not (keeps_slots or entry.optional)
    if is_exact and counts != exact:
        yield f"{key} weighs its backends {dict(counts)}, not {exact}"


def _hashing_complaints(seen, entries):
    for row in seen.rows:
        for key in row["vips"]:
            entry = entries.get((row["protocol"], key))
            if not entry:
                continue
            if row["options"].get("affinity_timeout") and entry.pool["session_persistence"]:
                continue  # the other way to keep a client on a member
            expected = expected_hashing(entry.pool)
            found = set(as_list(row["selection_fields"]))
            if expected and found - HASH_BY_CLIENT_IPV6 != expected:
                yield f"{key} is spread by {found}, not by {expected}"
            if not expected and found:
                yield f"{key} is spread by {found}, not by the data plane's own hash"


def expected_hashing(pool):
    """The fields that choose the backend of a connection; empty: OVN's own choice."""
    persistence = pool["session_persistence"] or {}
    if persistence or pool["lb_algorithm"] == "SOURCE_IP":
        return HASH_BY_CLIENT
    if pool["lb_algorithm"] == "SOURCE_IP_PORT":
        return HASH_BY_CONNECTION
    return set()
