# SPDX-License-Identifier: Apache-2.0
"""Options: of octavia.conf, of OVN's databases, of collectors, and of their command lines."""
