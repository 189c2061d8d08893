# SPDX-License-Identifier: Apache-2.0
"""The memory of a collector: whole after a crash, and of use only while it is true."""

import json
import time

import pytest

from octavia_ovn.adapters.statistics.state_file import StatisticsFile
from octavia_ovn.core.statistics.meter import Meter
from octavia_ovn.core.statistics.traffic import Key, Traffic
from octavia_ovn.errors import BadConfiguration, Unavailable
from tests.core.statistics.switch import counters

A = Key("aaaaaaaa", 80)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.json"


def filled(path):
    memory = StatisticsFile(str(path)).load()
    memory.meter.advance((1,), [counters(packets=3, age=0.0)], time.monotonic())
    memory.outbox.add({A: Traffic(1, 10)})
    memory.outbox.fill()
    memory.outbox.add({A: Traffic(2, 20)})
    return memory


def test_what_is_saved_is_loaded(path):
    memory = filled(path)
    StatisticsFile(str(path)).save(memory)

    found = StatisticsFile(str(path)).load()

    assert found.incarnation == memory.incarnation
    assert found.meter.baselines == memory.meter.baselines
    assert found.meter.since == memory.meter.since
    assert vars(found.outbox) == vars(memory.outbox)


def test_two_memories_that_begin_are_not_the_same(path):
    assert StatisticsFile(str(path)).load().incarnation != (
        StatisticsFile(str(path)).load().incarnation
    )


def test_after_a_reboot_all_that_flows_show_is_new(path):
    StatisticsFile(str(path)).save(filled(path))
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "boot": "another"}))

    found = StatisticsFile(str(path)).load()

    assert (found.meter.since, found.meter.baselines) == (0.0, {})
    assert found.outbox.reports == {1: {A: Traffic(1, 10)}}


def test_it_is_written_only_when_something_has_changed(path):
    file = StatisticsFile(str(path))
    memory = filled(path)
    file.save(memory)
    path.unlink()

    file.save(memory)
    assert not path.exists()

    memory.outbox.acknowledge([1])
    file.save(memory)
    assert path.exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 2}', '{"version": 1}'])
def test_a_file_that_is_no_good_is_named(path, text):
    path.write_text(text)

    with pytest.raises(BadConfiguration, match="state_file"):
        StatisticsFile(str(path)).load()


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    file = StatisticsFile(str(tmp_path / "nowhere" / "state.json"))

    with pytest.raises(Unavailable, match=r"state_file .* cannot be written"):
        file.save(file.load())


def test_a_new_meter_leaves_out_what_was_before(path):
    meter = StatisticsFile(str(path)).load().meter

    assert isinstance(meter, Meter)
    assert meter.since > 0
