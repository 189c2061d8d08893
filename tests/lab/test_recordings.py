# SPDX-License-Identifier: Apache-2.0
"""The fake Octavia hands a driver field by field what a real one does."""

import functools
import json
import pathlib

import pytest

from tests.lab import models
from tests.lab.replay import Recorder, Replay
from tests.recordings import notation, script

# What a release does not know yet: octavia-lib may.
NEWER = {15: ("vip_sg_ids", "vnic_type"), 19: ()}
# With an old octavia-lib the objects of a new Octavia cannot be made.
RELEASES = [release for release in models.BEFORE if release <= models.RELEASE]
# The fake has no availability zones: the driver refuses them.
MODELLED = [each for each in script.SCENARIOS if each.name != "availability zone"]


@functools.cache
def recording(release):
    file = pathlib.Path(script.__file__).with_name(f"octavia-{release}.json")
    return json.loads(file.read_text(encoding="utf-8"))["scenarios"]


@pytest.mark.parametrize("release", models.BEFORE)
def test_the_recording_has_the_whole_script(release):
    recorded = {
        name: [[step["request"], step["body"]] for step in steps]
        for name, steps in recording(release).items()
    }
    asked = {
        each.name: [[f"{step.verb} {step.path}", step.body] for step in each.steps]
        for each in script.SCENARIOS
    }
    assert recorded == notation.Names().hide(asked)


@pytest.mark.parametrize("scenario", MODELLED, ids=lambda each: each.name)
@pytest.mark.parametrize("release", RELEASES)
def test_the_fake_hands_over_what_octavia_does(release, scenario, tmp_path):
    replayed = Replay(scenario, release, tmp_path, Recorder()).run()
    steps = zip(recording(release)[scenario.name], replayed, strict=True)
    real, fake = zip(*((real, fake) for real, fake in steps if fake), strict=True)
    assert fields(fake, NEWER[release]) == fields(real, NEWER[release])


def fields(steps, left_out):
    named = {f"{number} {step['request']}": step for number, step in enumerate(steps)}
    return {
        path: value
        for path, value in notation.flat(named).items()
        if not any(f".{name}" in path for name in left_out)
    }
