# SPDX-License-Identifier: Apache-2.0
"""Adapters: each package speaks to one outside system and decides nothing."""
