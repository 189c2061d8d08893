# SPDX-License-Identifier: Apache-2.0
"""The file with records of connections: a line of JSON for each."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence

from octavia_ovn.errors import Unavailable

LOG = logging.getLogger(__name__)

_MOST = 100_000
"""Lines that wait while the file cannot be written."""


class FlowLog:
    """Appends to a file, which may be moved away at any time: it is opened for each append.

    :param path: of the file; only its owner may read it when it is made
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._waiting: list[str] = []
        self._lossy = False

    def append(self, lines: Sequence[str]) -> None:
        """Write lines, after those that could not be written before.

        :raises Unavailable: when the file cannot be written; the lines wait
        """
        self._waiting += lines
        if not self._waiting:
            return
        try:
            number = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            with os.fdopen(number, "w") as file:
                file.writelines(self._waiting)
        except OSError as error:
            self._shorten()
            msg = f"[ovn_statistics] flow_records {self._path} cannot be written: {error}"
            raise Unavailable(msg) from error
        self._waiting, self._lossy = [], False

    def _shorten(self) -> None:
        if len(self._waiting) > _MOST and not self._lossy:
            self._lossy = True
            LOG.warning("More than %d records of connections wait: older ones are lost", _MOST)
        self._waiting = self._waiting[-_MOST:]
