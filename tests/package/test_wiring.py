# SPDX-License-Identifier: Apache-2.0
"""What an API worker is built of: options reach what they are for."""

import pytest
from oslo_config import cfg

from octavia_ovn import wiring
from octavia_ovn.config import octavia
from octavia_ovn.core import model
from octavia_ovn.core.request import changes, limits
from tests.core.builders import balancer, listener, member, pool

TWO = ("10.0.0.0/24", "10.2.0.0/24")


@pytest.mark.parametrize(
    ("option", "lb"),
    [
        ("http_as_tcp = no", balancer([listener(application=model.Application.HTTP)])),
        ("https_as_tcp = no", balancer([listener(application=model.Application.HTTPS)])),
        ("max_members = 1", balancer(pools=[pool(members=[member(1), member(2)])])),
        ("max_allowed_cidrs = 1", balancer([listener(allowed_cidrs=TWO)])),
        ("max_denied_cidrs = 9", balancer([listener(allowed_cidrs=TWO)])),
        ("strict_algorithms = yes", balancer(pools=[pool(algorithm=model.Algorithm.ROUND_ROBIN)])),
    ],
)
def test_what_is_switched_off_is_refused_before_any_service_is_asked(tmp_path, option, lb):
    path = tmp_path / "octavia.conf"
    path.write_text(f"[ovn]\n{option}\n", encoding="utf-8")
    conf = cfg.ConfigOpts()
    conf(args=[], project="octavia", default_config_files=[str(path)])
    recorder = wiring.build(octavia.load(conf)).recorder

    with pytest.raises(limits.Unsupported, match=option.split()[0]):
        recorder.plan(changes.CreateLoadBalancer(lb), ())
