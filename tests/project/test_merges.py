# SPDX-License-Identifier: Apache-2.0
"""No file has the marks of a merge that was not completed."""

import re
import subprocess

from sandbox.settings import PROJECT

MARK = re.compile(rb"^(<{7}|>{7})( |$)", re.MULTILINE)


def test_no_file_has_the_marks_of_an_unfinished_merge():
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, check=True
    ).stdout.split(b"\0")
    files = [PROJECT / name.decode() for name in names if name]
    assert len(files) > 400
    marked = [str(each) for each in files if each.is_file() and MARK.search(each.read_bytes())]
    assert marked == []
