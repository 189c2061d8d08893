# SPDX-License-Identifier: Apache-2.0
"""Comparisons of Octavia, OVN and Neutron: what differs, when to compare, and how to repair it."""
