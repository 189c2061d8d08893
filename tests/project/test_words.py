# SPDX-License-Identifier: Apache-2.0
"""Pages and code use the terms of Octavia, OVN and Kubernetes controllers, not private ones.

Pages hold none of the words below. The package may hold as many as it did when this test was
written: lower a number when words go, never raise one.
"""

import io
import re
import tokenize
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
# Word, as a pattern, and how often it may still be in the package's strings and comments.
WORDS = {
    r"acting agent": 2,
    r"acts now": 2,
    r"anew": 35,
    r"anybody": 6,
    r"brought": 17,
    r"deeds?": 1,
    r"for ever": 10,
    r"for want of": 0,
    r"forth again": 0,
    r"(?:go|goes|going|went) on": 10,
    r"hangs? on": 3,
    r"heard": 12,
    r"hears?": 4,
    r"in office": 1,
    r"is to be": 7,
    r"keeps? (?:\w+ ){1,3}out": 7,
    r"look(?:s|ed)? at": 52,
    r"mend(?:s|ed|ing)?": 18,
    r"nobody": 58,
    r"of ours": 18,
    r"puts? right": 2,
    r"somebody": 28,
    r"surroundings": 6,
    r"takes? the place of": 1,
    r"(?:that|which|who) acts": 5,
    r"there and back": 1,
    r"told of": 5,
    r"verdicts?": 11,
    r"whatever": 30,
    r"whoever": 10,
}
# Quotations of log lines and commands, and tables that a program writes.
QUOTED = re.compile(r"```.*?```|`[^`]*`|^    .*?$", re.DOTALL | re.MULTILINE)
GENERATED = {"tempest.md", "versions.md"}
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
def test_the_package_uses_fewer_private_words(package, word):
    found = re.findall(rf"\b(?:{word})\b", package, re.IGNORECASE)

    assert len(found) <= WORDS[word]
