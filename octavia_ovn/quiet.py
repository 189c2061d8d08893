# SPDX-License-Identifier: Apache-2.0
"""Keeps warnings of foreign libraries off an operator's terminal.

Imported before the libraries that warn: `ovs` imports eventlet if it is installed, to find out
whether it is in use, and eventlet advises its users against itself each time.
"""

from __future__ import annotations

import warnings

warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
