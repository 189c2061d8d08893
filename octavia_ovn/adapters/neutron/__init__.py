"""Neutron: its REST API, and the ports of VIPs."""
