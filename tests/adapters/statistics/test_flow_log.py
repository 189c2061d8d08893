# SPDX-License-Identifier: Apache-2.0
"""The file with records of connections: nothing is lost, however it is treated."""

import pytest

from octavia_ovn.adapters.statistics import flow_log
from octavia_ovn.adapters.statistics.flow_log import FlowLog
from octavia_ovn.errors import Unavailable


def test_lines_are_appended_for_the_owner_only(tmp_path):
    path = tmp_path / "log"
    for lines in (["a\n", "b\n"], [], ["c\n"]):
        FlowLog(str(path)).append(lines)

    assert path.read_text() == "a\nb\nc\n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_no_file_without_lines(tmp_path):
    FlowLog(str(tmp_path / "log")).append([])

    assert not (tmp_path / "log").exists()


def test_a_file_that_is_moved_away(tmp_path):
    path = tmp_path / "log"
    log = FlowLog(str(path))
    log.append(["a\n"])
    path.rename(tmp_path / "old")
    log.append(["b\n"])

    assert path.read_text() == "b\n"


def test_lines_wait_while_it_cannot_be_written(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(flow_log, "_MOST", 3)
    folder = tmp_path / "folder"
    log = FlowLog(str(folder / "log"))
    for lines in (["a\n", "b\n"], ["c\n", "d\n"], ["e\n"]):
        with pytest.raises(Unavailable, match="flow_records"):
            log.append(lines)
    assert [each.message for each in caplog.records] == [
        "More than 3 records of connections wait: older ones are lost"
    ]

    folder.mkdir()
    log.append([])
    assert (folder / "log").read_text() == "c\nd\ne\n"
