# SPDX-License-Identifier: Apache-2.0
"""The options of a collector and of the agent that listens to it."""

import pytest
from oslo_config import cfg

from octavia_ovn.config import octavia
from octavia_ovn.config import statistics as statistics_options
from octavia_ovn.errors import BadConfiguration

KEY = "0123456789abcdef" * 4
NEEDED = f"key = {KEY}\ncontrollers = one"


@pytest.fixture
def read(tmp_path):
    """A function that reads the text of the section."""

    def parse(text):
        path = tmp_path / "stats.conf"
        path.write_text(f"[ovn_statistics]\n{text}\n", encoding="utf-8")
        conf = cfg.ConfigOpts()
        for section, opts in statistics_options.list_opts():
            conf.register_opts(opts, group=section)
        conf(args=[], default_config_files=[str(path)])
        return statistics_options.collector(conf)

    return parse


def test_defaults_of_a_collector(read):
    settings = read(NEEDED)

    assert settings.controllers == (("one", 5565),)
    assert settings.sb.connections == ("tcp:127.0.0.1:6642",)
    assert (settings.read_interval, settings.send_interval) == (1.0, 10.0)
    assert settings.metrics_port == 0
    assert KEY not in repr(settings)


def test_controllers(read):
    settings = read(f"key = {KEY}\ncontrollers = one, 192.0.2.1:77, [2001:db8::1], [::1]:78")

    assert settings.controllers == (
        ("one", 5565),
        ("192.0.2.1", 77),
        ("2001:db8::1", 5565),
        ("::1", 78),
    )


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ("controllers = one", "key"),
        ("key = secret\ncontrollers = one", "key"),
        (f"key = {KEY[:-1]}\ncontrollers = one", "key"),
        (f"key = {KEY}", "controllers"),
        (f"key = {KEY}\ncontrollers = 2001:db8::1", "controllers"),
        (f"key = {KEY}\ncontrollers = one:70000", "controllers"),
        (f"key = {KEY}\ncontrollers = one:0", "controllers"),
        (f"{NEEDED}\nread_interval = 0", "read_interval"),
    ],
)
def test_what_is_wrong_is_named(read, text, option):
    with pytest.raises(BadConfiguration, match=rf"\[ovn_statistics\] {option} "):
        read(text)


def test_an_agent_does_not_listen_by_default():
    statistics = octavia.load(cfg.ConfigOpts()).statistics

    assert statistics.master_key == ""
    assert (statistics.bind_host, statistics.bind_port) == ("0.0.0.0", 5565)


@pytest.mark.parametrize("key", ["", "x" * 32, "x" * 64])
def test_a_master_key_that_will_do(key):
    statistics_options.check_master_key(key)


@pytest.mark.parametrize("key", ["x", "sandbox", "x" * 31])
def test_a_master_key_that_can_be_guessed_is_refused(key):
    with pytest.raises(BadConfiguration, match=r"\[ovn_statistics\] master_key has \d+ characters"):
        statistics_options.check_master_key(key)
