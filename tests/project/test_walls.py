# SPDX-License-Identifier: Apache-2.0
"""Each format is read and written in one place, as is each mechanism."""

import re
from pathlib import Path

import pytest

import octavia_ovn

PACKAGE = Path(octavia_ovn.__file__).parent
CODEC = "core/codec/"
WALLS = {
    "strings are taken apart": (
        re.compile(r"\.r?split\(|\bjson\.loads?\(|JSONDecoder\("),
        {
            CODEC: "the row format, and Neutron's marks on rows",
            "core/desired/responder.py": "the row format of responders",
            "core/diagnosis/checks.py": "OVN's column Logical_Switch_Port.addresses",
            "core/flavors.py": "what an operator writes into a flavor",
            "core/probing/messages.py": "lines between the agent and the program on a chassis",
            "core/probing/spec.py": "the list of HTTP status codes that a tenant expects",
            "core/statistics/messages.py": "datagrams from collectors",
            "adapters/ovsdb/wire.py": "messages of OVSDB",
            "adapters/ovsdb/endpoint.py": "the names of OVSDB servers",
            "adapters/octavia/sockets.py": "messages of octavia-driver-agent",
            "adapters/octavia/in_process.py": "copies of the same messages",
            "adapters/statistics/state_file.py": "the collector's own file",
            "cli/picture.py": "lines and styles on a terminal",
        },
    ),
    "Neutron's marks are spelled": (
        re.compile(r"""["'](neutron[:_]|ovn-lb-(vip|hm)|network:distributed)"""),
        {CODEC: "the row format, and Neutron's marks on rows"},
    ),
    "back-off is computed": (
        re.compile(r"2(\.0)? \*\* (max|min)\(|\*= ?2\b"),
        {"core/backoff.py": "the only place"},
    ),
    "transactions of the ovs library are made": (
        re.compile(r"\bovs\.db\.idl\.Transaction\("),
        {"adapters/ovsdb/replica.py": "the only place"},
    ),
}


def places(pattern):
    """The modules that match, relative to the package."""
    return {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if pattern.search(path.read_text())
    }


@pytest.mark.parametrize("wall", WALLS)
def test_what_has_one_place_is_nowhere_else(wall):
    pattern, allowed = WALLS[wall]
    assert {each for each in places(pattern) if not each.startswith(tuple(allowed))} == set()


@pytest.mark.parametrize("wall", WALLS)
def test_no_exception_is_out_of_date(wall):
    pattern, allowed = WALLS[wall]
    found = places(pattern)
    assert {each for each in allowed if not any(at.startswith(each) for at in found)} == set()
