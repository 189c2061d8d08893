# SPDX-License-Identifier: Apache-2.0
"""``python3 -m sandbox``."""

import sys

from sandbox.cli import main

sys.exit(main())
