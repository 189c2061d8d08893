# SPDX-License-Identifier: Apache-2.0
"""Reads a subunit stream, prints JSON: a list of {"id", "status", "reason", "details"}.

Runs alone, in the virtual environment where subunit is.
"""

from __future__ import annotations

import json
import sys

import subunit
import testtools


def main() -> None:
    """From standard input to standard output."""
    found: list[dict[str, str]] = []

    def keep(test: dict[str, object]) -> None:
        details = test["details"]
        texts = {name: content.as_text() for name, content in details.items()}  # type: ignore[attr-defined]
        reason = texts.pop("reason", "")
        found.append(
            {
                "id": str(test["id"]),
                "status": str(test["status"]),
                "reason": reason,
                "details": "\n".join(text for text in texts.values() if text.strip()),
            }
        )

    result = testtools.StreamToDict(keep)
    result.startTestRun()
    subunit.ByteStreamToStreamResult(sys.stdin.buffer, non_subunit_name="output").run(result)
    result.stopTestRun()
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
