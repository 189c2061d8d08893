# SPDX-License-Identifier: Apache-2.0
"""Requests: what may be asked for, whether OVN can do it, and what it changes in the rows."""
