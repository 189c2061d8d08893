# SPDX-License-Identifier: Apache-2.0
"""The page of all findings: below its introduction it is written from the table of their codes.

`python -m tests.project.findings` writes it again.
"""

import re
import textwrap
from pathlib import Path

from octavia_ovn.core.diagnosis.codes import AREAS, CODES

PAGE = Path(__file__).parents[2] / "docs/reference/findings.md"
MARK = (
    "<!-- Below, python -m tests.project.findings writes octavia_ovn/core/diagnosis/codes.py. -->"
)


def page():
    """Return the page; its introduction is as it stands there."""
    parts = [PAGE.read_text(encoding="utf-8").partition(MARK)[0] + MARK + "\n"]
    for area, title in AREAS.items():
        parts.append(f"## {title}\n")
        found = [each for each in CODES.values() if each.number // 100 == area]
        rows = [f"| [{each.name}](#{each.name.lower()}) | {_text(each.title)} |" for each in found]
        parts.append("\n".join(["| code | problem |", "| --- | --- |", *rows]) + "\n")
        parts += map(_section, found)
    return "\n".join(parts)


def _section(code):
    remedy = _text(code.remedy)
    if re.fullmatch(r"(openstack|ovn-nbctl) [\w -]+", code.remedy):
        remedy = f"`{code.remedy}`"
    return (
        f"### {code.name}\n\n"
        f"**{_text(code.title)}** ({code.severity.value})\n\n"
        f"{_text(code.meaning)}\n\n"
        f"→ {remedy}\n"
    )


def _text(words):
    """Return words of the table as Markdown: wrapped, with options and fields as code."""
    words = re.sub(r"'(octavia-ovn \w+)'", r"`\1`", words)
    words = re.sub(r"\[ovn\] \w+|\b[a-z]+(?:_[a-z]+)+\b", r"`\g<0>`", words)
    return textwrap.fill(words, 120, break_on_hyphens=False, break_long_words=False)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
