# SPDX-License-Identifier: Apache-2.0
"""The controller: keeps the rows what they should be, and Octavia informed.

It knows the core and its own protocols, and no library of the outside: no OVSDB, no HTTP.
"""
