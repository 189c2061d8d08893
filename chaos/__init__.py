# SPDX-License-Identifier: Apache-2.0
"""Random requests and random faults: every request that was accepted must end."""
