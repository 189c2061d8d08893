# SPDX-License-Identifier: Apache-2.0
"""Health checks on a chassis: probes, the namespaces that they come from, and what the agent says.

All of it runs in one thread with an event loop (`job`), apart from what blocks.
"""
