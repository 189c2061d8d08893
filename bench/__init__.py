# SPDX-License-Identifier: Apache-2.0
"""Compares this driver with `ovn-octavia-provider`: same servers, same requests, alternating."""
