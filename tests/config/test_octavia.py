# SPDX-License-Identifier: Apache-2.0
"""Reading octavia.conf, also when others have registered its options."""

import dataclasses

import pytest
from keystoneauth1 import loading
from oslo_config import cfg, types

from octavia_ovn.config import octavia as config
from octavia_ovn.config.health import AgentHealth
from octavia_ovn.config.requests import OCTAVIA_OPTS
from octavia_ovn.errors import BadConfiguration

PASSWORD = """
auth_type = password
auth_url = http://keystone/v3
username = octavia
password = hidden
project_name = service
user_domain_name = Default
project_domain_name = Default
"""


@pytest.fixture
def conf(tmp_path):
    """A function that parses the text of an octavia.conf."""

    def parse(text="", before=()):
        path = tmp_path / "octavia.conf"
        path.write_text(text, encoding="utf-8")
        parsed = cfg.ConfigOpts()
        for register in before:
            register(parsed)
        parsed(args=[], project="octavia", default_config_files=[str(path)])
        return parsed

    return parse


def octavia(conf):
    """Register what Octavia registers, with definitions that differ from ours."""
    conf.register_opts(
        [
            cfg.StrOpt("endpoint", help="theirs", deprecated_since="2023.2/Bobcat"),
            cfg.StrOpt("endpoint_type", help="theirs", default="publicURL"),
            cfg.StrOpt("ca_certificates_file", help="theirs"),
        ],
        group="neutron",
    )
    conf.register_opts(
        [
            cfg.StrOpt("status_socket_path", default="/theirs/status.sock"),
            cfg.StrOpt("stats_socket_path", default="/theirs/stats.sock"),
            cfg.StrOpt("get_socket_path", default="/theirs/get.sock"),
        ],
        group="driver_agent",
    )
    for section in ("service_auth", "neutron"):
        loading.register_auth_conf_options(conf, section)
        loading.register_session_conf_options(conf, section)
        loading.register_adapter_conf_options(conf, section, include_deprecated=False)


def neutron(conf):
    """Register what Neutron's tools register."""
    conf.register_opts(
        [
            cfg.ListOpt(
                "ovn_nb_connection",
                default=["tcp:192.0.2.9:6641"],
                item_type=types.String(regex=r"^(tcp|ssl|unix):.+"),
            ),
            cfg.IntOpt("ovsdb_connection_timeout", default=180, min=1),
            cfg.StrOpt("neutron_sync_mode", default="log"),
        ],
        group="ovn",
    )


def test_defaults(conf):
    settings = config.load(conf())
    assert settings.nb == config.Database(("tcp:127.0.0.1:6641",), "", "", "", "ovn_nb")
    assert settings.sb.connections == ("tcp:127.0.0.1:6642",)
    assert settings.connection_timeout == 30
    assert settings.session_persistence == "hash"
    assert settings.sync_interval == 600
    assert settings.status_socket == "/var/run/octavia/status.sock"
    assert settings.neutron.auth_type == ""
    assert settings.neutron.timeout == 10
    assert settings.neutron.interfaces == ()


def test_ovn_section(conf):
    settings = config.load(
        conf(
            "[ovn]\novn_nb_connection = ssl:192.0.2.1:6641,ssl:[2001:db8::1]:6641\n"
            "ovn_nb_private_key = /key\novn_nb_certificate = /cert\novn_nb_ca_cert = /ca\n"
            "ovn_sb_connection = unix:/run/sb.sock\nsync_interval = 0\n"
            "session_persistence = affinity\nstrict_algorithms = yes\n"
            "https_as_tcp = no\nhttp_as_tcp = no\n"
        )
    )
    assert settings.nb == config.Database(
        ("ssl:192.0.2.1:6641", "ssl:[2001:db8::1]:6641"), "/key", "/cert", "/ca", "ovn_nb"
    )
    assert settings.sb.connections == ("unix:/run/sb.sock",)
    assert settings.sync_interval == 0
    assert settings.session_persistence == "affinity"
    assert settings.admission.strict_algorithms
    assert settings.admission.carried == frozenset()


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ("[ovn]\novn_nb_connection = 192.0.2.1:6641\n", "[ovn] ovn_nb_connection"),
        ("[ovn]\novsdb_connection_timeout = soon\n", "[ovn] ovsdb_connection_timeout"),
        ("[ovn]\nsession_persistence = cookie\n", "[ovn] session_persistence"),
        ("[neutron]\nauth_type = telepathy\n", "[neutron] auth_type"),
        ("[ovn_health]\nenabled = perhaps\n", "[ovn_health] enabled"),
        ("[ovn_health]\nchassis_timeout = 2\n", "[ovn_health] chassis_timeout"),
    ],
)
def test_a_wrong_value_is_named(conf, text, option):
    with pytest.raises(BadConfiguration, match=option.replace("[", r"\[")):
        config.load(conf(text))


def test_members_are_checked_by_ovn_unless_a_program_on_each_chassis_does(conf):
    assert config.load(conf()).health == AgentHealth(enabled=False, chassis_timeout=10)
    text = "[ovn_health]\nenabled = true\nchassis_timeout = 3\n"
    assert config.load(conf(text)).health == AgentHealth(enabled=True, chassis_timeout=3)


def test_an_empty_connection_is_left_to_the_endpoint(conf):
    assert config.load(conf("[ovn]\novn_nb_connection =\n")).nb.connections == ()


@pytest.mark.parametrize("before", [(), (octavia,), (neutron,), (octavia, neutron)])
@pytest.mark.parametrize("after", [(), (octavia,), (neutron,), (neutron, octavia)])
def test_others_may_register_before_or_after(conf, before, after):
    text = f"[service_auth]{PASSWORD}[neutron]\nendpoint_override = http://neutron\n"
    parsed = conf(text, before)
    first = config.load(parsed)
    for register in set(after) - set(before):
        register(parsed)
    second = config.load(parsed)
    assert first.neutron.auth == second.neutron.auth
    assert second.neutron.endpoint_override == "http://neutron"


def test_what_others_registered_counts(conf):
    parsed = conf(before=[octavia, neutron])
    parsed.set_override("ovn_nb_connection", ["unix:/overridden"], group="ovn")
    settings = config.load(parsed)
    assert settings.nb.connections == ("unix:/overridden",)
    assert settings.connection_timeout == 180
    assert settings.get_socket == "/theirs/get.sock"


def test_register_opts_lets_tools_set_options(conf):
    parsed = conf(before=[octavia, neutron, config.register_opts, config.register_opts])
    parsed.set_override("sync_interval", 7, group="ovn")
    assert config.load(parsed).sync_interval == 7


def test_an_unparsed_configuration_has_defaults():
    assert config.load(cfg.ConfigOpts()).connection_timeout == 30


def test_loading_again_sees_a_changed_file(conf):
    parsed = conf("[ovn]\nsync_interval = 1\n")
    assert config.load(parsed).sync_interval == 1
    conf("[ovn]\nsync_interval = 2\n")
    assert config.load(parsed).sync_interval == 2


def test_neutron_without_credentials_borrows_what_it_lacks(conf):
    settings = config.load(
        conf(
            f"[service_auth]{PASSWORD}cafile = /ca\nregion_name = one\n"
            "endpoint_override = http://octavia\n"
            "[neutron]\nusername = other\nvalid_interfaces = internal,public\n"
        )
    )
    assert settings.neutron.auth == dict(settings.octavia.auth, username="other")
    assert settings.neutron.auth["password"] == "hidden"
    assert settings.neutron.cafile == "/ca"
    assert settings.neutron.region_name == "one"
    assert settings.neutron.interfaces == ("internal", "public")
    assert settings.neutron.endpoint_override is None
    assert settings.octavia.endpoint_override == "http://octavia"


def test_neutron_with_credentials_borrows_nothing(conf):
    settings = config.load(
        conf(
            f"[service_auth]{PASSWORD}cafile = /ca\nregion_name = one\n"
            "[neutron]\nauth_type = v3applicationcredential\nauth_url = http://other/v3\n"
            "application_credential_id = abc\napplication_credential_secret = hidden\n"
        )
    )
    assert settings.neutron.auth_type == "v3applicationcredential"
    assert settings.neutron.auth["auth_url"] == "http://other/v3"
    assert "project_name" not in settings.neutron.auth
    assert settings.neutron.cafile is None
    assert settings.neutron.region_name is None


def test_credentials_may_be_in_another_section(conf):
    settings = config.load(
        conf(f"[account]{PASSWORD}[neutron]\nauth_section = account\n", before=[octavia])
    )
    assert settings.neutron.auth_type == "password"
    assert settings.neutron.auth["username"] == "octavia"


def test_auth_type_none_and_the_deprecated_endpoint_share_a_name(conf):
    settings = config.load(
        conf("[neutron]\nauth_type = none\nendpoint = http://neutron\n", before=[octavia])
    )
    assert settings.neutron.auth == {"endpoint": "http://neutron"}
    assert settings.neutron.endpoint_override == "http://neutron"


@pytest.mark.parametrize("before", [(), (octavia,)])
def test_deprecated_options_count_when_the_new_ones_are_not_set(conf, before):
    old = "endpoint = http://old\nendpoint_type = internalURL\nca_certificates_file = /old\n"
    service = config.load(conf(f"[neutron]\n{old}", before)).neutron
    assert (service.endpoint_override, service.interfaces, service.cafile) == (
        "http://old",
        ("internal",),
        "/old",
    )
    new = "endpoint_override = http://new\nvalid_interfaces = admin\ncafile = /new\n"
    service = config.load(conf(f"[neutron]\n{old}{new}", before)).neutron
    assert (service.endpoint_override, service.interfaces, service.cafile) == (
        "http://new",
        ("admin",),
        "/new",
    )


def test_secrets_are_not_shown(conf):
    settings = config.load(conf(f"[service_auth]{PASSWORD}"))
    assert settings.octavia.auth["password"] == "hidden"
    assert "hidden" not in repr(settings)


def test_settings_are_frozen(conf):
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.load(conf()).sync_interval = 1


def test_the_sample_generator_gets_options_by_section():
    sections = dict(config.list_opts())
    assert {opt.dest for opt in sections["neutron"]} >= {"endpoint", "endpoint_type"}
    assert all(opt.help for opts in sections.values() for opt in opts)


FILLED_IN = """
[haproxy_amphora]
timeout_client_data = 600000
[api_settings]
default_listener_ciphers = ECDHE
default_pool_tls_versions = TLSv1.2,TLSv1.3
"""


def _octavia_options(conf):
    """Register options as Octavia does, with defaults of a later release."""
    conf.register_opt(cfg.IntOpt("timeout_client_data", default=1), group="haproxy_amphora")
    conf.register_opt(cfg.IntOpt("timeout_member_data", default=2), group="haproxy_amphora")
    conf.register_opt(cfg.ListOpt("default_pool_tls_versions", default=[]), group="api_settings")


@pytest.mark.parametrize(("before", "usual"), [((), 50000), ([_octavia_options], 2)])
def test_what_octavia_fills_in_is_known_whether_it_is_loaded_or_not(conf, before, usual):
    filled_in = config.load(conf(FILLED_IN, before)).usual.filled_in

    assert filled_in["listener"]["timeout_client_data"] == 600000
    assert filled_in["listener"]["timeout_member_data"] == usual
    assert filled_in["listener"]["tls_ciphers"] == "ECDHE"
    assert filled_in["pool"]["tls_versions"] == ["TLSv1.2", "TLSv1.3"]


@pytest.mark.parametrize(
    ("text", "permitted"),
    [("", set()), ("[ovn]\nvip_security_groups = True\n", {"vip_sg_ids"})],
)
def test_what_is_refused_unless_it_is_permitted(conf, text, permitted):
    assert config.load(conf(text)).usual.permitted == permitted


def test_octavias_own_configuration_has_all_that_it_fills_in():
    """Octavia names the options as we do."""
    octavia_config = pytest.importorskip("octavia.common.config")
    known = {("haproxy_amphora", opt.dest) for opt in octavia_config.haproxy_amphora_opts} | {
        ("api_settings", opt.dest) for opt in octavia_config.api_opts
    }

    assert {(section, opt.dest) for section, opt in OCTAVIA_OPTS} <= known
