# SPDX-License-Identifier: Apache-2.0
"""The driver by clients that others wrote: `make test-clients`."""
