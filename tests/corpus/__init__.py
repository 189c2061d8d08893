"""Rows that ovn-octavia-provider has written, as data: ours must take them over."""
