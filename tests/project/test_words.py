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
# Word, as a pattern, and how often it is in the package's strings and comments, as a key.
WORDS = {
    r"acting agent": 0,
    r"acts now": 0,
    r"anew": 0,
    r"anybody": 0,
    r"brought": 2,
    r"deeds?": 0,
    r"for ever": 0,
    r"for want of": 0,
    r"forth again": 0,
    r"(?:go|goes|going|went) on": 0,
    r"hangs? on": 0,
    r"heard": 0,
    r"hears?": 0,
    r"in office": 0,
    r"is to be": 0,
    r"keeps? (?:\w+ ){1,3}out": 0,
    r"look(?:s|ed)? at": 0,
    r"mend(?:s|ed|ing)?": 0,
    r"nobody": 0,
    r"of ours": 0,
    r"puts? right": 0,
    r"somebody": 0,
    r"surroundings": 0,
    r"takes? the place of": 0,
    r"(?:that|which|who) acts": 0,
    r"there and back": 0,
    r"told of": 0,
    r"verdicts?": 2,
    r"whatever": 0,
    r"whoever": 0,
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
def test_the_package_uses_standard_terms(package, word):
    found = re.findall(rf"\b(?:{word})\b", package, re.IGNORECASE)

    assert len(found) <= WORDS[word]
