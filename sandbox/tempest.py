# SPDX-License-Identifier: Apache-2.0
"""Octavia's own API tests (octavia-tempest-plugin) against the sandbox's provider.

No machine boots here, so `nova` and `glance` are pretended: the API tests only ask whether they
exist. What the provider answers with 501 becomes a skip, and every skip is listed by its reason.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import re
import subprocess
from typing import TYPE_CHECKING

from sandbox import ini, octavia
from sandbox.api import ApiError
from sandbox.settings import PROJECT, python_version

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from sandbox.api import Cloud
    from sandbox.settings import Settings
    from sandbox.stack import Stack

TESTS = "octavia_tempest_plugin.tests.api.v2"
CONCURRENCY = 2
_VERSIONS = {"IPv6": True, "IPv4": False}
_NETWORK = "tempest-public"
_RESULTS = PROJECT / "sandbox" / "subunit_results.py"
# One class after the other in one worker, for its networks are made once.
_GROUP = r"([^\.]*\.)*"

_HEAD = """\
# Octavia's API tests{title}

`{command}` writes this page, here with OVN {ovn}.
It runs the API tests of octavia-tempest-plugin with provider `ovn` against the sandbox: once with
VIPs by IPv6, once with VIPs by IPv4 (`test_with_ipv6`), because members of the other IP version are
refused. A test that requests an unsupported option gets HTTP 501 with the reason, and counts as
skipped. A class whose set-up is refused counts as one test. "Either" counts a test as passed that
passes in one of the runs, and as failed that fails in one.
"""


@dataclasses.dataclass(frozen=True)
class Result:
    """What became of one test."""

    test: str
    """Class and method, without the packages and the id that all have."""
    status: str
    """success, skip, fail, or what else subunit says."""
    reason: str
    """Why it was skipped."""
    details: str
    """What it said when it failed."""


@dataclasses.dataclass(frozen=True)
class Results:
    """What became of all tests."""

    all: Sequence[Result]

    @property
    def summary(self) -> str:
        """The numbers."""
        return (
            f"{len(self.with_status('success'))} passed, {len(self.with_status('skip'))} skipped,"
            f" {len(self.failures)} failed"
        )

    def with_status(self, status: str) -> list[Result]:
        """Return those that ended so."""
        return [result for result in self.all if result.status == status]

    @property
    def failures(self) -> list[Result]:
        """Those that neither passed nor were skipped."""
        return [result for result in self.all if result.status not in {"success", "skip"}]

    def skips(self) -> list[tuple[str, list[str]]]:
        """Return each reason with its tests, the most frequent first."""
        tests: dict[str, list[str]] = collections.defaultdict(list)
        for result in self.with_status("skip"):
            tests[result.reason].append(result.test)
        return sorted(
            ((reason, sorted(names)) for reason, names in tests.items()),
            key=lambda pair: (-len(pair[1]), pair[0]),
        )


@dataclasses.dataclass(frozen=True)
class Runs:
    """All tests, run with VIPs of each IP version."""

    by_version: Mapping[str, Results]

    @property
    def either(self) -> Results:
        """Each test with its better result; one that fails once has failed."""
        found: dict[str, Result] = {}
        for results in self.by_version.values():
            for result in results.all:
                known = found.get(result.test, result)
                found[result.test] = max(known, result, key=lambda each: _rank(each.status))
        return Results(list(found.values()))


def _rank(status: str) -> int:
    return {"skip": 0, "success": 1}.get(status, 2)


def run(stack: Stack, *, tests: str = TESTS, concurrency: int = CONCURRENCY) -> Runs:
    """Run the tests whose names match; progress goes to the terminal."""
    settings = stack.settings
    folder = settings.state / "tempest"
    folder.mkdir(parents=True, exist_ok=True)
    done = {}
    for version, ipv6 in _VERSIONS.items():
        stack.console.say(f"Tests with VIPs by {version}:")
        _configure(stack, folder, ipv6=ipv6)
        done[version] = _run(settings, folder, tests, concurrency)
    return Runs(done)


def _run(settings: Settings, folder: Path, tests: str, concurrency: int) -> Results:
    environment = {
        **settings.base_environment,
        "TEMPEST_CONFIG_DIR": str(folder),
        "TEMPEST_CONFIG": "tempest.conf",
    }
    command = [str(settings.bin / "stestr"), "run", "--concurrency", f"{concurrency}", tests]
    subprocess.run(command, cwd=folder, env=environment, check=False, stdin=subprocess.DEVNULL)
    return _last(settings, folder)


def _last(settings: Settings, folder: Path) -> Results:
    """Return the results that stestr has kept of its last run."""
    environment = settings.base_environment
    stream = subprocess.run(
        [settings.bin / "stestr", "last", "--subunit"], cwd=folder, env=environment, check=False,
        capture_output=True,
    ).stdout  # fmt: skip
    decoded = subprocess.run(
        [settings.bin / "python", _RESULTS], input=stream, env=environment, check=True,
        capture_output=True,
    ).stdout  # fmt: skip
    return Results([_result(each) for each in json.loads(decoded)])


_USUAL = {"title": "", "command": "make tempest"}
_WITH_HEALTH = {
    "title": ", with health checks on the chassis",
    "command": "python3 -m sandbox tempest --health --report docs/reference/tempest-health.md",
}


def report(runs: Runs, *, ovn: str, health: bool = False) -> str:
    """Return docs/reference/tempest.md, or tempest-health.md.

    :param ovn: its version
    :param health: whether octavia-ovn-chassis checked members
    """
    results = runs.either
    columns = (*runs.by_version.values(), results)
    heads = [*(f"VIPs by {version}" for version in runs.by_version), "either"]
    lines = [
        _HEAD.format(ovn=ovn, **(_WITH_HEALTH if health else _USUAL)),
        _row("", *heads),
        _row("---", *("---:" for _ in heads)),
        _row("passed", *(len(each.with_status("success")) for each in columns)),
        _row("skipped", *(len(each.with_status("skip")) for each in columns)),
        _row("failed", *(len(each.failures) for each in columns)),
        "",
    ]
    if results.failures:
        lines += ["## Failed", "", *(f"* `{each.test}`" for each in results.failures), ""]
    lines += ["## Skipped, by reason", "", "| tests | reason |", "| ---: | --- |"]
    lines += [f"| {len(tests)} | {_cell(reason)} |" for reason, tests in results.skips()]
    lines += ["", "## Skipped, by name"]
    for reason, tests in results.skips():
        lines += ["", f"### {_cell(reason)}", "", *(f"* `{test}`" for test in tests)]
    return "\n".join(lines) + "\n"


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


# --- before --------------------------------------------------------------------------------


def _configure(stack: Stack, folder: Path, *, ipv6: bool) -> None:
    settings = stack.settings
    site = settings.venv / "lib" / f"python{python_version()}" / "site-packages"
    discover = site / "tempest" / "test_discover"
    stestr = {"test_path": discover, "top_dir": site, "group_regex": _GROUP}
    ini.write(folder / ".stestr.conf", {"DEFAULT": stestr})
    cloud = stack.cloud()
    public = _public_network(stack)
    intervals = {
        f"{name}{what}": value
        for name in ("build_", "check_", "lb_build_")
        for what, value in (("interval", 0.2), ("timeout", 60))
    }
    described = {
        each["name"]: each["description"]
        for each in cloud.octavia("GET", "/providers")["providers"]
    }
    ini.write(
        folder / "tempest.conf",
        {
            "DEFAULT": {"log_file": settings.log / "tempest.log"},
            "auth": {
                "admin_username": "admin",
                "admin_password": settings.password,
                "admin_project_name": "admin",
                "admin_domain_name": "Default",
                "create_isolated_networks": False,
                "tempest_roles": "member",
            },
            "identity": {
                "uri_v3": settings.endpoints["identity"],
                "auth_version": "v3",
                "region": "RegionOne",
                "v3_endpoint_type": "public",
            },
            "service_available": {
                "neutron": True,
                "nova": True,
                "glance": True,
                "cinder": False,
                "swift": False,
                "load_balancer": True,
            },
            "network": {"public_network_id": public, "floating_network_name": _NETWORK},
            "network-feature-enabled": {"ipv6": True, "port_security": True},
            "validation": {"run_validation": False},
            "oslo_concurrency": {"lock_path": folder / "locks"},
            "load_balancer": {
                "provider": octavia.PROVIDER,
                "enabled_provider_drivers": ",".join(f"{k}:{v}" for k, v in described.items()),
                "RBAC_test_type": "keystone_default_roles",
                "test_with_ipv6": ipv6,
                "expected_flavor_capability": _capability(cloud, "flavor"),
                "expected_availability_zone_capability": _capability(cloud, "availability_zone"),
                "default_router": "",
                # The members of the tests have addresses there, and OVN must know their subnets.
                "vip_subnet_cidr": "192.0.0.0/16",
                "vip_ipv6_subnet_cidr": "2001:db8::/64",
                **intervals,
            },
            "loadbalancer-feature-enabled": {
                "health_monitor_enabled": True,
                "l4_protocol": "TCP",
                # Tests of everything else run too, and the driver's answer is their reason.
                "not_implemented_is_error": False,
            },
        },
    )


def _capability(cloud: Cloud, kind: str) -> str:
    """Return one key of profiles with its description, empty for a provider that has none."""
    try:
        listed = cloud.octavia("GET", f"/providers/{octavia.PROVIDER}/{kind}_capabilities")
    except ApiError:
        return ""
    # A comma would begin another pair.
    fitting = (each for each in listed[f"{kind}_capabilities"] if "," not in each["description"])
    return next((f"{each['name']}:{each['description']}" for each in fitting), "")


def _public_network(stack: Stack) -> str:
    cloud = stack.cloud()
    found = cloud.neutron("networks", name=_NETWORK)
    external = {"router:external": True}
    return str((found or [cloud.create("network", name=_NETWORK, **external)])[0]["id"])


# --- after ---------------------------------------------------------------------------------


def _result(raw: dict[str, str]) -> Result:
    return Result(
        test=_short(raw["id"]),
        status=raw["status"],
        reason=_reason(raw["reason"]),
        details=raw["details"],
    )


def _short(test: str) -> str:
    return re.sub(r"\[.*\]$", "", test.removeprefix(f"{TESTS}."))


def _reason(text: str) -> str:
    return " ".join(text.split())


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
