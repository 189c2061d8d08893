# SPDX-License-Identifier: Apache-2.0
"""An Octavia provider driver whose load balancers live in OVN's flows."""
