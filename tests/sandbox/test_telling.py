# SPDX-License-Identifier: Apache-2.0
"""The demonstration fails at a step that does not end as it says. Starts nothing of OpenStack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sandbox.errors import SandboxError
from sandbox.settings import Settings, port_numbers
from sandbox.telling import Telling

if TYPE_CHECKING:
    from pathlib import Path

    Output = pytest.CaptureFixture[str]


class _Guests:
    """Servers that answer in turn; None is no answer."""

    def __init__(self, *answers: str | None) -> None:
        self._answers = list(answers)

    def fetch(self, name: str, url: str, *, timeout: float) -> str | None:
        return self._answers.pop(0)


class _Stack:
    def __init__(self, state: Path, *answers: str | None) -> None:
        self.settings = Settings(state=state, venv=state, ports=port_numbers(19700, {}))
        self.guests = _Guests(*answers)

    def cloud(self) -> None:
        """There is none."""


class _Story(Telling):
    """Says in public what a story says to itself."""

    def __init__(self, stack: Any) -> None:
        super().__init__(stack)
        self.title, self.verify, self.until = self._title, self._verify, self._until
        self.run, self.ask = self._run, self._ask


def _story(tmp_path: Path) -> _Story:
    return _Story(_Stack(tmp_path, "web1 10.0.0.7 4711", None, "web2 10.0.0.7 4712"))


def test_a_chapter_says_what_it_does_and_what_to_expect(tmp_path: Path, capsys: Output) -> None:
    story = _story(tmp_path)
    story.title("Packets", "A client sends requests.", "answers.")
    story.title("The end", "It is deleted.")

    assert capsys.readouterr().out == (
        "\n1. Packets\n\n   A client sends requests.\n   Expect: answers.\n\n"
        "\n2. The end\n\n   It is deleted.\n\n"
    )


def test_what_is_so_is_said_and_what_is_not_so_is_an_error(tmp_path: Path, capsys: Output) -> None:
    story = _story(tmp_path)
    story.verify(condition=True, words="it answers")
    story.until(lambda: True, "it is up")

    assert capsys.readouterr().out == "    ✓ it answers\n    ✓ it is up, after 0.0 s\n"
    with pytest.raises(SandboxError, match="this is not so: it answers"):
        story.verify(condition=False, words="it answers")
    with pytest.raises(SandboxError, match="this is not so after 0 s: it is up"):
        story.until(lambda: False, "it is up", seconds=0.0)


def test_a_command_must_end_with_its_status(tmp_path: Path, capsys: Output) -> None:
    story = _story(tmp_path)
    assert story.run("sh -c 'echo two; exit 3'", status=3) == "two\n"
    assert capsys.readouterr().out == "$ sh -c 'echo two; exit 3'\n    two\n"
    for command, status in (("sh -c 'exit 1'", 0), ("sh -c 'exit 2'", 3), ("true", 3)):
        with pytest.raises(SandboxError, match="exit"):
            story.run(command, status=status)


def test_requests_are_counted_by_server(tmp_path: Path, capsys: Output) -> None:
    story = _story(tmp_path)
    answers = story.ask("near", "10.0.0.100", ("web1", "web2"), requests=3)

    assert answers == {"web1": 1, "web2": 1, "": 1}
    assert "of 3 requests: 1 answered by web1, 1 answered by web2, 1 without an answer" in (
        capsys.readouterr().out
    )
