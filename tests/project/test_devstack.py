# SPDX-License-Identifier: Apache-2.0
"""The DevStack plugin, in a stand-in for stack.sh: what it installs, writes and refuses.

A whole DevStack was not tried; what its functions do is known from its sources only.
"""

import configparser
import os
import subprocess
from pathlib import Path

import pytest
from oslo_config import cfg

from octavia_ovn.config import octavia

PROJECT = Path(__file__).parents[2]
PHASES = ("pre-install", "install", "post-config", "extra", "test-config")
CONTROLLER = "mysql rabbit o-api o-da o-hk"
# What stack.sh and its libraries define; is_service_enabled knows the services by their exact name.
STACK_SH = """
set -eu
is_service_enabled() { [[ " $ENABLED " == *" $1 "* ]]; }
echo_summary() { echo "summary: $*"; }
setup_develop() { echo "setup_develop: $*"; }
ipv6_unquote() { echo "$1" | tr -d '[]'; }
die() { shift; echo "die: $*"; exit 1; }
iniset() { printf '%s\\0' "$@" >> "$WRITTEN"; }
source "$PLUGIN/settings"
for phase in $PHASES; do
    source "$PLUGIN/plugin.sh" stack "$phase"
done
source "$PLUGIN/plugin.sh" unstack
source "$PLUGIN/plugin.sh" clean
"""


class Stack:
    """A run of stack.sh."""

    def __init__(self, directory):
        self.conf = directory / "octavia.conf"
        self.conf.touch()
        self._written = directory / "written"
        self._written.touch()

    def run(self, services=CONTROLLER, phases=PHASES, **variables):
        """Run it; return its output."""
        environment = {
            "PATH": os.environ["PATH"],
            "PLUGIN": str(PROJECT / "devstack"),
            "WRITTEN": str(self._written),
            "ENABLED": services,
            "PHASES": " ".join(phases),
            "DEST": "/opt/stack",
            "SERVICE_HOST": "192.0.2.1",
            "OCTAVIA_CONF": str(self.conf),
        }
        run = subprocess.run(
            ["bash", "-c", STACK_SH],
            env=environment | variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.stderr == ""
        assert run.returncode == (1 if "die:" in run.stdout else 0)
        return run.stdout.splitlines()

    def options(self):
        """What it has written, by section and option."""
        words = self._written.read_text(encoding="utf-8").split("\0")[:-1]
        options = {}
        for file, section, option, value in zip(*[iter(words)] * 4, strict=True):
            assert file == str(self.conf)
            options[section, option] = value
        return options

    def settings(self):
        """What the driver makes of it."""
        parser = configparser.ConfigParser(interpolation=None)
        for (section, option), value in self.options().items():
            if not parser.has_section(section):
                parser.add_section(section)
            parser.set(section, option, value)
        with self.conf.open("w", encoding="utf-8") as file:
            parser.write(file)
        conf = cfg.ConfigOpts()
        conf(args=[], project="octavia", default_config_files=[str(self.conf)])
        return octavia.load(conf)


@pytest.fixture
def stack(tmp_path):
    return Stack(tmp_path)


def test_installs_and_configures_a_controller(stack):
    output = stack.run()

    assert output == [
        "summary: Installing octavia-ovn",
        "setup_develop: /opt/stack/octavia-ovn",
        "summary: Configuring octavia-ovn",
    ]
    assert stack.options() == {
        (
            "api_settings",
            "enabled_provider_drivers",
        ): "amphora:The Octavia Amphora driver,ovn:OVN load balancers",
        ("driver_agent", "enabled_provider_agents"): "ovn",
        ("ovn", "ovn_nb_connection"): "tcp:192.0.2.1:6641",
        ("ovn", "ovn_sb_connection"): "tcp:192.0.2.1:6642",
    }
    settings = stack.settings()
    assert settings.nb.connections == ("tcp:192.0.2.1:6641",)
    assert settings.sb.connections == ("tcp:192.0.2.1:6642",)


def test_tls_and_metrics(stack):
    output = stack.run(
        CONTROLLER + " tls-proxy",
        SERVICE_HOST="[2001:db8::1]",
        INT_CA_DIR="/ca",
        DEVSTACK_CERT_NAME="devstack-cert",
        OCTAVIA_OVN_METRICS_PORT="9478",
    )

    assert "setup_develop: /opt/stack/octavia-ovn metrics" in output
    settings = stack.settings()
    for database, port in ((settings.nb, 6641), (settings.sb, 6642)):
        assert database.connections == (f"ssl:[2001:db8::1]:{port}",)
        assert database.ca_cert == "/ca/ca-chain.pem"
        assert database.certificate == "/ca/devstack-cert.crt"
        assert database.private_key == "/ca/private/devstack-cert.key"
    assert (settings.metrics_address, settings.metrics_port) == ("2001:db8::1", 9478)


def test_what_local_conf_says_goes_first(stack):
    stack.run(
        OVN_NB_REMOTE="tcp:192.0.2.9:6641",
        OCTAVIA_PROVIDER_DRIVERS="ovn:Ours",
        OCTAVIA_PROVIDER_AGENTS="ovn,noop_agent",
    )

    options = stack.options()
    assert options["ovn", "ovn_nb_connection"] == "tcp:192.0.2.9:6641"
    assert options["api_settings", "enabled_provider_drivers"] == "ovn:Ours"
    assert options["driver_agent", "enabled_provider_agents"] == "ovn,noop_agent"


def test_does_nothing_on_hosts_without_octavia(stack):
    assert stack.run("mysql n-cpu ovn-controller") == []
    assert stack.options() == {}


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"DEVSTACK_PLUGINS": "octavia,ovn-octavia-provider,octavia-ovn"}, "takes the place of"),
        ({"Q_AGENT": "openvswitch"}, "set Q_AGENT=ovn"),
        ({"OCTAVIA_CONF": "/nonexistent/octavia.conf"}, "must come before octavia-ovn"),
    ],
)
def test_says_why_it_cannot_work(stack, variables, reason):
    output = stack.run(**variables)

    assert output[-1].startswith("die: ")
    assert reason in output[-1]
    assert stack.options() == {}
