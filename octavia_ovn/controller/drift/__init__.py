"""Comparisons of Octavia, OVN and Neutron: what differs, when to compare, and how to repair it."""
