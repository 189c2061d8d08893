# SPDX-License-Identifier: Apache-2.0
"""Where the time of a request goes: a table of what has happened when, in the small cloud."""

from __future__ import annotations

from bench.goals import HEAVY, LIGHT
from bench.results import Results, number

_STEPS = {
    "recorded": "first commit",
    "realised": "last commit",
    "Octavia is told": "told",
    "done": "done",
}


def table(results: Results, case: str) -> str:
    """Return the table for the last driver, in Markdown; milliseconds since the API call.

    :param case: the cloud
    """
    driver = results.drivers[-1]
    lines = [f"| request | {' | '.join(_STEPS)} |", f"| --- | {'--: | ' * len(_STEPS)}".rstrip()]
    for name in (*LIGHT, *HEAVY):
        found = [results.median(driver, case, f"{name}: {step}") for step in _STEPS.values()]
        if found[-1] is not None:
            cells = ("" if each is None else number(each) for each in found)
            lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
