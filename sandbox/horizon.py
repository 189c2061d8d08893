# SPDX-License-Identifier: Apache-2.0
"""Horizon with octavia-dashboard, and a tour through it in a browser that has no window."""

from __future__ import annotations

import re
import shutil
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox import network, ovn, shell
from sandbox.demo import LOAD_BALANCER, SERVERS, Demo
from sandbox.process import Service
from sandbox.settings import python_version

if TYPE_CHECKING:
    from sandbox.api import Json
    from sandbox.console import Console
    from sandbox.settings import Settings
    from sandbox.stack import Stack

_TOUR = Path(__file__).with_name("horizon_tour.py")
_DESCRIPTION = re.compile(r'^DESCRIPTION = "(.*)"$', re.MULTILINE)
_AFTER_THE_OTHERS = 4
"""Ports of a sandbox's other services, and of programs that its tests start, are before it."""
_DJANGO = {"DJANGO_SETTINGS_MODULE": "openstack_dashboard.settings"}
_MANAGE = "import sys; from django.core.management import execute_from_command_line as manage"
_LOCAL_SETTINGS = """\
ALLOWED_HOSTS = ["*"]
CACHES = {{"default": {{"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}}}
COMPRESS_OFFLINE = True
DEBUG = False
OPENSTACK_KEYSTONE_URL = "{keystone}"
SECRET_KEY = "{secret}"
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
STATIC_ROOT = "{static}"
WEBROOT = "/"
"""


class Dashboard(Demo):
    """The story of a load balancer that a user creates and edits in Horizon.

    :param pictures: the folder that gets a picture of each dialog
    """

    def __init__(self, stack: Stack, pictures: Path) -> None:
        super().__init__(stack)
        self._pictures = pictures

    def tell(self) -> None:
        """Tell everything."""
        self._make_networks()
        self._make_guests()
        self._start_horizon()
        lb = self._create()
        self._edit(lb)
        answers = self._ask("near", lb["vip_address"], SERVERS)
        one = not answers[""] and len(+answers) == 1
        self._verify(one, "one server answers all requests of a client, as SOURCE_IP has it")

    def _start_horizon(self) -> None:
        settings = self._stack.settings
        self._title(
            "Horizon",
            "The dashboard of OpenStack with the panel of Octavia, as PyPI has them.",
            f"an answer at {_url(settings)}.",
        )
        _configure(settings)
        service = _service(settings)
        self._stack.supervisor.start(service)
        self._stack.supervisor.wait(service)
        self._verify(network.http_answers(_url(settings)), f"{_url(settings)} answers")

    def _create(self) -> Json:
        self._title(
            "The wizard",
            "Chromium creates a load balancer with listener, pool, both servers and a health"
            " monitor. The dashboard creates its parts one after the other.",
            f"pictures of the steps in {self._pictures}.",
        )
        self._pictures.mkdir(parents=True, exist_ok=True)
        self._tour("create", *(self._stack.guests.get(name).address() for name in SERVERS))
        (lb,) = self._cloud.octavia("GET", f"/loadbalancers?name={LOAD_BALANCER}")["loadbalancers"]
        self._verify(lb["provider"] == "ovn", "its provider is ovn")
        self._until(partial(self._is_complete, lb["id"]), "all of it is there", seconds=120)
        return dict(lb)

    def _is_complete(self, lb_id: str) -> bool:
        """Whether the dashboard has created everything, and all of it is ONLINE."""
        lb = self._cloud.load_balancer(lb_id) or {}
        pools = self._cloud.octavia("GET", f"/pools?loadbalancer_id={lb_id}")["pools"]
        return (
            (lb["provisioning_status"], lb["operating_status"]) == ("ACTIVE", "ONLINE")
            and [len(pool["members"]) for pool in pools] == [len(SERVERS)]
            and bool(pools[0].get("healthmonitor_id"))
        )

    def _edit(self, lb: Json) -> None:
        self._title(
            "The dialogs",
            "Chromium edits the load balancer and its pool.",
            "Octavia and OVN have what the dialogs were given.",
        )
        self._tour("edit")
        for picture in sorted(self._pictures.glob("*.png")):
            self._note(f"{picture.name}: {picture.stat().st_size // 1024} KiB")
        now = self._cloud.wait_for(lb["id"])
        (pool,) = self._cloud.octavia("GET", f"/pools?loadbalancer_id={lb['id']}")["pools"]
        given = _DESCRIPTION.search(_TOUR.read_text())
        self._verify(given and now["description"] == given[1], f"{now['description']!r}")
        self._verify(pool["lb_algorithm"] == "SOURCE_IP", "the algorithm is SOURCE_IP")
        self._run(self._ours(f"check --loadbalancer {lb['id']}"))
        ovn.sync(self._stack.settings)

    def _tour(self, chapter: str, *members: str) -> None:
        settings = self._stack.settings
        python = settings.dashboard / "bin" / "python"
        words = (_TOUR, _url(settings), settings.password, self._pictures, chapter, *members)
        shell.run([python, *words], env=settings.base_environment, timeout=600)


def collect(settings: Settings, console: Console) -> None:
    """Collect and compress what browsers load, once after the installation."""
    mark = _static(settings) / "collected"
    if mark.exists():
        return
    _configure(settings)
    for words in (("collectstatic", "--noinput", "-v0"), ("compress", "--force")):
        code = f"{_MANAGE}; manage(['manage', *sys.argv[1:]])"
        command = [settings.dashboard / "bin" / "python", "-c", code, *words]
        shell.run(command, env={**settings.base_environment, **_DJANGO}, timeout=1200)
    mark.touch()
    console.done("files of the dashboard")


def _configure(settings: Settings) -> None:
    """Write Horizon's settings, and those of the panel."""
    library = settings.dashboard / "lib" / f"python{python_version()}" / "site-packages"
    local = library / "openstack_dashboard" / "local"
    for folder in ("enabled", "local_settings.d"):
        for file in (library / "octavia_dashboard" / folder).glob("_*_*.py"):
            shutil.copy(file, local / folder)
    text = _LOCAL_SETTINGS.format(
        keystone=settings.endpoints["identity"],
        secret=settings.password,
        static=_static(settings),
    )
    (local / "local_settings.py").write_text(text)


def _service(settings: Settings) -> Service:
    return Service(
        name="horizon",
        argv=(
            str(settings.bin / "uwsgi"),
            "--virtualenv", str(settings.dashboard),
            "--module", "openstack_dashboard.wsgi",
            "--static-map", f"/static={_static(settings)}",
            "--http-socket", _url(settings).removeprefix("http://"),
            "--threads", "8",
            "--need-app",
            "--die-on-term",
            "--buffer-size", "65535",
        ),
        env=settings.base_environment,
        ready=partial(network.http_answers, f"{_url(settings)}/auth/login/"),
    )  # fmt: skip


def _static(settings: Settings) -> Path:
    return settings.dashboard / "static"


def _url(settings: Settings) -> str:
    port = max(settings.ports.values()) + _AFTER_THE_OTHERS
    return f"http://{settings.host}:{port}"
