# SPDX-License-Identifier: Apache-2.0
"""Commands for operators."""

from octavia_ovn import quiet  # noqa: F401 - before the libraries that warn
