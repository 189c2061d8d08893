# SPDX-License-Identifier: Apache-2.0
"""Each source file names its licence in the line where tools look for it."""

from sandbox.settings import PROJECT

LINE = "# SPDX-License-Identifier: Apache-2.0"
FOLDERS = ("bench", "chaos", "devstack", "docs", "matrix", "octavia_ovn", "sandbox", "tests")


def test_each_source_file_names_its_licence():
    files = [PROJECT / "Makefile", PROJECT / ".ci" / "run"]
    for folder in FOLDERS:
        files += [file for file in (PROJECT / folder).rglob("*") if file.suffix in {".py", ".sh"}]
    heads = {file: file.read_text(encoding="utf-8").splitlines()[:2] for file in files}
    unnamed = [
        str(file)
        for file, head in heads.items()
        if head and head[head[0].startswith("#!") :][:1] != [LINE]
    ]
    assert len(files) > 400
    assert unnamed == []
