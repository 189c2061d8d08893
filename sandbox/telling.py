# SPDX-License-Identifier: Apache-2.0
"""How a demonstration is told: chapters, the commands that an operator would type, and checks."""

from __future__ import annotations

import collections
import concurrent.futures
import shlex
import subprocess
import sys
import textwrap
import time
from typing import TYPE_CHECKING

from sandbox import shell
from sandbox.console import Console
from sandbox.errors import SandboxError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sandbox.stack import Stack

_INDENT = "    "
_WIDTH = 100
_PAUSE = 0.2
REQUESTS = 20


class Telling:
    """Runs and shows commands on a sandbox that is up, on standard output."""

    def __init__(self, stack: Stack) -> None:
        """Log in."""
        self._stack = stack
        self._cloud = stack.cloud()
        self._out = Console(sys.stdout)
        path = f"{stack.settings.bin}:{stack.settings.base_environment['PATH']}"
        client = stack.settings.client_environment
        self._environment = {**stack.settings.base_environment, **client, "PATH": path}
        self._chapter = 0

    # --- words ---------------------------------------------------------------------------

    def _title(self, text: str, what: str, expect: str = "") -> None:
        """Begin a chapter: say what it does, and what the reader should see."""
        self._chapter += 1
        self._out.say(f"\n{self._chapter}. {text}\n")
        for words in (what, f"Expect: {expect}" if expect else ""):
            for line in textwrap.wrap(words, _WIDTH):
                self._out.say(f"   {line}")
        self._out.say("")

    def _note(self, text: str) -> None:
        self._out.say(_INDENT + text)

    def _verify(self, condition: object, words: str) -> None:
        """Say that something is as it must be; raise SandboxError if it is not."""
        if not condition:
            raise SandboxError(f"this is not so: {words}")
        self._note(f"✓ {words}")

    def _until(self, condition: Callable[[], bool], words: str, *, seconds: float = 30.0) -> None:
        """Wait until something holds, and say how long that took."""
        began = time.monotonic()
        while not condition():
            if time.monotonic() - began > seconds:
                raise SandboxError(f"this is not so after {seconds:.0f} s: {words}")
            time.sleep(_PAUSE)
        self._note(f"✓ {words}, after {time.monotonic() - began:.1f} s")

    # --- commands ------------------------------------------------------------------------

    def _typed(self, command: str) -> None:
        self._out.say(f"$ {command}")

    def _openstack(self, words: str) -> None:
        self._run(f"openstack {words}")

    def _openstack_all(self, *commands: str) -> None:
        """Run commands at the same time and show them in the given order."""
        full = [f"openstack {words}" for words in commands]
        with concurrent.futures.ThreadPoolExecutor() as pool:
            for command, output in zip(full, pool.map(self._output, full), strict=True):
                self._show(command, output)

    def _run(self, command: str, *, status: int = 0) -> str:
        """Run and show a command that must end with that exit status."""
        output = self._output(command, status)
        self._show(command, output)
        return output

    def _output(self, command: str, status: int = 0) -> str:
        if not status:
            return shell.run(shlex.split(command), env=self._environment)
        done = subprocess.run(
            shlex.split(command), env=self._environment, capture_output=True, text=True, check=False
        )
        if done.returncode != status:
            output = shell.tail_of(done.stdout + done.stderr)
            raise SandboxError(f"{command}: exit {done.returncode}, not {status}\n{output}")
        return done.stdout

    def _show(self, command: str, output: str) -> None:
        self._typed(command)
        for line in output.rstrip().splitlines():
            self._note(line.rstrip())

    # --- packets -------------------------------------------------------------------------

    def _ask(
        self,
        client: str,
        address: str,
        servers: Sequence[str],
        *,
        requests: int = REQUESTS,
        timeout: float = 3.0,
    ) -> collections.Counter[str]:
        """Send requests and count the answers by server; "" counts those without one.

        `timeout` is in seconds, for each request.
        """
        self._typed(f"python3 -m sandbox guest exec {client} -- curl http://{address}/")
        answers: collections.Counter[str] = collections.Counter()
        for number in range(requests):
            text = self._stack.guests.fetch(client, f"http://{address}/", timeout=timeout)
            if number == 0:
                self._note((text or "(no answer)").rstrip())
            answers[text.split()[0] if text else ""] += 1
        counts = [f"{answers[name]} answered by {name}" for name in servers]
        counts += [f"{answers['']} without an answer"] if answers[""] else []
        self._note(f"of {requests} requests: {', '.join(counts)}")
        return answers
