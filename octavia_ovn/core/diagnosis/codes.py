# SPDX-License-Identifier: Apache-2.0
"""The table of all problems that `octavia-ovn trace` and `octavia-ovn check` find.

A new problem is an entry here, with the next free number of its area; checks refer to it. Numbers
are permanent: a title may be reworded, but a number never gets another meaning. Remove a problem
that is not found any more, and add its number to `RETIRED`. ``python -m tests.project.findings``
writes docs/reference/findings.md from this table.
"""

from __future__ import annotations

from collections.abc import Mapping

from octavia_ovn.core.diagnosis.findings import Code, Severity

_FAULT, _WARNING, _UNCLEAR = Severity.FAULT, Severity.WARNING, Severity.UNCLEAR
_SYNC = "Is octavia-driver-agent running? 'octavia-ovn sync' repairs the rows."

AREAS: Mapping[int, str] = {
    1: "Octavia and the rows",
    2: "Settings of the load balancer",
    3: "Ports and access rules",
    4: "Addresses, routers and attachments",
    5: "Health monitors and ways to members",
}
"""Titles by the first digit."""

RETIRED: frozenset[int] = frozenset()
"""Numbers of problems that are not found any more."""

# fmt: off
# --- Octavia and the rows

NO_ROWS = Code(
    101, _FAULT, "The load balancer has no rows",
    "Octavia has the load balancer, and the Northbound database has no row of it, so OVN does not"
    " serve it: its creation is not recorded, or the database was restored.",
    _SYNC)
DIFFERENT = Code(
    102, _WARNING, "Octavia and the rows differ",
    "A listener, pool, member or health monitor in the rows is missing, left over, or has other"
    " values than in Octavia. OVN does what the rows say.",
    _SYNC)
STUCK = Code(
    103, _WARNING, "An object is stuck in PENDING",
    "Octavia shows an object in PENDING, and no request for it is recorded: an API worker was"
    " killed, or Octavia's database was restored.",
    "'octavia-ovn sync' repairs and ends it; the agent does so after [ovn] pending_grace.")
ORPHANED = Code(
    104, _WARNING, "Octavia does not know the load balancer",
    "Rows of a load balancer exist that Octavia does not have. OVN still serves it.",
    "'octavia-ovn sync' deletes it; the agent does so after some time. If it should exist, restore"
    " it in Octavia's database before.")
VIP_NOT_SERVED = Code(
    105, _FAULT, "A VIP is not served",
    "Its port in Neutron is deleted or has another address, and the driver does not restore it:"
    " another port has the address, Neutron refuses it, or the user has provided the port. Or its"
    " security groups (vip_sg_ids) allow too many single clients to be enforced.",
    "It is served again once its port has the address again, or the address is free and the"
    " agent compares ([ovn] sync_interval), or the groups allow larger networks or fewer clients.")
UNENFORCED = Code(
    106, _WARNING, "Security groups of the VIP are not enforced",
    "Octavia shows vip_sg_ids, and they are not enforced, because [ovn] vip_security_groups is not"
    " set: more clients than those can connect. Octavia accepts no allowed_cidrs until they are"
    " removed.",
    "Set [ovn] vip_security_groups; or run openstack loadbalancer unset --vip-sg-id LB, and then"
    " openstack loadbalancer listener set --allowed-cidr CIDR LISTENER.")
NOT_COMPARED = Code(
    107, _UNCLEAR, "The load balancer could not be compared",
    "Octavia, the Northbound database or Neutron did not answer, or the answer has an error. The"
    " detail of the finding has the reason.",
    "Repeat the command once the reason is removed.")
NOT_ACTIVE = Code(
    108, _WARNING, "Octavia does not show the load balancer as ACTIVE",
    "A request for it is under way, or the last one ended in ERROR. Packets follow the rows as they"
    " are now.",
    _SYNC)
ROWS_UNREADABLE = Code(
    109, _WARNING, "A part of the rows cannot be read",
    "A key of external_ids is damaged, or a version of the driver wrote it that this one does not"
    " know.",
    _SYNC)

# --- settings

LB_DISABLED = Code(
    201, _FAULT, "The load balancer is administratively down",
    "Its admin_state_up is False, so OVN serves none of its listeners.",
    "openstack loadbalancer set --enable LB")
NO_LISTENER = Code(
    202, _FAULT, "There is no listener",
    "The load balancer has no listener, or none on the port that packets are sent to.",
    "openstack loadbalancer listener create")
LISTENER_DISABLED = Code(
    203, _FAULT, "The listener is administratively down",
    "Its admin_state_up is False, so OVN does not serve it.",
    "openstack loadbalancer listener set --enable LISTENER")
NO_POOL = Code(
    204, _FAULT, "The listener has no pool",
    "Without a default pool there is nothing to balance to.",
    "openstack loadbalancer listener set --default-pool POOL LISTENER")
POOL_DISABLED = Code(
    205, _FAULT, "The pool is administratively down",
    "Its admin_state_up is False, so none of its members serves.",
    "openstack loadbalancer pool set --enable POOL")
NO_MEMBERS = Code(
    206, _FAULT, "The pool has no members",
    "There is nothing to balance to.",
    "openstack loadbalancer member create POOL")
NO_MEMBER_SERVES = Code(
    207, _FAULT, "No member may serve",
    "Each member is administratively down, has weight 0, is of the other IP version, or cannot be"
    " reached. The finding has the reason of each.",
    "openstack loadbalancer member set POOL MEMBER")
MEMBERS_LEFT_OUT = Code(
    208, _WARNING, "Some members do not serve",
    "Members are administratively down, have weight 0, are of the other IP version, are backups, or"
    " cannot be reached. The others take all connections.",
    "Nothing, if that is intended. See openstack loadbalancer member set.")

# --- ports and access rules

PORT_DISABLED = Code(
    301, _FAULT, "A port is administratively down",
    "The Neutron port of the client or of a member has admin_state_up False: OVN drops its"
    " packets.",
    "openstack port set --enable PORT")
PORT_UNBOUND = Code(
    302, _FAULT, "A port is not bound to a hypervisor",
    "No hypervisor has the port of the client or of a member: its machine is shut off, or its"
    " interface is not plugged.",
    "Is its machine running?")
PORT_UNKNOWN = Code(
    303, _UNCLEAR, "The hypervisor of a port is not known",
    "The Southbound database, which says where the ports of clients and members are, could not be"
    " read.",
    "See [ovn] ovn_sb_connection.")
RULES_UNCLEAR = Code(
    304, _UNCLEAR, "It is not known whether access rules allow the packets",
    "The match of an ACL needs what only the data plane knows, such as registers or connection"
    " tracking. The finding has the rule.",
    "Evaluate the rule with ovn-trace.")
CLIENT_RULES_FORBID = Code(
    305, _FAULT, "The client's security groups forbid the packets",
    "OVN applies the egress rules of the client's port before it has chosen a member, and after it:"
    " they must allow the VIP and the members.",
    "openstack security group rule create --egress")
CLIENT_RULE_STATELESS = Code(
    306, _FAULT, "A stateless rule keeps OVN from balancing",
    "A stateless rule allows the client's packets, so OVN does not track them, and a switch"
    " balances tracked packets only.",
    "openstack port set --security-group, with a stateful group, for the client's port.")
MEMBER_RULES_FORBID = Code(
    307, _FAULT, "The security groups of a member forbid the packets",
    "The ingress rules of a member's port apply to the client's address, and to the member's port"
    " number.",
    "openstack security group rule create --ingress --protocol PROTOCOL --dst-port PORT"
    " --remote-ip CLIENT GROUP")
NETWORK_RULES_FORBID = Code(
    308, _FAULT, "Access rules of the client's network forbid the packets",
    "An ACL that is not of a security group drops the packets where the client enters.",
    "See ovn-nbctl acl-list SWITCH: who has added the ACL that the finding names?")
CLIENT_NOT_ALLOWED = Code(
    309, _FAULT, "The listener's allowed_cidrs do not contain the client",
    "The listener is restricted to other clients.",
    "Allow its network by openstack loadbalancer listener set. The list is replaced, so repeat"
    " --allowed-cidr for each network that is allowed already.")
CLIENT_NOT_STOPPED = Code(
    310, _WARNING, "The listener's allowed_cidrs are not enforced",
    "They do not contain the client, and no access rule stops its packets.",
    "Is octavia-driver-agent running? It adds the access rules.")
VIP_GROUPS_FORBID = Code(
    311, _FAULT, "The security groups of the VIP do not allow the client",
    "No ingress rule of the groups in vip_sg_ids allows the client's address, protocol and port.",
    "openstack security group rule create --ingress --protocol PROTOCOL --dst-port PORT"
    " --remote-ip CLIENT GROUP")
LIMIT_REACHED = Code(
    312, _FAULT, "The listener has as many connections as it may",
    "Its connection_limit is reached, so new connections are dropped where clients enter, until"
    " less than 95 % of it are open. Connections of clients that have vanished count until"
    " connection tracking forgets them.",
    "openstack loadbalancer listener set --connection-limit LIMIT LISTENER")

# --- addresses, routers and attachments

NETWORKS_NOT_CONNECTED = Code(
    401, _FAULT, "No router connects the client with the VIP",
    "The client's network and the VIP's are on no common router, and the VIP has no floating IP.",
    "openstack router add subnet ROUTER SUBNET")
VIP_IS_PRIVATE = Code(
    402, _FAULT, "The VIP cannot be reached from outside",
    "The client is outside, and the VIP is a private address without a floating IP.",
    "openstack floating ip create --port VIP_PORT NETWORK")
VIP_NEEDS_ROUTE = Code(
    403, _WARNING, "An IPv6 VIP needs a route from outside",
    "IPv6 has no floating IPs, so the external network must have a route to the VIP's subnet by the"
    " router. This route is not in OVN.",
    "Does the external network have a route to the VIP's subnet?")
NO_GATEWAY = Code(
    404, _FAULT, "The router has no gateway",
    "Clients outside come in by the router's gateway on an external network.",
    "openstack router set --external-gateway NETWORK ROUTER")
GATEWAY_UNBOUND = Code(
    405, _FAULT, "The router's gateway is bound to no hypervisor",
    "No chassis has taken the gateway port, so nothing comes in from outside.",
    "See ovn-cms-options and ovn-bridge-mappings of the gateway hosts.")
GATEWAY_UNKNOWN = Code(
    406, _UNCLEAR, "It is not known where the router's gateway is bound",
    "The Southbound database, which says where gateways are, could not be read.",
    "See [ovn] ovn_sb_connection.")
ROUTER_DISABLED = Code(
    407, _FAULT, "A router, or its interface, is administratively down",
    "Packets pass the router to get in, or to get to a member. It is a warning if there is another"
    " way.",
    "openstack router set --enable ROUTER")
NOT_ON_NETWORK = Code(
    408, _FAULT, "The load balancer is not attached to the client's network",
    "The logical switch of the client's network does not refer to the load balancer, so it does not"
    " balance.",
    _SYNC)
NOT_ON_ROUTER = Code(
    409, _FAULT, "The load balancer is not attached to a router",
    "A logical router that clients outside come in by does not refer to the load balancer.",
    _SYNC)
NO_ROUTER = Code(
    410, _FAULT, "No router answers for a VIP on a provider network",
    "Clients outside reach a VIP on a provider network by a router that has its gateway or an"
    " interface there.",
    "openstack router set --external-gateway NETWORK ROUTER")
ON_PROVIDER_NETWORK = Code(
    411, _WARNING, "The load balancer is attached to the provider network",
    "Before OVN 25.03 clients outside get their replies from the router's address then.",
    "ovn-nbctl ls-lb-del SWITCH ROW")
NO_ARP = Code(
    412, _FAULT, "Nothing answers ARP for the VIP",
    "No router that the load balancer is attached to has an interface on the VIP's network, and"
    " there is no responder, so clients on that network do not find the VIP.",
    _SYNC)
VIP_PORT_ANSWERS = Code(
    413, _FAULT, "The VIP's port answers ARP",
    "The switch port of the VIP has addresses, so OVN answers with the MAC address of a port that"
    " no machine has.",
    "ovn-nbctl lsp-set-addresses PORT")
NOT_IN_VIPS = Code(
    414, _FAULT, "An entry of vips is missing",
    "The load balancer's row has no entry for the VIP or floating IP and the listener's port, so"
    " OVN does not balance it.",
    _SYNC)

# --- health monitors and ways to members

NO_HEALTH_CHECK = Code(
    501, _WARNING, "The health monitor does not check the VIP",
    "The Northbound database has no health check of the VIP, so members that are down get packets,"
    " too.",
    _SYNC)
CHECK_PORT_DISABLED = Code(
    502, _WARNING, "The port that members are checked from is administratively down",
    "No check gets out of it: all members are shown as DOWN.",
    "openstack port set --enable PORT")
NO_CHECK_PORT = Code(
    503, _WARNING, "No port holds the address that members are checked from",
    "Another machine may be given the address, and would get the replies of members.",
    "The agent makes it when the load balancer is repaired: 'octavia-ovn sync'.")
MEMBER_NOT_CHECKED = Code(
    504, _FAULT, "A member is not checked, and left out",
    "The pool has a health monitor, and ip_port_mappings has no entry of the member: OVN leaves it"
    " out.",
    "Does its subnet have a free address to check from?")
MEMBER_DOWN = Code(
    505, _FAULT, "A member is DOWN",
    "Its health monitor gets no answer. It is a warning if another member serves.",
    "Is the server running, and does it answer on that port?")
MEMBER_NETWORK_UNKNOWN = Code(
    506, _UNCLEAR, "The network of a member is not known",
    "No network in OVN has the subnet that the member names, or that has its address.",
    "Create the member again, with the subnet that its address is on.")
NO_ROUTE_TO_MEMBER = Code(
    507, _FAULT, "No router leads to a member",
    "The network that packets come in by, and the member's, are on no common router.",
    "openstack router add subnet ROUTER SUBNET")
NO_PORT_OF_MEMBER = Code(
    508, _WARNING, "No port has the address of a member",
    "OVN serves it without checking it. Packets are lost if no machine has the address.",
    "Is it an allowed address pair, or outside OVN? Else: does its machine still exist?")
# fmt: on

CODES: Mapping[str, Code] = {
    each.name: each for each in tuple(globals().values()) if isinstance(each, Code)
}
"""All problems by name."""
