# SPDX-License-Identifier: Apache-2.0
"""Tests that drive the whole sandbox, and those of the sandbox's own program."""
