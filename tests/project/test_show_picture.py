# SPDX-License-Identifier: Apache-2.0
"""The picture in the documentation is what `octavia-ovn show --svg` draws now."""

from octavia_ovn.cli import picture
from tests.project.shop import PICTURE, SHOP


def test_the_picture_is_drawn_by_this_version():
    assert PICTURE.read_text(encoding="utf-8") == picture.svg(SHOP)
