# SPDX-License-Identifier: Apache-2.0
"""Statistics between chassis and agent: signed datagrams, and the state file of a collector."""
