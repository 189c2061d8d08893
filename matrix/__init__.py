# SPDX-License-Identifier: Apache-2.0
"""The driver against versions: of OVN, of Octavia, of Python (`python -m matrix --help`)."""
