# SPDX-License-Identifier: Apache-2.0
"""Rows that ovn-octavia-provider has written, as data: ours must take them over."""
