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
}
# Quotations of log lines and commands, and tables that a program writes.
QUOTED = re.compile(r"```.*?```|`[^`]*`|^    .*?$", re.DOTALL | re.MULTILINE)
GENERATED = {"tempest.md", "versions.md"}
PAGES = [
    *sorted(each for each in PROJECT.glob("docs/**/*.md") if each.name not in GENERATED),
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
