# SPDX-License-Identifier: Apache-2.0
"""API services under uWSGI."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sandbox import network
from sandbox.process import Service

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.settings import Settings


def service(
    settings: Settings,
    name: str,
    module: str,
    *,
    options: tuple[str, ...] = (),
    env: Mapping[str, str] | None = None,
) -> Service:
    """Return an HTTP service on the port of this name, ready when it answers.

    `options` are more of uWSGI's, such as ``("--processes", "2")``.
    """
    argv = (
        str(settings.bin / "uwsgi"),
        "--module", module,
        "--http-socket", f"{settings.host}:{settings.ports[name]}",
        "--master",
        # Drivers start threads, and what they start must be made after the fork.
        "--enable-threads",
        "--lazy-apps",
        "--need-app",
        "--die-on-term",
        "--thunder-lock",
        "--buffer-size", "65535",
        "--listen", "100",
        "--add-header", "Connection: close",
        "--log-format", "%(ltime) %(method) %(uri) %(status) %(msecs)ms",
        "--procname-prefix", f"{name} ",
        *options,
    )  # fmt: skip
    return Service(
        name=name,
        argv=argv,
        env={**settings.base_environment, **(env or {})},
        ready=partial(network.http_answers, settings.url(name) + "/"),
    )
