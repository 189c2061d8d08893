# SPDX-License-Identifier: Apache-2.0
"""Commands for operators."""

from octavia_ovn import without_eventlet  # noqa: F401 - before the library
