# SPDX-License-Identifier: Apache-2.0
"""Pages and code use the terms of Octavia, OVN and Kubernetes controllers, not private ones.

Neither pages nor the package use the words below, but for keys of JSON that programs read.
"""

import io
import re
import tokenize
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
# Patterns of words that have a standard term.
WORDS = (
    r"acting agent",
    r"acts now",
    r"anew",
    r"anybody",
    r"brought",
    r"deeds?",
    r"for ever",
    r"for want of",
    r"forth again",
    r"(?:go|goes|going|went) on",
    r"hangs? on",
    r"heard",
    r"hears?",
    r"in office",
    r"is to be",
    r"keeps? (?:\w+ ){1,3}out",
    r"look(?:s|ed)? at",
    r"mend(?:s|ed|ing)?",
    r"nobody",
    r"of ours",
    r"puts? right",
    r"somebody",
    r"surroundings",
    r"takes? the place of",
    r"(?:that|which|who) acts",
    r"there and back",
    r"told of",
    r"verdicts?",
    r"whatever",
    r"whoever",
)
# Keys of JSON that programs read, and how often they stand in the package.
KEYS = {
    r"brought": 2,
    r"verdicts?": 2,
}
# Quotations of log lines and commands, and tables that a program writes.
QUOTED = re.compile(r"```.*?```|`[^`]*`|^    .*?$", re.DOTALL | re.MULTILINE)
GENERATED = {"tempest.md", "tempest-health.md", "versions.md"}
PAGES = [
    *sorted(each for each in PROJECT.glob("docs/**/*.md") if each.name not in GENERATED),
    *sorted(PROJECT.glob("docs/**/*.ini")),
    *sorted(PROJECT.glob("*.md")),
    *sorted(PROJECT.glob("releasenotes/notes/*.yaml")),
]


def words_of(path):
    """Return the prose of a page, without quotations."""
    text = path.read_text(encoding="utf-8")
    return QUOTED.sub("", text) if path.suffix == ".md" else text


def prose_of(path):
    """Return docstrings, other strings and comments of a module, wrapped lines joined."""
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline)
    kinds = (tokenize.STRING, tokenize.COMMENT)
    return " ".join(token.string.lstrip("# ") for token in tokens if token.type in kinds)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_pages_use_standard_terms(page):
    text = re.sub(r"\s+", " ", words_of(page))

    assert [word for word in WORDS if re.search(rf"\b(?:{word})\b", text, re.IGNORECASE)] == []


@pytest.fixture(scope="module")
def package():
    files = sorted((PROJECT / "octavia_ovn").rglob("*.py"))
    return re.sub(r"\s+", " ", " ".join(prose_of(path) for path in files))


@pytest.mark.parametrize("word", WORDS)
def test_the_package_uses_standard_terms(package, word):
    found = re.findall(rf"\b(?:{word})\b", package, re.IGNORECASE)

    assert len(found) <= KEYS.get(word, 0)
