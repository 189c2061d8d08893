# SPDX-License-Identifier: Apache-2.0
"""Configuration files of oslo.config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

Config = Mapping[str, Mapping[str, object]]


def write(file: Path, config: Config) -> None:
    """Write section -> option -> value; booleans and numbers as oslo.config reads them."""
    lines = []
    for section, options in config.items():
        lines.append(f"[{section}]")
        lines += [f"{option} = {value}" for option, value in options.items()]
        lines.append("")
    file.write_text("\n".join(lines))
    file.chmod(0o600)
