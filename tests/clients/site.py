# SPDX-License-Identifier: Apache-2.0
"""The cloud that the clients of these tests see, and short ways to look at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.clients import northbound
from tests.sandbox.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.api import Cloud, Json
    from sandbox.settings import Settings
    from tests.clients.northbound import Rows
    from tests.sandbox.scenery import Scenery


class Site:
    """Networks, two servers, Octavia."""

    def __init__(self, scenery: Scenery) -> None:
        """Use the scenery of the sandbox's tests."""
        self.scenery = scenery
        self.cloud: Cloud = scenery.cloud
        self.settings: Settings = scenery.stack.settings

    def names(self) -> dict[str, str]:
        """Return the ids and addresses that requests mention, by the names in tables and data."""
        web1, web2 = (self.scenery.stack.guests.get(name) for name in ("web1", "web2"))
        (subnet,) = self.cloud.neutron("subnets", id=self.scenery.web)
        return {
            "subnet": self.scenery.web,
            "network": subnet["network_id"],
            "public": self.scenery.public,
            "project": self.cloud.project_id,
            "web1": web1.address(),
            "web2": web2.address(),
        }

    def rows(self) -> Rows:
        """Return what NB holds, once nothing is pending."""
        return northbound.rows(self.settings)

    def wait(self) -> None:
        """Wait until all load balancers and their parts are ACTIVE; AssertionError on ERROR."""
        until(self._all_active, seconds=60)

    def _all_active(self) -> bool:
        lbs = self.cloud.octavia("GET", "/loadbalancers")["loadbalancers"]
        if any(lb["provisioning_status"] == "PENDING_DELETE" for lb in lbs):
            return False
        for lb in lbs:
            tree = self.cloud.octavia("GET", f"/loadbalancers/{lb['id']}/status")["statuses"]
            statuses = set(_statuses(tree))
            assert "ERROR" not in statuses, tree
            if statuses != {"ACTIVE"}:
                return False
        return True


def _statuses(tree: object) -> Iterator[str]:
    if isinstance(tree, list):
        for each in tree:
            yield from _statuses(each)
    elif isinstance(tree, dict):
        if "provisioning_status" in tree:
            yield tree["provisioning_status"]
        for value in tree.values():
            yield from _statuses(value)


def shown(site: Site, path: str) -> Json:
    """Return an object of Octavia, without the name of its kind around it."""
    (found,) = site.cloud.octavia("GET", path).values()
    return dict(found)
