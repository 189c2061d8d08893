# SPDX-License-Identifier: Apache-2.0
"""An archive of JSON files, with a manifest of what is in it and of what could not be read."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from octavia_ovn.core.text import plain
from octavia_ovn.errors import BadConfiguration, OctaviaOvnError

LOG = logging.getLogger(__name__)
T = TypeVar("T")

_MODE = 0o600
_MANIFEST = "manifest.json"


class Archive:
    """Files are written as they are added, the manifest at the end.

    :param conceal: returns content without secrets; applied to all that is written
    """

    def __init__(self, tar: tarfile.TarFile, folder: str, conceal: Callable[[Any], Any]) -> None:
        self._tar = tar
        self._folder = folder
        self._conceal = conceal
        self.files: dict[str, str] = {}
        """What each file is, by name."""
        self.left_out: list[dict[str, str]] = []
        """What could not be read, and why."""

    def read(self, what: str, read: Callable[[], T]) -> T | None:
        """Return what a function reads; None when it fails, which does not stop the rest."""
        try:
            return read()
        except OctaviaOvnError as error:
            why = str(error)
        except Exception as error:
            # What is odd is what support wants to see, with the rest.
            LOG.debug("%s could not be read", what, exc_info=True)
            why = f"a defect: {type(error).__name__}: {plain(str(error))}"
        self.leave_out(what, why)
        return None

    def leave_out(self, what: str, why: str) -> None:
        """Note what is not in the archive."""
        self.left_out.append({"what": self._conceal(what), "why": self._conceal(why)})

    def add(self, name: str, what: str, read: Callable[[], T]) -> T | None:
        """Add what a function reads as a JSON file; return it, None when it fails."""
        content = self.read(f"{name}: {what}", read)
        if content is not None:
            self._write(name, content)
            self.files[name] = what
        return content

    def finish(self, manifest: Mapping[str, Any]) -> None:
        """Add the manifest.

        :param manifest: what it says beside files
        """
        found = {**manifest, "files": self.files, "left_out": self.left_out}
        self._write(_MANIFEST, found)

    def _write(self, name: str, content: Any) -> None:
        data = json.dumps(self._conceal(content), indent=2, default=_plain).encode()
        member = tarfile.TarInfo(f"{self._folder}/{name}")
        member.size, member.mode, member.mtime = len(data), _MODE, int(time.time())
        self._tar.addfile(member, io.BytesIO(data))


def _plain(value: Any) -> Any:
    """Return sets as lists, and all else as text."""
    return sorted(map(str, value)) if isinstance(value, (set, frozenset)) else str(value)


@contextlib.contextmanager
def create(path: Path, conceal: Callable[[Any], Any]) -> Iterator[Archive]:
    """Create an archive that only its owner can read; it is removed when the block fails.

    :raises BadConfiguration: when the file exists or cannot be written
    """
    name = path.name.removesuffix(".gz").removesuffix(".tar").removesuffix(".tgz")
    with _created(path) as file, tarfile.open(fileobj=file, mode="w:gz") as tar:
        yield Archive(tar, name, conceal)


@contextlib.contextmanager
def _created(path: Path) -> Iterator[BinaryIO]:
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
    except FileExistsError as error:
        raise BadConfiguration(f"--output: {path} exists, and is not overwritten.") from error
    except OSError as error:
        raise BadConfiguration(f"--output: {path} cannot be written: {error.strerror}") from error
    try:
        with os.fdopen(number, "wb") as file:
            yield file
    except OSError as error:
        path.unlink()
        raise BadConfiguration(f"--output: {path} cannot be written: {error.strerror}") from error
    except BaseException:
        path.unlink()
        raise
