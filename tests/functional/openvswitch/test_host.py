# SPDX-License-Identifier: Apache-2.0
"""An Open vSwitch that is there and does not answer."""

from __future__ import annotations

import pathlib
import socket
from typing import TYPE_CHECKING

import pytest

from octavia_ovn.adapters.openvswitch.host import LocalSwitch
from octavia_ovn.errors import Unavailable

if TYPE_CHECKING:
    from pathlib import Path


def test_a_switch_that_does_not_answer_does_not_block_the_collector(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(tmp_path / "ovs-vswitchd.1.ctl"))
        mute.listen()

        with pytest.raises(Unavailable, match="Connections cannot be read"):
            list(LocalSwitch(str(tmp_path), patience=1).connections())


def test_a_socket_that_vanishes_while_it_is_examined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    socket_path = tmp_path / "ovs-vswitchd.1.ctl"
    socket_path.touch()
    glob = pathlib.Path.glob

    def glob_then_remove(folder: Path, pattern: str) -> list[Path]:
        found = list(glob(folder, pattern))
        socket_path.unlink()
        return found

    monkeypatch.setattr(pathlib.Path, "glob", glob_then_remove)

    with pytest.raises(Unavailable, match="Connections cannot be read"):
        list(LocalSwitch(str(tmp_path), patience=1).connections())


def test_a_switch_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no control socket"):
        list(LocalSwitch(str(tmp_path)).connections())
