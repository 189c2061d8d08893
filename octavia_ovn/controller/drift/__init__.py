"""Comparisons of Octavia, OVN and Neutron: what differs, when to look, and how to repair it."""
