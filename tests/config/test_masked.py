# SPDX-License-Identifier: Apache-2.0
"""The configuration without its secrets."""

import json

import pytest
from keystoneauth1 import loading
from oslo_config import cfg

from octavia_ovn.config.masked import MASK, MaskedConfiguration

UNMARKED = {"access_key", "consumer_key", "idp_otp_key"}
"""Secrets by their use, although their definitions do not say so."""
PLUGINS = sorted(loading.get_available_plugin_names())


@pytest.fixture
def masked(tmp_path):
    def masked(text):
        path = tmp_path / "octavia.conf"
        path.write_text(text)
        conf = cfg.ConfigOpts()
        conf(["--config-file", str(path)], project="octavia")
        return MaskedConfiguration(conf)

    return masked


def test_options_are_shown_as_they_are_in_effect(masked):
    options = masked("[ovn]\novn_nb_connection = tcp:192.0.2.1:6641,tcp:192.0.2.2:6641\n").options

    assert options["ovn"]["ovn_nb_connection"] == ["tcp:192.0.2.1:6641", "tcp:192.0.2.2:6641"]
    assert options["ovn"]["sync_interval"] == 600
    assert options["ovn"]["event_notifications"] is False
    assert options["driver_agent"]["status_socket_path"] == "/var/run/octavia/status.sock"


def test_other_sections_and_unknown_options_are_not_shown(masked):
    found = masked(
        "[database]\nconnection = mysql+pymysql://octavia:hidden-1@db/octavia\n"
        "[certificates]\nserver_certs_key_passphrase = hidden-2\n"
        "[ovn]\npasword_of_something = hidden-3\n"
    )

    assert "hidden" not in json.dumps(found.options)
    assert found.options.keys().isdisjoint({"database", "certificates"})


@pytest.mark.parametrize("plugin", PLUGINS)
@pytest.mark.parametrize("section", ["neutron", "service_auth", "elsewhere"])
def test_every_secret_of_every_way_to_authenticate_is_masked(masked, plugin, section):
    opts = loading.get_auth_plugin_conf_options(plugin)
    secrets = {opt.dest: f"hidden-{opt.dest}" for opt in opts if opt.secret or opt.dest in UNMARKED}
    lines = [f"{name} = {value}" for name, value in secrets.items()]
    text = "\n".join([f"[{section}]", f"auth_type = {plugin}", *lines])
    found = masked(text + ("\n[neutron]\nauth_section = elsewhere" * (section == "elsewhere")))

    assert "hidden" not in json.dumps(found.options)
    assert {found.options[section][name] for name in secrets} <= {MASK}
    assert found.options[section]["auth_type"] == plugin
    assert found.conceal([*secrets.values()]) == [MASK] * len(secrets)


@pytest.mark.parametrize(
    ("section", "option"),
    [("neutron", "endpoint_override"), ("service_auth", "auth_url"), ("ovn", "ovn_sb_ca_cert")],
)
@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:hidden-1@host:9696/v2", "https://***"),
        ("https://me:hid@den/-1@host/", "https://***"),
        ("rabbit://me:hidden-1@a:5672,me:hidden-2@b:5672/v", "rabbit://***"),
        ("https://host:9696/v2", "https://host:9696/v2"),
    ],
)
def test_accounts_in_urls_are_masked_in_any_option(masked, section, option, url, shown):
    found = masked(f"[service_auth]\nauth_type = password\n[{section}]\n{option} = {url}\n")

    assert found.options[section][option] == shown
    for number in (1, 2):
        if f":hidden-{number}@" in url:
            assert found.conceal(f"401 for hidden-{number}") == "401 for ***"


def test_the_keys_of_statistics_and_the_broker_are_masked(masked):
    found = masked(
        "[ovn_statistics]\nmaster_key = hidden-hidden-hidden-hidden-hidden\n"
        "[oslo_messaging_notifications]\ntransport_url = rabbit://me:hidden@host\n"
        "driver = messagingv2\n"
    )

    assert found.options["ovn_statistics"]["master_key"] == MASK
    assert found.options["oslo_messaging_notifications"] == {
        "transport_url": MASK,
        "driver": ["messagingv2"],
        "topics": ["notifications"],
    }


@pytest.mark.parametrize(
    ("text", "section", "option"),
    [
        ("[ovn]\nsync_interval = often", "ovn", "sync_interval"),
        ("[ovn_statistics]\nbind_port = https://me:hidden-1@host", "ovn_statistics", "bind_port"),
    ],
)
def test_a_wrong_value_is_named_instead(masked, text, section, option):
    shown = masked(text).options[section][option]

    assert shown.startswith(f"[{section}] {option} is wrong in /")
    assert "LocationInfo" not in shown
    assert "hidden" not in shown


def test_an_unknown_way_to_authenticate_has_no_options(masked):
    found = masked("[neutron]\nauth_type = pigeon\npassword = hidden-1\n")

    assert found.options["neutron"]["auth_type"] == "pigeon"
    assert "hidden" not in json.dumps(found.options)


def test_secrets_are_removed_wherever_they_are(masked):
    found = masked("[service_auth]\nauth_type = password\npassword = hidden-1\n")
    content = {"hidden-1": ["a hidden-1 b", ("hidden-1", 7, None, True)]}

    assert found.conceal(content) == {MASK: ["a *** b", [MASK, 7, None, True]]}


def test_a_short_secret_is_no_part_of_other_words(masked):
    found = masked("[service_auth]\nauth_type = password\npassword = ovn\n")

    assert found.options["service_auth"]["password"] == MASK
    assert found.conceal("ovn_nb_connection") == "ovn_nb_connection"
