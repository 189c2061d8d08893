# SPDX-License-Identifier: Apache-2.0
"""What load balancers depend on."""

import itertools

from octavia_ovn.core.dependencies import Dependency, Resource


def test_dependencies_are_equal_if_kind_and_name_are():
    every = [Dependency(kind, name) for kind, name in itertools.product(Resource, ("a", "b"))]

    assert len(set(every)) == 2 * len(Resource)
    assert Dependency(Resource.PORT, "a") in every
