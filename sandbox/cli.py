# SPDX-License-Identifier: Apache-2.0
"""The command line."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from sandbox import chassis, demo, guest_cli, horizon, octavia, packages, settings, shell, tempest
from sandbox.command import Command, add_command, need_root, on_stack, say
from sandbox.console import Console
from sandbox.errors import SandboxError
from sandbox.network import http_answers
from sandbox.settings import PORT_NAMES, Settings
from sandbox.stack import Stack, locked

_EXIT_ERROR = 1
_EXIT_NOT_UP = 3
_EXIT_INTERRUPTED = 130

_DESCRIPTION = """\
A real OpenStack for load balancers on one machine: Keystone, Neutron (ML2/OVN), Octavia,
OVN, Open vSwitch and MariaDB, each as itself, and network namespaces as virtual machines.
"""

_EPILOG = """\
start here:
  python3 -m sandbox demo                  everything from nothing, shown step by step
  python3 -m sandbox up                    start it (installs what is missing) and stay
  eval "$(python3 -m sandbox env)"         then use: openstack loadbalancer list
  python3 -m sandbox guest create web1 --network NET --serve 80
  octavia-ovn check --config-file .sandbox/etc/octavia.conf
  python3 -m sandbox logs octavia -f
  python3 -m sandbox down

All state is in one directory (--state, $SANDBOX_STATE, .sandbox in the project).
Several sandboxes can be up at once if their states and ports differ.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return the exit status."""
    arguments = _parser().parse_args(argv)
    command: Command = arguments.command
    # So that what must be ended is ended; a default TERM would leave it.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return command(arguments)
    except SandboxError as error:
        say(f"sandbox: {error}", file=sys.stderr)
        return _EXIT_ERROR
    except KeyboardInterrupt:
        say("sandbox: interrupted", file=sys.stderr)
        return _EXIT_INTERRUPTED
    except BrokenPipeError:  # `logs | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _EXIT_ERROR


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


# --- commands ------------------------------------------------------------------------------


def _install(arguments: argparse.Namespace) -> int:
    with locked(arguments.state):
        console = Console()
        packages.install(_settings(arguments), console)
        console.done("installed")
    return 0


def _up(arguments: argparse.Namespace) -> int:
    need_root()
    with locked(arguments.state):
        stack = Stack(_settings(arguments))
        packages.install(stack.settings, stack.console)
        stack.up()
    return 0


def _down(arguments: argparse.Namespace) -> int:
    with locked(arguments.state):
        saved = settings.load(arguments.state)
        stack = Stack(saved or _bare_settings(arguments.state))
        if saved or stack.supervisor.records():
            need_root()
        stack.down(purge=arguments.purge)
    return 0


def _status(arguments: argparse.Namespace) -> int:
    stack = Stack.attach(arguments.state)
    services = stack.services()
    healthy = True
    for name in services:
        record = stack.supervisor.record(name)
        alive = stack.supervisor.alive(name)
        healthy = healthy and alive
        port = stack.settings.ports.get(name)
        where = f"{stack.settings.host}:{port}" if port else ""
        state = "runs" if alive else "DEAD"
        say(f"{name:22} {state:5} {record.pid if record else '-':>8}  {where}")
    for guest in stack.guests.list():
        serving = "serves" if stack.guests.serves(guest.name) else ""
        say(f"guest {guest.name:16} {' '.join(guest.addresses)}  {guest.namespace}  {serving}")
    if healthy and not all(http_answers(stack.settings.url(n) + "/") for n in _HTTP):
        say("An API does not answer; see `logs`.")
        healthy = False
    return 0 if healthy else _EXIT_NOT_UP


_HTTP = ("keystone", "neutron", "octavia")


def _demo(arguments: argparse.Namespace) -> int:
    need_root()
    with locked(arguments.state):
        stack = Stack(_settings(arguments))
        packages.install(stack.settings, stack.console)
        demo.run(stack, keep=arguments.keep)
    return 0


def _demo_horizon(arguments: argparse.Namespace) -> int:
    need_root()
    with locked(arguments.state):
        chosen = _settings(arguments)
        if settings.load(arguments.state) is None:
            # The wizard asks for the provider where there are several.
            options = (octavia.WITH_AMPHORA, *chosen.octavia_options)
            chosen = dataclasses.replace(chosen, octavia_options=options)
        stack = Stack(chosen)
        packages.install(stack.settings, stack.console)
        packages.install_horizon(stack.settings, stack.console)
        horizon.collect(stack.settings, stack.console)
        pictures = arguments.pictures or stack.settings.state / "horizon"
        story = functools.partial(horizon.Dashboard, pictures=pictures)
        try:
            demo.run(stack, keep=arguments.keep, story=story)
        finally:
            if not arguments.keep:
                stack.supervisor.stop("horizon")
    return 0


def _tempest(arguments: argparse.Namespace) -> int:
    need_root()
    with locked(arguments.state):
        was_up = settings.load(arguments.state) is not None
        chosen = _settings(arguments)
        if arguments.health:
            options = chassis.options(max(chosen.ports.values()) + 1)
            chosen = dataclasses.replace(
                chosen, octavia_options=(*chosen.octavia_options, *options)
            )
        stack = Stack(chosen)
        packages.install(stack.settings, stack.console)
        packages.install_tempest(stack.settings, stack.console)
        try:
            stack.up()
            with chassis.checking(stack) if arguments.health else contextlib.nullcontext():
                runs = tempest.run(stack, tests=arguments.tests, concurrency=arguments.concurrency)
        finally:
            if not was_up:
                stack.down()
    results = runs.either
    if arguments.report:
        nbctl = ["ovn-nbctl", "--version"]
        ovn = shell.run(nbctl, env=stack.settings.base_environment).split()[1]
        text = tempest.report(runs, ovn=ovn, health=arguments.health)
        arguments.report.write_text(text)
    for failure in results.failures:
        say(f"\n{failure.test}: {failure.status}\n{failure.details}")
    stack.console.done(f"Octavia's API tests: {results.summary}")
    return _EXIT_ERROR if results.failures or not results.all else 0


def _logs(arguments: argparse.Namespace) -> int:
    folder = arguments.state / "log"
    files = sorted(folder.glob("*.log"))
    if arguments.service:
        files = [folder / f"{arguments.service}.log"]
        if not files[0].exists():
            known = ", ".join(sorted(file.stem for file in folder.glob("*.log")))
            raise SandboxError(f"No log of {arguments.service!r}; there are: {known or 'none'}")
    if not files:
        raise SandboxError(f"No logs in {folder}")
    follow = ["-F"] if arguments.follow else []
    command = ["tail", "-n", str(arguments.lines), *follow, *map(str, files)]
    return subprocess.run(command, check=False).returncode


def _env(arguments: argparse.Namespace) -> int:
    stack = Stack.attach(arguments.state)
    for name, value in stack.settings.client_environment.items():
        say(f"export {name}={shlex.quote(value)}")
    ours = f"{stack.settings.bin}:{stack.settings.ovn_path}"
    say(f'export PATH={shlex.quote(ours)}"$PATH"')
    return 0


def _exec(arguments: argparse.Namespace) -> int:
    chosen = Stack.attach(arguments.state).settings
    words = arguments.words
    path = f"{chosen.bin}:{chosen.ovn_path}{os.environ.get('PATH', os.defpath)}"
    environment = {**os.environ, **chosen.client_environment, "PATH": path}
    # Not exec: Python's execvpe would look for the program in the old PATH.
    try:
        return subprocess.run(["env", *words], env=environment, check=False).returncode
    except KeyboardInterrupt:
        return _EXIT_INTERRUPTED


def _restart(stack: Stack, arguments: argparse.Namespace) -> None:
    stack.stop(arguments.service)
    stack.start(arguments.service)


def _kill(stack: Stack, arguments: argparse.Namespace) -> None:
    number = signal.Signals[f"SIG{arguments.signal.upper().removeprefix('SIG')}"]
    if arguments.service == octavia.PROVIDER_AGENT:
        os.kill(octavia.provider_agent_pid(stack.supervisor), number)
    else:
        stack.supervisor.signal(arguments.service, number)


# --- options -------------------------------------------------------------------------------


def _settings(arguments: argparse.Namespace) -> Settings:
    """Return what the options say; where they say nothing, what the sandbox is up with."""
    given = {
        name: getattr(arguments, f"{name}_port")
        for name in PORT_NAMES
        if getattr(arguments, f"{name}_port")
    }
    base = arguments.port_base
    values = {
        "venv": arguments.venv,
        "ports": settings.port_numbers(base or settings.DEFAULT_PORT_BASE, given)
        if base or given
        else None,
        "provider_package": arguments.provider_package,
        "octavia_options": tuple(arguments.set) if arguments.set else None,
        "api_workers": arguments.api_workers,
        "ovn_prefix": arguments.ovn_prefix,
    }
    start = settings.load(arguments.state) or _bare_settings(arguments.state)
    return dataclasses.replace(start, **{k: v for k, v in values.items() if v is not None})


def _bare_settings(state: Path) -> Settings:
    ports = settings.port_numbers(settings.DEFAULT_PORT_BASE, {})
    return Settings(
        state=state,
        venv=settings.default_venv(state),
        ports=ports,
        ovn_prefix=settings.default_ovn_prefix(),
    )


def _path(text: str) -> Path:
    return Path(text).absolute()


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="sandbox", description=_DESCRIPTION, epilog=_EPILOG, formatter_class=raw
    )
    parser.add_argument(
        "--state",
        type=_path,
        default=settings.default_state(),
        metavar="DIR",
        help="directory of this sandbox ($SANDBOX_STATE; now %(default)s)",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    add = functools.partial(add_command, commands)
    _configuration(add("install", _install, "install what is missing, from Debian and PyPI"))
    _configuration(add("up", _up, "install what is missing and start everything"))
    add("status", _status, "list services and guests; exit status 3 if a service is dead")
    down = add("down", _down, "end everything that was started; keep logs, cache and venv")
    down.add_argument("--purge", action="store_true", help="remove the state directory too")
    show = add("demo", _demo, "show a load balancer from its creation to its end, with packets")
    _configuration(show)
    show.add_argument("--keep", action="store_true", help="leave everything running at the end")
    show = add("demo-horizon", _demo_horizon, "create and edit a load balancer in Horizon")
    _configuration(show)
    show.add_argument("--keep", action="store_true", help="leave everything running at the end")
    show.add_argument(
        "--pictures", type=_path, metavar="DIR", help="folder for pictures; STATE/horizon"
    )
    tests = add("tempest", _tempest, "run Octavia's own API tests against the provider")
    _configuration(tests)
    tests.add_argument(
        "--tests", default=tempest.TESTS, metavar="REGEX", help="which; default: all API tests"
    )
    tests.add_argument("--concurrency", type=int, default=tempest.CONCURRENCY, metavar="N")
    tests.add_argument(
        "--health",
        action="store_true",
        help="with [ovn_health] enabled, and octavia-ovn-chassis on the hypervisor",
    )
    tests.add_argument(
        "--report", type=_path, metavar="FILE", help="write what was skipped, and why"
    )
    logs = add("logs", _logs, "print the last lines of all logs, or of one service's")
    logs.add_argument("service", nargs="?")
    logs.add_argument("-f", "--follow", action="store_true")
    logs.add_argument("-n", "--lines", type=int, default=20)
    add("env", _env, "print shell commands that point the openstack client here")
    execute = add("exec", _exec, "run a command with that environment: exec -- openstack ...")
    execute.add_argument("words", nargs="+", metavar="COMMAND")
    for name, action, text in (
        ("start", lambda stack, a: stack.start(a.service), "start a service that has ended"),
        ("stop", lambda stack, a: stack.stop(a.service), "end a service in order"),
        ("restart", _restart, "end a service and start it again"),
        ("kill", _kill, "send a signal to a service, or to `provider-agent`"),
    ):
        added = add(name, on_stack(action), text)
        added.add_argument("service")
        if name == "kill":
            added.add_argument("--signal", default="KILL", help="default: %(default)s")
    guest_cli.add_commands(
        add("guest", lambda _: 0, "make and use virtual machines (network namespaces)")
    )
    return parser


def _configuration(parser: argparse.ArgumentParser) -> None:
    """Add the options of commands that may start a sandbox."""
    parser.add_argument(
        "--venv", type=_path, metavar="DIR", help="virtual environment ($SANDBOX_VENV; STATE/venv)"
    )
    parser.add_argument(
        "--provider-package", metavar="SPEC",
        help="the driver, as pip knows it; default '.': this project, editable. "
        "Another one wants another --venv",
    )  # fmt: skip
    parser.add_argument(
        "--set", action="append", metavar="SECTION.OPTION=VALUE", help="add to octavia.conf"
    )
    parser.add_argument(
        "--api-workers", type=int, metavar="N", help="processes of the Octavia API; default 2"
    )
    parser.add_argument(
        "--ovn-prefix", type=_path, metavar="DIR",
        help="where OVN and Open vSwitch are installed ($OVN_PREFIX; /usr)",
    )  # fmt: skip
    parser.add_argument(
        "--port-base", type=int, metavar="PORT",
        help=f"first of {len(PORT_NAMES)} ports; default {settings.DEFAULT_PORT_BASE}",
    )  # fmt: skip
    for name in PORT_NAMES:
        parser.add_argument(f"--{name}-port", type=int, metavar="PORT")
