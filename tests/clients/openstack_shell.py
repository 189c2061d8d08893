# SPDX-License-Identifier: Apache-2.0
"""The `openstack` command, many times in one process: each start of its own takes over a second.

Reads a command's words as a line of JSON, and answers with its exit status and what it prints.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import sys
import warnings

from openstackclient import shell


def run(words: list[str]) -> tuple[int, str]:
    """Run one command as `openstack` does."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            status = shell.OpenStackShell().run(words)
        except SystemExit as end:  # argparse
            status = int(end.code or 0)
    # Each shell adds handlers of its own.
    logging.getLogger().handlers.clear()
    return status, printed.getvalue()


def main() -> None:
    """Answer until there are no more commands."""
    warnings.simplefilter("ignore")
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
