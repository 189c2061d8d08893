"""Octavia: its objects, its REST API, and the sockets of octavia-driver-agent."""
