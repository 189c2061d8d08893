# SPDX-License-Identifier: Apache-2.0
"""The command `octavia-ovn explain`."""

from __future__ import annotations

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


@click.command("explain", help=_HELP, short_help="Explain the code of a finding.")
@click.argument("code", metavar="CODE", type=click.Choice(list(CODES), case_sensitive=False))
def explain(code: str) -> None:
    """Print an entry of the table."""
    found = CODES[code]
    click.echo(f"{found.name} ({found.severity.value}): {found.title}\n")
    click.echo(click.wrap_text(found.meaning, 100, preserve_paragraphs=True))
    click.echo(f"→ {found.remedy}")
