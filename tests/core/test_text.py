# SPDX-License-Identifier: Apache-2.0
"""What others have written is only seen, wherever it goes."""

import shlex

import pytest

from octavia_ovn.core.text import command, plain

HOSTILE = "a\x1b[2J\x1b]0;owned\x07\r\n\x9b31m\u202eb\u2028\u200b\ud800"


@pytest.mark.parametrize("text", ["", "web-1", "Größe 🙂 名前\u3000x", "a\u00a0b", "x\\n"])
def test_visible_text_stays(text):
    assert plain(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[31mred", r"\x1b[31mred"),
        ("one\ntwo\r\t\x00\x7f", r"one\ntwo\r\t\x00\x7f"),
        ("\x9b31m", r"\x9b31m"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("\u2028\u2029", r"\u2028\u2029"),
    ],
)
def test_what_does_something_is_written_out(text, expected):
    assert plain(text) == expected


def test_hostile_text_is_printable():
    assert plain(HOSTILE).isprintable()
    plain(HOSTILE).encode()


@pytest.mark.parametrize("word", ["ext", "a b", "$(reboot)", "';reboot;'", "-x`id`", ""])
def test_a_word_of_a_command_is_one_word(word):
    assert shlex.split(command("openstack router set", word, "ROUTER")) == [
        *("openstack", "router", "set"),
        word,
        "ROUTER",
    ]
