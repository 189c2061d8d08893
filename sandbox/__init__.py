# SPDX-License-Identifier: Apache-2.0
"""A real OpenStack for load balancers on one machine.

Keystone, Neutron (ML2/OVN), Octavia, OVN and Open vSwitch run as their real selves, as processes
that this package starts, watches and ends; virtual machines are network namespaces.
Nothing is shared with other sandboxes or with services of the host, except the names of network
namespaces, which carry the sandbox's own prefix.

Only the standard library is imported here: the package must run before anything is installed.
"""
