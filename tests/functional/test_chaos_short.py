# SPDX-License-Identifier: Apache-2.0
"""The short form of `make chaos`: docs/operators/reliability.md has the numbers of a long one."""

import random
import sys

import pytest

from chaos.run import Plan, Run
from tests.lab.store import MYSQL, POSTGRESQL

pytestmark = pytest.mark.slow


def test_requests_end_with_any_process_killed(own_run_dir, tmp_path):
    seed = random.SystemRandom().randrange(10**6)
    choices = random.Random(seed)
    flavor, in_process = choices.choice((MYSQL, POSTGRESQL)), choices.choice((False, True))
    plan = Plan(100, 8, 25, seed, flavor, str(tmp_path), in_process=in_process)
    verdict = Run(sys.prefix, plan)()
    report = "\n".join(
        [f"seed {seed}, {flavor}, in process: {in_process}, logs in {tmp_path}", *verdict.lines()]
    )
    print(report)
    assert verdict.good, "\n".join([report, *verdict.details()])
    assert verdict.outcomes["accepted"] > 20
    assert verdict.kills
