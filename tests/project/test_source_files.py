# SPDX-License-Identifier: Apache-2.0
"""Each source file names its licence in the line where tools look for it, and is short."""

import pytest

from sandbox.settings import PROJECT

LINE = "# SPDX-License-Identifier: Apache-2.0"
LONGEST = 400
FOLDERS = ("bench", "chaos", "devstack", "docs", "matrix", "octavia_ovn", "sandbox", "tests")


@pytest.fixture(scope="module")
def sources():
    """File → its lines."""
    files = [PROJECT / "Makefile", PROJECT / ".ci" / "run"]
    for folder in FOLDERS:
        files += [file for file in (PROJECT / folder).rglob("*") if file.suffix in {".py", ".sh"}]
    assert len(files) > 400
    return {file: file.read_text(encoding="utf-8").splitlines() for file in files}


def test_each_names_its_licence(sources):
    heads = {file: lines[:2] for file, lines in sources.items()}
    unnamed = [
        str(file)
        for file, head in heads.items()
        if head and head[head[0].startswith("#!") :][:1] != [LINE]
    ]
    assert unnamed == []


def test_each_is_short(sources):
    """Split a file that grows beyond it by what its parts do."""
    long = {str(file): len(lines) for file, lines in sources.items() if len(lines) > LONGEST}
    assert long == {}
