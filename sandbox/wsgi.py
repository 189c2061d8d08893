"""API services under uWSGI."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from sandbox import network
from sandbox.process import Service
from sandbox.settings import Settings


def service(
    settings: Settings,
    name: str,
    module: str,
    *,
    processes: int = 1,
    threads: int = 1,
    wrapper: tuple[str, ...] = (),
    options: tuple[str, ...] = (),
    env: Mapping[str, str] | None = None,
) -> Service:
    """Return an HTTP service on the port of this name, ready when it answers.

    `wrapper` is put before the command; it must exec it.
    """
    argv = (
        *wrapper,
        str(settings.bin / "uwsgi"),
        "--module", module,
        "--http-socket", f"{settings.host}:{settings.ports[name]}",
        "--master",
        "--processes", str(processes),
        "--threads", str(threads),
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
