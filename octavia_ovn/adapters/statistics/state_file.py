# SPDX-License-Identifier: Apache-2.0
"""The persistent state of a collector: one JSON file, replaced as a whole."""

from __future__ import annotations

import dataclasses
import json
import os
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from octavia_ovn.core.statistics.meter import Baseline, Meter
from octavia_ovn.core.statistics.outbox import Outbox
from octavia_ovn.core.statistics.traffic import Key, Traffic
from octavia_ovn.errors import BadConfiguration, Unavailable

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Memory:
    """The state: what has been counted, and the part that has not been acknowledged.

    :param incarnation: changes when the state is lost
    """

    incarnation: str
    meter: Meter
    outbox: Outbox


class StatisticsFile:
    """The file; its folder must exist.

    :param path: of the file
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._written = ""

    def load(self) -> Memory:
        """Return the saved state; a new one when there is no file.

        :raises BadConfiguration: when the file cannot be used
        """
        try:
            content = json.loads(self._path.read_text())
            return _read(content)
        except FileNotFoundError:
            return Memory(str(uuid.uuid4()), Meter(time.monotonic()), Outbox())
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            msg = (
                f"[ovn_statistics] state_file {self._path} cannot be used: {error}. Without it,"
                " counting starts from zero: remove it if it is damaged"
            )
            raise BadConfiguration(msg) from error

    def save(self, memory: Memory) -> None:
        """Write it, so that either the old or the new content is there after a crash.

        :raises Unavailable: when it cannot be written, such as on a disk that is full
        """
        content = json.dumps(_content(memory), separators=(",", ":"))
        if content == self._written:
            return
        new = self._path.with_name(self._path.name + ".new")
        try:
            with new.open("w") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._path)
        except OSError as error:
            msg = f"[ovn_statistics] state_file {self._path} cannot be written: {error}"
            raise Unavailable(msg) from error
        self._written = content


def _content(memory: Memory) -> dict[str, Any]:
    outbox, meter = memory.outbox, memory.meter
    return {
        "version": _VERSION,
        "incarnation": memory.incarnation,
        "boot": _BOOT_ID.read_text().strip(),
        "since": meter.since,
        "flows": {name: dataclasses.astuple(each) for name, each in meter.baselines.items()},
        "number": outbox.number,
        "reports": {number: _rows(report) for number, report in outbox.reports.items()},
        "waiting": _rows(outbox.waiting),
    }


def _read(content: Any) -> Memory:
    if content["version"] != _VERSION:
        raise ValueError(f"it is of version {content['version']}")
    reports = {int(number): _traffic(rows) for number, rows in content["reports"].items()}
    return Memory(
        content["incarnation"],
        _meter(content),
        Outbox(content["number"], reports, _traffic(content["waiting"])),
    )


def _meter(content: Any) -> Meter:
    if content["boot"] != _BOOT_ID.read_text().strip():
        # The host has restarted: the clock and all flows started from zero, so all counts are new.
        return Meter(0.0)
    return Meter(
        content["since"], {name: Baseline(*each) for name, each in content["flows"].items()}
    )


def _rows(traffic: Any) -> list[list[Any]]:
    return [[*key, each.connections, each.bytes_in] for key, each in traffic.items()]


def _traffic(rows: Any) -> dict[Key, Traffic]:
    return {
        Key(f"{row_uuid_prefix}", int(port)): Traffic(int(connections), int(octets))
        for row_uuid_prefix, port, connections, octets in rows
    }
