# SPDX-License-Identifier: Apache-2.0
"""Keystone: configuration, users, roles, catalogue."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING, Any

from sandbox import database, ini, wsgi
from sandbox.api import Cloud

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.process import Service
    from sandbox.settings import Settings

SERVICE_USERS = ("neutron", "octavia")
_ROLES = (
    "admin",
    "member",
    "reader",
    "service",
    "load-balancer_admin",
    "load-balancer_global_observer",
    "load-balancer_member",
    "load-balancer_observer",
    "load-balancer_quota_admin",
)
_CATALOGUE = {"neutron": "network", "octavia": "load-balancer"}
_KEY_BYTES = 32


def configure(settings: Settings) -> None:
    """Write keystone.conf and the keys."""
    for keys in ("fernet-keys", "credential-keys"):
        _write_keys(settings.etc / keys)
    ini.write(
        _conf(settings),
        {
            "DEFAULT": {"use_stderr": True},
            "database": {"connection": database.url(settings, "keystone")},
            "token": {"provider": "fernet", "expiration": 86400},
            "fernet_tokens": {"key_repository": settings.etc / "fernet-keys"},
            "fernet_receipts": {"key_repository": settings.etc / "fernet-keys"},
            "credential": {"key_repository": settings.etc / "credential-keys"},
            # Passwords are no secret here, and each of Neutron's and Octavia's logins pays.
            "identity": {"password_hash_rounds": 4},
            "cache": {"enabled": True, "backend": "oslo_cache.dict"},
        },
    )


def service(settings: Settings) -> Service:
    """Return the API."""
    return wsgi.service(
        settings,
        "keystone",
        "keystone.wsgi.api:application",
        options=("--threads", "4"),
        env={"OS_KEYSTONE_CONFIG_FILES": str(_conf(settings))},
    )


def migrations(settings: Settings) -> tuple[tuple[str, ...], ...]:
    """Return the commands, to be run one after the other, that fill the empty database."""
    manage = (str(settings.bin / "keystone-manage"), "--config-file", str(_conf(settings)))
    url = settings.endpoints["identity"]
    bootstrap = (
        *manage, "bootstrap",
        "--bootstrap-password", settings.password,
        "--bootstrap-region-id", "RegionOne",
        "--bootstrap-public-url", url,
        "--bootstrap-internal-url", url,
        "--bootstrap-admin-url", url,
    )  # fmt: skip
    return (*manage, "db_sync"), bootstrap


def credentials(settings: Settings, user: str) -> dict[str, object]:
    """Return the options with which a service logs in."""
    return {
        "auth_type": "password",
        "auth_url": settings.endpoints["identity"],
        "www_authenticate_uri": settings.url("keystone"),
        "username": user,
        "password": settings.password,
        "project_name": "service",
        "user_domain_id": "default",
        "project_domain_id": "default",
        "region_name": "RegionOne",
    }


def populate(settings: Settings) -> None:
    """Make the service users, the roles and the catalogue of the other services.

    Over HTTP: the command line takes more than a second a call.
    """
    cloud = Cloud(settings)
    roles = {name: _ensure(cloud, "role", name, {})["id"] for name in _ROLES}
    domain = {"domain_id": "default"}
    project = _ensure(cloud, "project", "service", domain)["id"]
    for name in SERVICE_USERS:
        user = _ensure(cloud, "user", name, {**domain, "password": settings.password})["id"]
        for role in ("admin", "service"):
            path = f"/projects/{project}/users/{user}/roles/{roles[role]}"
            cloud.request("identity", "PUT", path)
    for role in ("load-balancer_admin", "load-balancer_member"):
        path = f"/projects/{cloud.project_id}/users/{cloud.user_id}/roles/{roles[role]}"
        cloud.request("identity", "PUT", path)
    for name, kind in _CATALOGUE.items():
        service_id = _ensure(cloud, "service", name, {"type": kind})["id"]
        for interface in ("public", "internal", "admin"):
            endpoint = {
                "service_id": service_id,
                "interface": interface,
                "url": settings.endpoints[kind],
                "region_id": "RegionOne",
            }
            cloud.request("identity", "POST", "/endpoints", {"endpoint": endpoint})


def set_endpoints(settings: Settings) -> None:
    """Write this sandbox's addresses over those in a cached database."""
    database.sql(
        settings,
        "".join(
            f"UPDATE keystone.endpoint e JOIN keystone.service s ON e.service_id = s.id "
            f"SET e.url = '{url}' WHERE s.type = '{kind}';"
            for kind, url in settings.endpoints.items()
        ),
    )


def _conf(settings: Settings) -> Path:
    return settings.etc / "keystone.conf"


def _ensure(cloud: Cloud, kind: str, name: str, values: dict[str, str]) -> dict[str, Any]:
    """Find the object of a kind by name, or make it."""
    found: list[dict[str, Any]] = cloud.get("identity", f"/{kind}s?name={name}")[f"{kind}s"]
    if found:
        return found[0]
    made: dict[str, Any] = cloud.post("identity", f"/{kind}s", {kind: {"name": name, **values}})
    return made[kind]  # type: ignore[no-any-return]


def _write_keys(folder: Path) -> None:
    """Write two Fernet keys, as keystone-manage would in three seconds a call."""
    folder.mkdir(mode=0o700, exist_ok=True)
    for number in ("0", "1"):
        (folder / number).write_bytes(base64.urlsafe_b64encode(os.urandom(_KEY_BYTES)))
        (folder / number).chmod(0o600)
