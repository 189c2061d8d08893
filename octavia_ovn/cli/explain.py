# SPDX-License-Identifier: Apache-2.0
"""The command `octavia-ovn explain`."""

from __future__ import annotations

from typing import Any

import click

from octavia_ovn.core.diagnosis.codes import CODES

_HELP = """\
Explain the code of a finding of "trace" or "check": what it means, and what to do.

Nothing is read or changed.

\b
Exit status
  0  the code is explained
  2  there is no such code

\b
Examples
  octavia-ovn explain OVNLB-309
"""


def _code(_ctx: Any, _param: Any, value: str) -> str:
    """Return the name of a code, given in any case or as a number alone."""
    name = f"OVNLB-{value.upper().removeprefix('OVNLB-')}"
    if name not in CODES:
        msg = (
            f"there is no code {value!r}. 'octavia-ovn trace' and 'octavia-ovn check' print codes"
            " such as OVNLB-309; the page Findings of the documentation lists all."
        )
        raise click.BadParameter(msg)
    return name


def _completions(_ctx: Any, _param: Any, incomplete: str) -> list[str]:
    """Return the codes that begin so."""
    return [each for each in CODES if each.startswith(incomplete.upper())]


@click.command("explain", help=_HELP, short_help="Explain the code of a finding.")
@click.argument("code", metavar="CODE", callback=_code, shell_complete=_completions)
def explain(code: str) -> None:
    """Print an entry of the table."""
    found = CODES[code]
    click.echo(f"{found.name} ({found.severity.value}): {found.title}\n")
    click.echo(click.wrap_text(found.meaning, 100, preserve_paragraphs=True))
    click.echo(f"→ {found.remedy}")
