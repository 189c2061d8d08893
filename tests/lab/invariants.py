"""An oracle: what must be true of a load balancer, seen from outside.

It computes from the rows of FakeOctavia and from FakeNeutron's model what the northbound database
and Neutron's ports must hold, and says in sentences what differs. It shares no code with the
driver: neither its types nor its codec. Where the documents leave a choice, it accepts each.
"""

import collections
import dataclasses
import functools
import ipaddress
import json
import math
import uuid

from tests.lab.access import Access
from tests.lab.ovn_mirror import ROUTER_GATEWAY, ROUTER_INTERFACE, ovn_name
from tests.lab.ovsdb import as_list

MAX_BACKENDS = 256
HASH_BY_CLIENT = {"ip_src", "ip_dst"}
HASH_BY_CONNECTION = {"ip_src", "ip_dst", "tp_src", "tp_dst"}
HASH_BY_CLIENT_IPV6 = {"ipv6_src", "ipv6_dst"}
DVR_SAFE_OWNER = ""


def layer4(protocol):
    """What OVN balances for one of Octavia's protocols."""
    return "tcp" if protocol in ("HTTP", "HTTPS") else protocol.lower()


def version(address):
    return ipaddress.ip_address(address).version


def bracketed(address):
    return f"[{address}]" if version(address) == 6 else address


def endpoint(address, port):
    return f"{bracketed(address)}:{port}"


@dataclasses.dataclass
class Entry:
    """What one key of `vips` must be."""

    listener: dict
    pool: dict
    monitor: dict | None
    address: str
    weights: dict  # backend -> weight
    optional: set  # backends that may be there as well, while health decides


class Tree:
    """A load balancer and all that belongs to it, as Octavia has it."""

    def __init__(self, lab, lb_id):
        store = lab.octavia.store
        self.lb = store.get("loadbalancers", lb_id)
        self.listeners = store.find("listeners", load_balancer_id=lb_id)
        self.pools = store.find("pools", load_balancer_id=lb_id)
        self.members = {
            pool["id"]: store.find("members", pool_id=pool["id"]) for pool in self.pools
        }
        self.monitors = {
            pool["id"]: next(iter(store.find("healthmonitors", pool_id=pool["id"])), None)
            for pool in self.pools
        }

    def all_members(self):
        return [member for members in self.members.values() for member in members]

    def active_monitor(self, pool_id):
        monitor = self.monitors[pool_id]
        return monitor if monitor and monitor["enabled"] else None

    def vips(self):
        """(address, subnet, port) of the VIP and the additional ones."""
        yield self.lb["vip_address"], self.lb["vip_subnet_id"], self.lb["vip_port_id"]
        for vip in self.lb["additional_vips"]:
            yield vip["ip_address"], vip["subnet_id"], vip["port_id"]


class Oracle:
    """Compares one laboratory's databases with what they should hold."""

    def __init__(self, lab):
        self._lab = lab

    def complaints(self, lb_id, at_once=False):
        """Say all that is wrong with one load balancer; empty when all is well.

        :param at_once: leave out what may follow after Octavia has been told
        """
        with self._lab.neutron.locked():
            tree = Tree(self._lab, lb_id)
            if tree.lb["provisioning_status"] == "DELETED":
                return list(self._remains(tree, at_once))
            return list(Check(self._lab, tree).complaints(at_once))

    def _remains(self, tree, at_once):
        lb_id = tree.lb["id"]
        if not at_once and self._lab.nb.select("Load_Balancer", [["name", "==", lb_id]]):
            yield f"the rows of the deleted load balancer {lb_id} are still there"
        access = Access(self._lab, lb_id)
        if access.groups or access.sets:
            yield f"clients are still kept from the deleted load balancer {lb_id}"
        for port in self._lab.neutron.ports.values():
            if lb_id in port["name"]:
                yield f"port {port['name']} of the deleted load balancer is still there"
        for table, row_id, status in self._lab.octavia.orphans():
            if table != "loadbalancers":
                yield f"{table} {row_id} of a deleted load balancer is {status}"
        if lb_id in self._lab.octavia.revived:
            yield f"load balancer {lb_id} got a status after DELETED"


class Check:
    """One comparison, of one load balancer."""

    def __init__(self, lab, tree):
        self._neutron = lab.neutron
        self._tree = tree
        self._lab = lab
        nb = lab.nb.snapshot(
            "Load_Balancer",
            "Load_Balancer_Health_Check",
            "Logical_Switch",
            "Logical_Router",
            Load_Balancer=[["name", "==", tree.lb["id"]]],
        )
        self._rows = nb["Load_Balancer"]
        self._switches, self._routers = nb["Logical_Switch"], nb["Logical_Router"]
        self._checks = {row["_uuid"]: row for row in nb["Load_Balancer_Health_Check"]}
        self._health = lab.sb.select("Service_Monitor")

    def complaints(self, at_once):
        if not self._rows:
            yield "the load balancer has no row"
            return
        yield from self._row_complaints()
        yield from self._protocol_complaints()
        yield from self._tree_key_complaints()
        if not at_once:
            yield from self._member_status_complaints()
        yield from self._vips_complaints()
        yield from self._hashing_complaints()
        yield from self._health_check_complaints()
        yield from self._mapping_complaints()
        yield from self._monitor_port_complaints(at_once)
        yield from self._attachment_complaints()
        yield from self._access_complaints()
        yield from self._vip_port_complaints()
        yield from self._operating_complaints()

    # The rows themselves

    def _row_complaints(self):
        lb = self._tree.lb
        additional = list(self._tree.vips())[1:]
        expected = {
            "neutron:vip": lb["vip_address"],
            "neutron:vip_port_id": lb["vip_port_id"],
            "neutron:vip_fip": self._fip_of(lb["vip_address"], lb["vip_port_id"]),
            "enabled": str(lb["enabled"]),
            "neutron:additional_vips": ",".join(vip[0] for vip in additional) or None,
            "neutron:additional_vip_port_ids": ",".join(vip[2] for vip in additional) or None,
        }
        fips = {self._fip_of(address, port) for address, _, port in additional} - {None}
        for row in self._rows:
            external_ids = row["external_ids"]
            for key, value in expected.items():
                if external_ids.get(key) != value:
                    yield f"{key} is {external_ids.get(key)!r}, not {value!r}"
            known = external_ids.get("neutron:additional_vip_fips", "").split(",")
            if set(filter(None, known)) != fips:
                yield f"neutron:additional_vip_fips are {known}, not {fips}"
            for option, value in self._expected_options().items():
                if row["options"].get(option) != value:
                    yield f"option {option} is {row['options'].get(option)!r}, not {value!r}"

    def _expected_options(self):
        flavor = self._tree.lb["flavor"] or {}
        return {
            "reject": "true" if flavor.get("reject", True) else None,
            "ct_flush": "true" if flavor.get("ct_flush") else None,
            "hairpin_snat_ip": flavor.get("hairpin_snat_ip"),
        }

    def _protocol_complaints(self):
        protocols = {layer4(item["protocol"]) for item in self._tree.listeners + self._tree.pools}
        found = {row["protocol"] or "" for row in self._rows}
        if protocols and found != protocols:
            yield f"there are rows for {found}, not for {protocols}"
        if not protocols and len(self._rows) > 1:
            yield "several rows although there is no listener and no pool"

    def _fip_of(self, address, port_id):
        return next(
            (
                fip["floating_ip_address"]
                for fip in self._neutron.floatingips.values()
                if fip["port_id"] == port_id and fip["fixed_ip_address"] == address
            ),
            None,
        )

    # Listeners, pools and members in external_ids

    def _tree_key_complaints(self):
        found = collections.defaultdict(list)
        for row in self._rows:
            for key, value in row["external_ids"].items():
                if key.startswith(("listener_", "pool_")):
                    found[key].append((row["protocol"], set(filter(None, value.split(",")))))
        expected = dict(self._listener_keys()) | dict(self._pool_keys())
        for key in expected.keys() | found.keys():
            values = [value for _, value in found[key]]
            wanted = [expected[key]] if key in expected else []
            if values != wanted:
                yield f"{key} is {values}, not {wanted}"
        protocols = {f"listener_{row['id']}": row["protocol"] for row in self._tree.listeners}
        for key, protocol in protocols.items():
            if any(each != layer4(protocol) for each, _ in found[key]):
                yield f"a {protocol} listener is in the row of another protocol"

    def _listener_keys(self):
        for listener in self._tree.listeners:
            pool = f"pool_{listener['default_pool_id']}" if listener["default_pool_id"] else ""
            key = f"listener_{listener['id']}" + ("" if listener["enabled"] else ":D")
            yield key, {f"{listener['protocol_port']}:{pool}"}

    def _pool_keys(self):
        for pool in self._tree.pools:
            members = {
                f"member_{member['id']}_{member['ip_address']}:{member['protocol_port']}"
                f"_{self._subnet_of(member)}"
                for member in self._tree.members[pool["id"]]
            }
            yield f"pool_{pool['id']}" + ("" if pool["enabled"] else ":D"), members

    def _subnet_of(self, member):
        """The member's subnet, or the one around the VIP that holds its address."""
        if member["subnet_id"]:
            return member["subnet_id"]
        vip_subnets = [subnet for _, subnet, _ in self._tree.vips()]
        around = [
            subnet
            for router in self._routers_on(vip_subnets)
            for subnet in self._interface_subnets(router)
        ]
        address = ipaddress.ip_address(member["ip_address"])
        for subnet_id in vip_subnets + around:
            if address in ipaddress.ip_network(self._neutron.subnets[subnet_id]["cidr"]):
                return subnet_id
        return None

    def _member_status_complaints(self):
        found = {}
        for row in self._rows:
            found.update(json.loads(row["external_ids"].get("neutron:member_status", "{}")))
        known = {member["id"]: member["operating_status"] for member in self._tree.all_members()}
        if found != known:
            yield f"neutron:member_status is {found}, Octavia has {known}"

    # vips

    @functools.cached_property
    def _entries(self):
        """(protocol, key) -> Entry, for every key that vips must have."""
        entries = {}
        if not self._tree.lb["enabled"]:
            return entries
        pools = {pool["id"]: pool for pool in self._tree.pools}
        for listener in self._tree.listeners:
            pool = pools.get(listener["default_pool_id"])
            if not (pool and listener["enabled"] and pool["enabled"]):
                continue
            for address, _, port_id in self._tree.vips():
                for shown in filter(None, (address, self._fip_of(address, port_id))):
                    entry = self._entry(listener, pool, shown)
                    if entry.weights:
                        key = endpoint(shown, listener["protocol_port"])
                        entries[layer4(listener["protocol"]), key] = entry
        return entries

    def _entry(self, listener, pool, address):
        serving = [
            member
            for member in self._tree.members[pool["id"]]
            if member["enabled"]
            and member["weight"] > 0
            and version(member["ip_address"]) == version(address)
        ]
        first = [member for member in serving if not member["backup"]]
        down = [member for member in first if self._is_down(member, pool)]
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
            self._tree.active_monitor(pool["id"]),
            address,
            dict(weights),
            {endpoint(member["ip_address"], member["protocol_port"]) for member in optional},
        )

    def _vips_complaints(self):
        found = {}
        for row in self._rows:
            for key, value in row["vips"].items():
                if (row["protocol"], key) in found:
                    yield f"two rows for {row['protocol']} have {key}"
                found[row["protocol"], key] = value.split(",")
        for key in self._entries.keys() | found.keys():
            if key not in self._entries:
                yield f"vips has {key}, which should not be"
            elif key not in found:
                yield f"vips lacks {key}"
            else:
                yield from self._backend_complaints(key, found[key], self._entries[key])

    @staticmethod
    def _backend_complaints(key, backends, entry):
        counts = collections.Counter(backends)
        if not set(entry.weights) <= set(counts) <= set(entry.weights) | entry.optional:
            yield f"{key} leads to {sorted(counts)}, not {sorted(entry.weights)}"
            return
        if len(backends) > MAX_BACKENDS:
            yield f"{key} has {len(backends)} backends"
        divisor = math.gcd(*entry.weights.values())
        exact = {backend: weight // divisor for backend, weight in entry.weights.items()}
        keeps_slots = expected_hashing(entry.pool) == HASH_BY_CLIENT
        is_exact = sum(exact.values()) <= MAX_BACKENDS and not (keeps_slots or entry.optional)
        if is_exact and counts != exact:
            yield f"{key} weighs its backends {dict(counts)}, not {exact}"

    # Hashing

    def _hashing_complaints(self):
        for row in self._rows:
            for key in row["vips"]:
                entry = self._entries.get((row["protocol"], key))
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

    # Health checks

    def _health_check_complaints(self):
        monitors = set()
        for row in self._rows:
            monitors |= set(json.loads(row["external_ids"].get("octavia:healthmonitors", "[]")))
            expected = {
                key: self._entries[row["protocol"], key]
                for key in row["vips"]
                if (row["protocol"], key) in self._entries
                and self._entries[row["protocol"], key].monitor
            }
            checks = [self._checks[check] for check in as_list(row["health_check"])]
            found = sorted(check["vip"] for check in checks)
            if found != sorted(expected):
                yield f"health checks of {found}, not of {sorted(expected)}"
                continue
            for check in checks:
                yield from self._options_complaints(check, expected[check["vip"]])
        known = {monitor["id"]: monitor for monitor in self._tree.monitors.values() if monitor}
        if not {key for key, row in known.items() if row["enabled"]} <= monitors <= set(known):
            yield f"octavia:healthmonitors are {monitors}, not {set(known)}"

    @staticmethod
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

    def _mapping_complaints(self):
        found = {}
        for row in self._rows:
            found.update(row["ip_port_mappings"])
        monitored = [
            (member, pool)
            for pool in self._tree.pools
            if self._tree.monitors[pool["id"]]
            for member in self._tree.members[pool["id"]]
        ]
        for member, pool in monitored:
            address = bracketed(member["ip_address"])
            mapping = self._mapping_of(member)
            if self._is_checked(member, pool) and found.get(address) != mapping:
                yield f"{address} is mapped to {found.get(address)}, not to {mapping}"
        for address in found.keys() - {bracketed(member["ip_address"]) for member, _ in monitored}:
            yield f"{address} is mapped although no monitored pool has it"

    def _mapping_of(self, member):
        """Which port to probe a member at, and from which address; None without such a port."""
        port, source = self._port_of(member), self._source_of(member)
        return f"{port['id']}:{bracketed(source)}" if port and source else None

    def _is_checked(self, member, pool):
        backend = endpoint(member["ip_address"], member["protocol_port"])
        return any(
            entry.monitor and entry.pool["id"] == pool["id"] and backend in entry.weights
            for entry in self._entries.values()
        )

    def _port_of(self, member):
        return self._port_at(member["ip_address"], self._subnet_of(member))

    def _port_at(self, address, subnet_id):
        wanted = {"subnet_id": subnet_id, "ip_address": address}
        return next(
            (port for port in self._neutron.ports.values() if wanted in port["fixed_ips"]), None
        )

    def _source_of(self, member):
        """The address that probes a member: of the health monitor port of its subnet."""
        subnet_id = self._subnet_of(member)
        for port in self._neutron.ports.values():
            if port["name"] == f"ovn-lb-hm-{subnet_id}":
                return port["fixed_ips"][0]["ip_address"]
        return None

    def _monitor_port_complaints(self, at_once):
        required, allowed = self._probed_subnets()
        found = collections.Counter()
        networks = {self._neutron.subnets[vip[1]]["network_id"] for vip in self._tree.vips()}
        for port in self._neutron.ports.values():
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

    def _probed_subnets(self):
        """Subnets that must have a port to probe from, and those that may have one."""
        store = self._lab.octavia.store
        allowed = {
            member["subnet_id"]
            for monitor in store.find("healthmonitors")
            for member in store.find("members", pool_id=monitor["pool_id"])
        }
        required = set()
        for pool in self._tree.pools:
            for member in self._tree.members[pool["id"]]:
                if self._tree.monitors[pool["id"]]:
                    allowed.add(self._subnet_of(member))
                if self._is_checked(member, pool) and self._port_of(member):
                    required.add(self._subnet_of(member))
        return required, allowed

    # Switches and routers

    def _attachment_complaints(self):
        vip_subnets = [subnet for _, subnet, _ in self._tree.vips()]
        member_subnets = [
            subnet
            for subnet in map(self._subnet_of, self._tree.all_members())
            if subnet in self._neutron.subnets
        ]
        families = {version(address) for address, _, _ in self._tree.vips()}
        routers = self._routers_on(vip_subnets + member_subnets)
        gateways = self._routers_on(vip_subnets + member_subnets, ROUTER_GATEWAY)
        vip_gateways = self._routers_on(vip_subnets, ROUTER_GATEWAY)
        subnets = set(vip_subnets + member_subnets)
        neighbours = {subnet for router in routers for subnet in self._interface_subnets(router)}
        farther = {subnet for router in gateways for subnet in self._interface_subnets(router)}
        close = {
            subnet
            for subnet in neighbours
            if self._neutron.subnets[subnet]["ip_version"] in families
        }
        switches = self._names(self._switches)
        yield from self._difference(
            "switches",
            switches,
            self._switch_names(subnets | close),
            self._switch_names(subnets | neighbours | farther),
        )
        yield from self._difference(
            "routers",
            self._names(self._routers),
            {ovn_name(router) for router in routers | vip_gateways},
            {ovn_name(router) for router in routers | gateways},
        )
        yield from self._reference_complaints(vip_subnets, member_subnets)

    def _difference(self, what, found, required, allowed):
        for row, names in found.items():
            if not required <= names <= allowed:
                yield (
                    f"row {row[:8]} is on the {what} {sorted(names)}; "
                    f"missing {sorted(required - names)}, too many {sorted(names - allowed)}"
                )

    def _reference_complaints(self, vip_subnets, member_subnets):
        own_routers = self._routers_on(vip_subnets) | self._routers_on(vip_subnets, ROUTER_GATEWAY)
        referred = set()
        for row in self._rows:
            external_ids = row["external_ids"]
            router = external_ids.get("lr_ref")
            if own_routers and router not in map(ovn_name, own_routers):
                yield f"lr_ref is {router!r}, not one of {sorted(map(ovn_name, own_routers))}"
            if router and "," in router:
                yield f"lr_ref names several routers: {router}"
            referred |= set(json.loads(external_ids.get("ls_refs", "{}")))
        required = self._switch_names(vip_subnets + member_subnets)
        allowed = {
            ovn_name(self._neutron.subnets[subnet]["network_id"])
            for subnet in vip_subnets + member_subnets
        }
        if not required <= referred <= allowed:
            yield f"ls_refs names {sorted(referred)}, not {sorted(required)}"

    def _names(self, parents):
        return {
            row["_uuid"]: {
                parent["name"]
                for parent in parents
                if row["_uuid"] in as_list(parent["load_balancer"])
            }
            for row in self._rows
        }

    def _switch_names(self, subnets):
        """Names of the switches of these subnets, provider networks left out."""
        networks = {self._neutron.subnets[subnet]["network_id"] for subnet in subnets}
        return {
            ovn_name(network)
            for network in networks
            if not self._neutron.networks[network]["provider:physical_network"]
        }

    def _routers_on(self, subnets, owner=ROUTER_INTERFACE):
        return {
            port["device_id"]
            for port in self._neutron.ports.values()
            if port["device_owner"] == owner
            and any(ip["subnet_id"] in subnets for ip in port["fixed_ips"])
        }

    def _interface_subnets(self, router_id):
        return {
            ip["subnet_id"]
            for port in self._neutron.ports.values()
            if port["device_owner"] == ROUTER_INTERFACE and port["device_id"] == router_id
            for ip in port["fixed_ips"]
        }

    # Clients that are kept out

    def _access_complaints(self):
        addresses = [
            shown
            for address, _, port_id in self._tree.vips()
            for shown in (address, self._fip_of(address, port_id))
            if shown
        ]
        routers = {
            name.removeprefix("neutron-")
            for names in self._names(self._routers).values()
            for name in names
        }
        found = Access(self._lab, self._tree.lb["id"])
        yield from found.complaints(self._tree, addresses, routers)

    # Ports of VIPs

    def _vip_port_complaints(self):
        lb_id = self._tree.lb["id"]
        for number, (address, subnet_id, port_id) in enumerate(self._tree.vips()):
            port = self._neutron.ports.get(port_id)
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

    # Operating statuses

    def _is_down(self, member, pool):
        return self._member_status(member, pool) == {"ERROR"}

    def _member_status(self, member, pool):
        """Return the operating statuses that a member may have."""
        if not member["enabled"]:
            return {"OFFLINE"}
        if not self._tree.active_monitor(pool["id"]):
            return {"NO_MONITOR", "DRAINING"} if member["weight"] == 0 else {"NO_MONITOR"}
        port = self._port_of(member)
        if not port:
            return {"ERROR"}
        states = {
            row["status"]
            for row in self._health
            if row["ip"] == member["ip_address"]
            and row["port"] == member["protocol_port"]
            and row["protocol"] == layer4(pool["protocol"])
            and row["logical_port"] == port["id"]
            and isinstance(row["status"], str)
        }
        if states & {"offline", "error"}:
            return {"ERROR"}
        if not states:
            return {"ONLINE", "NO_MONITOR", "DRAINING"}
        return {"ONLINE", "DRAINING"} if member["weight"] == 0 else {"ONLINE"}

    def _operating_complaints(self):
        pools = {}
        for pool in self._tree.pools:
            members = self._tree.members[pool["id"]]
            for member in members:
                allowed = self._member_status(member, pool)
                if member["operating_status"] not in allowed:
                    yield (
                        f"member {member['ip_address']} is {member['operating_status']}, "
                        f"not {allowed}"
                    )
            states = [member["operating_status"] for member in members]
            pools[pool["id"]] = wanted = pool_status(pool["enabled"], states)
            is_idle = not any(
                listener["default_pool_id"] == pool["id"] for listener in self._tree.listeners
            )
            if pool["operating_status"] not in {wanted} | ({"OFFLINE"} if is_idle else set()):
                yield f"the pool of {states} is {pool['operating_status']}, not {wanted}"
        if self._tree.lb["enabled"]:
            yield from self._listener_status_complaints(pools)
        yield from self._lb_status_complaints(pools)

    def _listener_status_complaints(self, pools):
        for listener in self._tree.listeners:
            wanted = pools.get(listener["default_pool_id"], "ONLINE")
            if not listener["enabled"]:
                wanted = "OFFLINE"
            elif wanted == "OFFLINE":
                continue  # of an enabled listener whose pool is disabled: not laid down
            if listener["operating_status"] != wanted:
                yield f"a listener is {listener['operating_status']}, not {wanted}"

    def _lb_status_complaints(self, pools):
        found = self._tree.lb["operating_status"]
        if not self._tree.lb["enabled"]:
            wanted = {"OFFLINE"}
        elif set(pools.values()) <= {"ONLINE", "OFFLINE"}:
            wanted = {"ONLINE"}
        elif set(pools.values()) == {"ERROR"}:
            wanted = {"ERROR"}
        else:
            wanted = {"DEGRADED", "ERROR"}
        if found not in wanted:
            yield f"the load balancer is {found}, not {wanted}"


def pool_status(enabled, member_states):
    """What a pool's operating status is, given those of its members."""
    if not enabled:
        return "OFFLINE"
    relevant = [state for state in member_states if state != "OFFLINE"]
    if relevant and all(state == "ERROR" for state in relevant):
        return "ERROR"
    return "DEGRADED" if "ERROR" in relevant else "ONLINE"


def expected_hashing(pool):
    """The fields that choose the backend of a connection; empty: OVN's own choice."""
    persistence = pool["session_persistence"] or {}
    if persistence or pool["lb_algorithm"] == "SOURCE_IP":
        return HASH_BY_CLIENT
    if pool["lb_algorithm"] == "SOURCE_IP_PORT":
        return HASH_BY_CONNECTION
    return set()


def is_uuid(text):
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False
