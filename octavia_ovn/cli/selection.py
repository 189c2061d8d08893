# SPDX-License-Identifier: Apache-2.0
"""Selection of load balancers on the command line."""

from __future__ import annotations

from collections.abc import Iterable

from octavia_ovn.core.listed import Listed


class Selection:
    """Selects load balancers by id and project; everything when neither is given.

    :param lb_ids: ids of load balancers
    :param project_ids: ids of projects
    """

    def __init__(self, lb_ids: Iterable[str] = (), project_ids: Iterable[str] = ()) -> None:
        self._lb_ids = frozenset(lb_ids)
        self._project_ids = frozenset(project_ids)
        self._seen: set[str] = set()
        self._seen_projects: set[str | None] = set()

    @property
    def is_by_id(self) -> bool:
        """Whether single load balancers are selected, which are compared in more depth."""
        return bool(self._lb_ids)

    def __call__(self, listed: Listed) -> bool:
        """Whether a load balancer is selected."""
        self._seen.add(listed.id)
        self._seen_projects.add(listed.project_id)
        if self._lb_ids and listed.id not in self._lb_ids:
            return False
        return not self._project_ids or listed.project_id in self._project_ids

    @property
    def unknown(self) -> frozenset[str]:
        """The selected ids that Octavia does not list."""
        return self._lb_ids - self._seen

    @property
    def empty_projects(self) -> frozenset[str]:
        """The selected projects of which Octavia lists no load balancer."""
        return self._project_ids - self._seen_projects
