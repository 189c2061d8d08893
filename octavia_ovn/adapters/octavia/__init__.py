# SPDX-License-Identifier: Apache-2.0
"""Octavia: its objects, its REST API, and the sockets of octavia-driver-agent."""
