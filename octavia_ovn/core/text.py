# SPDX-License-Identifier: Apache-2.0
"""Untrusted text for a terminal, a log or a command to copy.

Tenants name their objects as they like. A terminal obeys escape sequences, a log line ends at a
line break, and text can be made to run from right to left.
"""

from __future__ import annotations

import shlex
import unicodedata

_CONTROLS = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode's categories of invisible and control characters."""


def plain(text: str) -> str:
    r"""Return a text with invisible characters escaped, such as `\x1b`."""
    if text.isprintable():
        return text
    return "".join(map(_written, text))


def _written(character: str) -> str:
    if unicodedata.category(character) not in _CONTROLS:
        return character
    return character.encode("unicode_escape").decode()


def command(fixed: str, *words: str) -> str:
    """Return a command to copy.

    :param fixed: how it begins, as it is
    :param words: what follows, in which nothing means anything to a shell
    """
    return " ".join((fixed, *map(shlex.quote, words)))
