# SPDX-License-Identifier: Apache-2.0
"""What load balancers depend on."""

import itertools

import pytest

from octavia_ovn.core.dependencies import Dependency, Resource
from octavia_ovn.core.health import SwitchPort


def test_dependencies_are_equal_if_kind_and_name_are():
    every = [Dependency(kind, name) for kind, name in itertools.product(Resource, ("a", "b"))]

    assert len(set(every)) == 2 * len(Resource)
    assert Dependency(Resource.PORT, "a") in every


@pytest.mark.parametrize("probe_source_of", [None, "sub2"])
@pytest.mark.parametrize("source_of", [None, "sub1"])
def test_what_depends_on_a_switch_port(source_of, probe_source_of):
    port = SwitchPort(
        "port",
        ("10.0.0.1", "fd00::1"),
        source_of,
        False,
        "project",
        up=True,
        virtual=False,
        probe_source_of=probe_source_of,
    )

    backends = [Dependency(Resource.BACKEND, each) for each in port.addresses]
    monitored = [Dependency(Resource.MONITORED, source_of)] if source_of else []
    probed = [Dependency(Resource.PROBED, probe_source_of)] if probe_source_of else []
    assert list(port.dependencies()) == backends + monitored + probed
