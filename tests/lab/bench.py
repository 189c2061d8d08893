"""Compare provider drivers: the same workloads on each venv, in turn."""

import argparse
import pathlib
import shutil
import signal
import sys
import tempfile
import time

from tests.lab import env, scale, workloads
from tests.lab.harness import Lab
from tests.lab.results import Results


class Bench:
    """Options, results, and labs made to measure."""

    def __init__(self, options, template_dir):
        self.options = options
        self.results = Results()
        self._template_dir = template_dir
        self._config = {}
        for option in options.option:
            name, value = option.split("=", 1)
            section, key = name.split(".", 1)
            self._config.setdefault(section, {})[key] = value

    def lab(self, venv, ports, **options):
        template = scale.template(self._template_dir, ports) if ports else None
        return Lab(
            self.options.venv[venv],
            nb_template=template,
            config=self._config,
            keep_logs=self.options.logs,
            **options,
        )

    def adder(self, venv, workload, case):
        """Return add(metric, value, unit='ms') for one venv and case."""
        return lambda *figure: self.results.add(venv, workload, case, *figure)

    def runs(self):
        """Yield (label, function of a venv name), in the order to run them."""
        options = self.options
        for ports in options.ports:
            yield (
                "W0",
                f"{ports} ports",
                lambda venv, ports=ports: workloads.w0_floor(self, venv, ports),
            )
        for ports in options.ports:
            yield (
                "W1",
                f"{ports} ports",
                lambda venv, ports=ports: workloads.w1_cold(self, venv, ports),
            )
        for existing in options.existing:
            for ports in options.ports:
                yield (
                    "W2",
                    f"{ports} ports, {existing} LBs",
                    (
                        lambda venv, ports=ports, existing=existing: workloads.w2_operations(
                            self, venv, ports, existing
                        )
                    ),
                )
        yield "W3", "", lambda venv: workloads.w3_throughput(self, venv)
        yield "W4", "", lambda venv: workloads.w4_batch(self, venv)
        yield "W5", "with W6", lambda venv: workloads.w5_w6_events_and_sync(self, venv)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--venv", action="append", required=True, metavar="NAME=PATH")
    parser.add_argument(
        "--ports", type=_numbers, default=[0, 10000, 50000], help="ports already in NB"
    )
    parser.add_argument(
        "--existing", type=_numbers, default=[0, 1000], help="load balancers already there, for W2"
    )
    parser.add_argument("--repeat", type=int, default=5, help="repetitions inside W0 and W2")
    parser.add_argument("--rounds", type=int, default=1, help="repetitions of everything")
    parser.add_argument("--batch", type=_numbers, default=[1, 10, 100, 500])
    parser.add_argument("--event-lbs", type=int, default=100)
    parser.add_argument("--sync-lbs", type=int, default=200)
    parser.add_argument(
        "--missing-lbs", type=int, default=10, help="of --sync-lbs, how many to wipe from NB"
    )
    parser.add_argument("--sync-method", default="do_sync", help="driver method that syncs")
    parser.add_argument("--workloads", default="W0,W1,W2,W3,W4,W5")
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="for octavia.conf, of all venvs",
    )
    parser.add_argument("--logs", type=pathlib.Path, help="directory to keep all log files in")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--text", type=pathlib.Path)
    options = parser.parse_args()
    options.venv = dict(venv.split("=", 1) for venv in options.venv)
    options.workloads = options.workloads.split(",")
    return options


def _numbers(text):
    return [int(number) for number in text.split(",")]


def main():
    options = parse_arguments()
    signal.signal(signal.SIGTERM, terminate)
    env.isolate_octavia_run_dir()
    template_dir = tempfile.mkdtemp(prefix="ovn-lab-templates-")
    bench = Bench(options, template_dir)
    try:
        for _ in range(options.rounds):
            for workload, case, run in bench.runs():
                if workload not in options.workloads:
                    continue
                for venv in options.venv:
                    start = time.monotonic()
                    run(venv)
                    print(
                        f"{workload} {case} {venv}: {time.monotonic() - start:.0f} s",
                        file=sys.stderr,
                        flush=True,
                    )
    finally:
        shutil.rmtree(template_dir)
        report(bench.results, options)


def terminate(*_):
    """Unwind the context managers on SIGTERM, so that the servers stop."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit("terminated")


def report(results, options):
    venvs = list(options.venv)
    table = results.to_table(venvs)
    print(table)
    if options.text:
        options.text.write_text(table, encoding="utf-8")
    if options.json:
        options.json.write_text(results.to_json(venvs), encoding="utf-8")


if __name__ == "__main__":
    main()
