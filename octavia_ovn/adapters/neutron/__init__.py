# SPDX-License-Identifier: Apache-2.0
"""Neutron: its REST API, and the ports of VIPs."""
