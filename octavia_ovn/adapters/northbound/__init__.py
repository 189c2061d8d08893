# SPDX-License-Identifier: Apache-2.0
"""OVN's Northbound database: what the agent replicates, what it and the API workers write."""
