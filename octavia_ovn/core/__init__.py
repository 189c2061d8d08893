# SPDX-License-Identifier: Apache-2.0
"""The pure core: the model of a load balancer, and the Northbound rows that it needs.

No I/O, no clock, no logging, no configuration; the standard library only.
"""
