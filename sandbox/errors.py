# SPDX-License-Identifier: Apache-2.0
"""The one error that a user of the sandbox is meant to read."""


class SandboxError(Exception):
    """Something the sandbox cannot do, as a sentence (and perhaps log lines) for its user."""
