# SPDX-License-Identifier: Apache-2.0
"""The pictures of docs/operators/performance.md: readable in any theme, and nothing cut off."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench import plots

SVG = "{http://www.w3.org/2000/svg}"
PICTURES = sorted((Path(__file__).parents[2] / "docs/operators/performance").glob("*.svg"))
GLYPH = 7.0  # pixels of a wide character of the small font
SERIES = {
    "ovn-octavia-provider": [(0.0, 12.0), (50_000.0, 123_456.0)],
    "octavia-ovn": [(0.0, 3.0), (50_000.0, 123_450.0)],
    "another-driver": [(0.0, 1.0), (50_000.0, 1.0)],
}


def spans(text):
    """Yield what each text covers: left, right, height, words."""
    root = ElementTree.fromstring(text)
    for each in root.iter(f"{SVG}text"):
        width = GLYPH * len(each.text)
        left = (
            float(each.get("x"))
            - width * {"start": 0, "middle": 0.5, "end": 1}[each.get("text-anchor")]
        )
        yield left, left + width, float(each.get("y")), each.text


def drawn():
    return [plots.draw(plot, SERIES) for plot in plots.PLOTS]


@pytest.mark.parametrize("text", [*drawn(), *(path.read_text() for path in PICTURES)])
def test_no_text_is_cut_off_or_covered(text):
    width = float(ElementTree.fromstring(text).get("width"))
    found = list(spans(text))
    assert len(found) > 8
    for left, right, y, words in found:
        assert left >= 0, words
        assert right <= width, words
        others = (each for each in found if each[3] is not words and abs(each[2] - y) < 10)
        assert not [each for each in others if left < each[1] and each[0] < right]


@pytest.mark.parametrize("text", [*drawn(), *(path.read_text() for path in PICTURES)])
def test_a_picture_has_a_dark_theme(text):
    assert "prefers-color-scheme:dark" in text
    colours = re.findall(r'(?:fill|stroke)="(#\w+|white|black)"', text)
    assert colours == []


def test_every_picture_is_there():
    assert {path.stem for path in PICTURES} == {plot.name for plot in plots.PLOTS}
