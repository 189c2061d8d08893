"""The fake Octavia hands a driver field by field what a real one does."""

import json
import pathlib

import pytest

from tests.lab.replay import Replay
from tests.recordings import notation, script

RECORDING = json.loads(
    (pathlib.Path(script.__file__).parent / "octavia-19.json").read_text(encoding="utf-8")
)["scenarios"]
# The fake has no availability zones: the driver refuses them.
MODELLED = [each for each in script.SCENARIOS if each.name != "availability zone"]


def test_the_recording_has_the_whole_script():
    recorded = {
        name: [[step["request"], step["body"]] for step in steps]
        for name, steps in RECORDING.items()
    }
    asked = {
        each.name: [[f"{step.verb} {step.path}", step.body] for step in each.steps]
        for each in script.SCENARIOS
    }
    assert recorded == notation.Names().hide(asked)


@pytest.mark.parametrize("scenario", MODELLED, ids=lambda each: each.name)
def test_the_fake_hands_over_what_octavia_does(scenario, tmp_path):
    replayed = Replay(scenario, tmp_path).run()
    steps = zip(RECORDING[scenario.name], replayed, strict=True)
    modelled = [(real, fake) for real, fake in steps if fake]
    assert flat_fields(fake for _, fake in modelled) == flat_fields(real for real, _ in modelled)


def flat_fields(steps):
    return notation.flat({f"{number} {step['request']}": step for number, step in enumerate(steps)})
