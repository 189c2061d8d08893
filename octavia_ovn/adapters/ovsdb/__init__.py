# SPDX-License-Identifier: Apache-2.0
"""OVSDB (RFC 7047): connections, sessions, replicas. Nothing here knows a load balancer."""
