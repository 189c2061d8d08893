# SPDX-License-Identifier: Apache-2.0
"""Explains one load balancer: its overview, and why a client can or cannot reach it."""
