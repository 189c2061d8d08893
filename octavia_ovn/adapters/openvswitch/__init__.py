# SPDX-License-Identifier: Apache-2.0
"""Open vSwitch on a chassis: flow counters and connections."""
