# SPDX-License-Identifier: Apache-2.0
"""Loads libraries without eventlet, unless that is in use. Import it before them.

The poller of `ovs`, and `oslo.log` before release 8.3, import eventlet if it is installed, to find
out whether it has replaced parts of Python's library. It cannot have done so before it is loaded.
To load it costs 20 MiB and a fifth of a second, and it advises operators against itself on their
terminal.
"""

from __future__ import annotations

import sys

if "eventlet" not in sys.modules:
    sys.modules["eventlet"] = None  # type: ignore[assignment]  # an import of it fails
    try:
        import oslo_log.log  # noqa: F401
        import ovs.poller  # noqa: F401
    finally:
        del sys.modules["eventlet"]
