# SPDX-License-Identifier: Apache-2.0
"""The unit of the program on a chassis is as tight as the documentation says."""

import configparser
from pathlib import Path

import pytest

from octavia_ovn.config.statistics import COLLECTOR_OPTS

DOCS = Path(__file__).parents[2] / "docs"
UNIT = DOCS / "operators/systemd/octavia-ovn-stats.service"
HEALTH = DOCS / "operators/systemd/health.conf"


def _read(path):
    # A directive may come twice.
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read(path, encoding="utf-8")
    return parser["Service"]


@pytest.fixture(scope="module")
def service():
    return _read(UNIT)


def test_it_runs_what_is_installed_as_the_documentation_says(service):
    page = (DOCS / "operators/statistics.md").read_text(encoding="utf-8")
    program, option, config = service["ExecStart"].split()

    assert f"python3 -m venv {program.removesuffix('/bin/octavia-ovn-stats')}\n" in page
    assert option == "--config-file"
    assert f"`{config}`" in page


def test_it_writes_where_the_state_file_is_by_default(service):
    (state_file,) = (opt.default for opt in COLLECTOR_OPTS if opt.dest == "state_file")

    assert Path(state_file).parent == Path("/var/lib") / service["StateDirectory"]
    assert service["ProtectSystem"] == "strict"


@pytest.mark.parametrize("directive", ["CapabilityBoundingSet", "AmbientCapabilities"])
def test_it_has_no_capabilities(service, directive):
    assert service[directive] == ""


def test_nothing_else_that_it_could_do_without_is_allowed(service):
    for name, value in service.items():
        if name.startswith(("Protect", "Private", "NoNew", "Lock", "RestrictSUID", "RestrictReal")):
            assert value in {"yes", "strict", "invisible"}, name
    assert service["RestrictAddressFamilies"].split() == ["AF_UNIX", "AF_INET", "AF_INET6"]


def test_health_checks_have_the_capabilities_that_the_documentation_names(service):
    health = _read(HEALTH)
    page = (DOCS / "operators/health-checks.md").read_text(encoding="utf-8")

    assert health["CapabilityBoundingSet"].split() == sorted(
        ["CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_SYS_ADMIN"]
    )
    for each in health["CapabilityBoundingSet"].split():
        assert each in page
    program = health["ExecStart"].split()
    assert program[0].endswith("/octavia-ovn-chassis")
    assert program[1:] == service["ExecStart"].split()[1:]


def test_health_checks_have_no_mounts_of_their_own(service):
    """What gives a service a mount namespace hides the namespaces that it makes from the host."""
    health = _read(HEALTH)
    harmless = {"ProtectClock"}
    mounts = [each for each in service if each.startswith(("Protect", "Private"))]

    assert {each for each in mounts if health.get(each) not in {"no", "default"}} == harmless
