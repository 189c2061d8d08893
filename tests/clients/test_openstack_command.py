# SPDX-License-Identifier: Apache-2.0
"""The command `openstack loadbalancer`, with each of its sub-commands and options."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.clients.site import Site

_SHELL = Path(__file__).with_name("openstack_shell.py")
_GROUP = "openstack.load_balancer.v2"
SUBCOMMANDS = {
    point.name.replace("_", " "): point
    for point in importlib.metadata.entry_points(group=_GROUP)
    if point.name.startswith("loadbalancer_")
}
# Options of every command, which say how the answer is printed.
_PRINTING = {
    "-h", "--help", "-f", "--format", "-c", "--column", "--quote", "--noindent", "--max-width",
    "--fit-width", "--print-empty", "--sort-column", "--sort-ascending", "--sort-descending",
    "--prefix", "--variable",
}  # fmt: skip


def _commands(text: str) -> list[tuple[str, str]]:
    """Return each command of the table with its sentence, "" for one that succeeds."""
    found: list[tuple[str, str]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append((line.removeprefix("$ "), ""))
        elif line.startswith("! "):
            found[-1] = (found[-1][0], line.removeprefix("! "))
        elif line.startswith(" "):
            found[-1] = (f"{found[-1][0]} {line.strip()}", "")
    return found


COMMANDS = _commands(Path(__file__).with_name("commands.txt").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def names(site: Site) -> dict[str, str]:
    """What stands in the braces of the table; a port and a group that a user made before."""
    network = site.names()["network"]
    port = site.cloud.create("port", network_id=network, name="mine")["id"]
    (group,) = site.cloud.neutron(
        "security-groups", name="default", project_id=site.cloud.project_id
    )
    return {**site.names(), "port": port, "group": group["id"]}


@pytest.fixture(scope="module")
def openstack(site: Site) -> Iterator[Callable[[str], tuple[int, str]]]:
    """A shell that takes commands."""
    settings = site.settings
    environment = {**os.environ, **settings.base_environment, **settings.client_environment}
    words = [str(settings.bin / "python"), str(_SHELL)]
    with subprocess.Popen(
        words, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        stdin, stdout = process.stdin, process.stdout

        def run(command: str) -> tuple[int, str]:
            stdin.write(json.dumps(shlex.split(command)) + "\n")
            stdin.flush()
            status, printed = json.loads(stdout.readline())
            return status, printed

        yield run
        stdin.close()


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_the_table_has_each_option_of_each_subcommand(name: str) -> None:
    of_it = [words.split() for words, _ in COMMANDS if _subcommand(words) == name]
    assert of_it != []

    used = {word for words in of_it for word in words}
    parser = SUBCOMMANDS[name].load()(None, None).get_parser(name)
    missing = [
        action.option_strings
        for action in parser._actions
        if action.option_strings
        and not _PRINTING & set(action.option_strings)
        and not used & set(action.option_strings)
    ]
    assert missing == []


@pytest.mark.parametrize(("command", "sentence"), COMMANDS, ids=[each[0] for each in COMMANDS])
def test_command(
    site: Site,
    openstack: Callable[[str], tuple[int, str]],
    names: dict[str, str],
    command: str,
    sentence: str,
) -> None:
    before = site.rows() if sentence else {}
    if "{monitor}" in command:
        (monitor,) = site.cloud.octavia("GET", "/healthmonitors")["healthmonitors"]
        names["monitor"] = monitor["id"]

    for name, value in names.items():
        command = command.replace(f"{{{name}}}", value)
    status, printed = openstack(command)

    assert sentence in printed
    assert (status != 0) == bool(sentence), printed
    assert "Traceback" not in printed
    assert "HTTP 500" not in printed
    site.wait()
    if sentence:
        assert site.rows() == before


def _subcommand(words: str) -> str:
    """Return the longest name of a sub-command with which a command begins."""
    return max((name for name in SUBCOMMANDS if f"{words} ".startswith(f"{name} ")), key=len)
