# SPDX-License-Identifier: Apache-2.0
"""Prometheus: metrics of the agent and of collectors, and the server that exports them."""
