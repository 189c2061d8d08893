# SPDX-License-Identifier: Apache-2.0
"""Kill processes and break connections while random requests run, and report how they ended."""

import argparse
import pathlib
import random
import shutil
import sys
import tempfile

from chaos.run import Plan, Run
from tests.lab import env
from tests.lab.store import MYSQL, POSTGRESQL

PATHS = ("socket", "process")


def main():
    """Run once; return the exit code."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--requests", type=int, default=1000, help="at least so many")
    parser.add_argument("--kills", type=int, default=60, help="at least so many")
    parser.add_argument("--seconds", type=float, default=600, help="at most so many")
    parser.add_argument("--seed", type=int, help="what a run before has printed")
    parser.add_argument("--flavor", choices=(MYSQL, POSTGRESQL), help="Octavia's database")
    parser.add_argument("--path", choices=PATHS, help="how the agent reaches Octavia")
    parser.add_argument(
        "--cluster", action="store_true", help="a northbound database of three servers"
    )
    parser.add_argument("--venv", default=sys.prefix, help="where the driver is installed")
    parser.add_argument("--logs", help="keep the log files of all processes here")
    given = parser.parse_args()
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(10**6)
    choices = random.Random(seed)
    flavor, path = choices.choice((MYSQL, POSTGRESQL)), choices.choice(PATHS)
    flavor, path = given.flavor or flavor, given.path or path
    logs = given.logs or tempfile.mkdtemp(prefix="chaos-")
    print(f"seed                {seed} ({flavor}, {path}{', cluster' * given.cluster})", flush=True)
    env.isolate_octavia_run_dir()
    size = (given.requests, given.kills, given.seconds)
    plan = Plan(*size, seed, flavor, logs, given.cluster, in_process=path == PATHS[1])
    verdict = Run(given.venv, plan)()
    print("\n".join(verdict.lines()))
    if verdict.good:
        if not given.logs:
            shutil.rmtree(logs)
        return 0
    history = pathlib.Path(logs, "history.txt")
    history.write_text("\n".join(verdict.details()), encoding="utf-8")
    print(history.read_text(encoding="utf-8")[:10000])
    print(f"logs and history    {logs}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
