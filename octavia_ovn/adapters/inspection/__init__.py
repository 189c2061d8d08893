# SPDX-License-Identifier: Apache-2.0
"""Reads one load balancer and the rows around it for commands, with selects and no replica."""
