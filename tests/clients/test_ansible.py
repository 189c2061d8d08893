# SPDX-License-Identifier: Apache-2.0
"""Ansible's collection openstack.cloud: a playbook that is run again and again."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from tests.clients.northbound import differences
from tests.sandbox.waiting import until

if TYPE_CHECKING:
    from tests.clients.site import Site

_PLAYBOOK = Path(__file__).with_name("playbook.yml")
_RECAP = re.compile(r"ok=(\d+) +changed=(\d+) +unreachable=0 +failed=0")
_PARTS = 6  # load balancer, listener, pool, two members, monitor
_FIRST = {"description": "", "lb_algorithm": "SOURCE_IP_PORT", "weight": 1, "pause": 5}
_SECOND = {"description": "other", "lb_algorithm": "SOURCE_IP", "weight": 3, "pause": 7}


def test_a_playbook_changes_what_differs_and_nothing_else(site: Site, tmp_path: Path) -> None:
    def play(state: str = "present", patience: int = 50000, **variables: object) -> int:
        return _play(site, tmp_path, state=state, patience=patience, **{**_FIRST, **variables})

    assert play() > 0
    site.wait()
    first = site.rows()
    assert play() == 0
    assert differences(first, site.rows()) == []

    # What Ansible knows nothing about, somebody else sets; Ansible must leave it alone.
    _set(site, "listeners", {"allowed_cidrs": ["192.0.2.0/24"]})
    _set(site, "pools", {"session_persistence": {"type": "SOURCE_IP"}})
    until(lambda: "octavia_listener" in site.scenery.nb("list", "ACL"))
    acls = _acls(site)
    assert play(patience=600000, **_SECOND) > 0
    site.wait()
    second = site.rows()
    assert play(patience=600000, **_SECOND) == 0
    assert differences(second, site.rows()) == []
    assert _acls(site) == acls
    (pool,) = site.cloud.octavia("GET", "/pools")["pools"]
    assert pool["lb_algorithm"] == "SOURCE_IP"
    assert pool["session_persistence"]["type"] == "SOURCE_IP"

    assert play("absent") == _PARTS - 1  # the two members are one task
    assert site.scenery.left_in_nb() == {}
    assert site.scenery.left_in_neutron() == []


def _play(site: Site, folder: Path, **variables: object) -> int:
    """Run the playbook; return how many tasks have changed something."""
    names, settings = site.names(), site.settings
    members = [{"name": name, "address": names[name]} for name in ("web1", "web2")]
    access = {"auth_url": settings.endpoints["identity"], "password": settings.password}
    environment = {
        **os.environ,
        **settings.base_environment,
        "ANSIBLE_COLLECTIONS_PATH": str(settings.ansible),
        "PYTHONPATH": str(settings.ansible),
        "ANSIBLE_HOME": str(folder),
        "ANSIBLE_LOCALHOST_WARNING": "False",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "False",
    }
    done = subprocess.run(
        [
            settings.bin / "ansible-playbook",
            "--extra-vars",
            json.dumps({**access, "members": members, **variables}),
            _PLAYBOOK,
        ],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    recap = _RECAP.search(done.stdout)
    assert recap, done.stdout + done.stderr
    return int(recap[2])


def _set(site: Site, kind: str, values: dict[str, object]) -> None:
    (found,) = site.cloud.octavia("GET", f"/{kind}")[kind]
    site.cloud.octavia("PUT", f"/{kind}/{found['id']}", {kind.removesuffix("s"): values})
    site.wait()


def _acls(site: Site) -> str:
    return site.scenery.nb("--columns=match,action,priority", "find", "ACL", "action=drop")
