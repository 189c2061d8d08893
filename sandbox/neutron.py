# SPDX-License-Identifier: Apache-2.0
"""Neutron: the API with ML2/OVN, and the worker that repairs OVN for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox import database, ini, keystone, ovn, wsgi
from sandbox.process import Service

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.settings import Settings

_QUOTAS = (
    "network",
    "subnet",
    "port",
    "router",
    "floatingip",
    "security_group",
    "security_group_rule",
)


def configure(settings: Settings) -> None:
    """Write neutron.conf and ml2_conf.ini."""
    ini.write(
        settings.etc / "neutron.conf",
        {
            "DEFAULT": {
                "use_stderr": True,
                "core_plugin": "ml2",
                "service_plugins": "ovn-router,qos",
                "transport_url": "fake://",
                "host": ovn.CHASSIS,
                "state_path": settings.run,
                "api_paste_config": settings.venv / "etc/neutron/api-paste.ini",
                "notify_nova_on_port_status_changes": False,
                "notify_nova_on_port_data_changes": False,
                "rpc_workers": 0,
            },
            "database": {"connection": database.url(settings, "neutron")},
            "keystone_authtoken": keystone.credentials(settings, "neutron"),
            "oslo_concurrency": {"lock_path": settings.run / "lock"},
            "oslo_messaging_notifications": {"driver": "noop"},
            "quotas": {f"quota_{name}": -1 for name in _QUOTAS},
        },
    )
    ini.write(
        settings.etc / "ml2_conf.ini",
        {
            "ml2": {
                "type_drivers": "local,flat,vlan,geneve",
                "project_network_types": "geneve",
                "mechanism_drivers": "ovn",
                "extension_drivers": "port_security,qos",
                "overlay_ip_version": 4,
            },
            "ml2_type_flat": {"flat_networks": "*"},
            "ml2_type_geneve": {"vni_ranges": "1:65536", "max_header_size": 38},
            "securitygroup": {"enable_security_group": True},
            "ovn": {
                "ovn_nb_connection": settings.nb,
                "ovn_sb_connection": settings.sb,
                "ovn_l3_scheduler": "leastloaded",
                "ovn_metadata_enabled": False,
                "enable_distributed_floating_ip": True,
            },
        },
    )


def services(settings: Settings) -> tuple[Service, Service]:
    """Return the API and the maintenance worker."""
    api = wsgi.service(
        settings,
        "neutron",
        "neutron.wsgi.api:application",
        options=("--processes", "2"),
        env={
            "OS_NEUTRON_CONFIG_DIR": str(settings.etc),
            "OS_NEUTRON_CONFIG_FILES": "neutron.conf;ml2_conf.ini",
        },
    )
    worker = Service(
        name="neutron-maintenance",
        argv=(str(settings.bin / "neutron-ovn-maintenance-worker"), *_files(settings)),
        env=settings.base_environment,
        ready=lambda: True,  # Nothing depends on it.
    )
    return api, worker


def migrations(settings: Settings) -> tuple[tuple[str, ...], ...]:
    """Return the commands that fill the empty database."""
    return ((str(settings.bin / "neutron-db-manage"), *_files(settings), "upgrade", "heads"),)


def _files(settings: Settings) -> tuple[str, ...]:
    files: list[Path] = [settings.etc / "neutron.conf", settings.etc / "ml2_conf.ini"]
    return tuple(word for file in files for word in ("--config-file", str(file)))
