# SPDX-License-Identifier: Apache-2.0
"""OVN's Southbound database: health checks for the agent, logical flows for collectors."""
