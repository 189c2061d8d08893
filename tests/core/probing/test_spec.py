# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavia_ovn.core import model
from octavia_ovn.core.model import MonitorType
from octavia_ovn.core.probing import spec
from octavia_ovn.core.probing.spec import Probe, Source
from tests.core.probing.examples import SOURCE, probe

IPV6 = Source("port", "fa:16:3e:00:00:07", "2001:db8::7/64")

probes = st.builds(
    probe,
    id=st.from_regex("[0-9a-z][0-9a-z-]{0,40}", fullmatch=True),
    port=st.integers(0, 65535),
    type=st.sampled_from(MonitorType),
    delay=st.integers(1, 3600),
    timeout=st.integers(1, 3600),
    rise=st.integers(1, 10),
    fall=st.integers(1, 10),
    http_method=st.sampled_from(("GET", "OPTIONS")),
    url_path=st.from_regex("/[!-~]{0,254}", fullmatch=True),
    expected_codes=st.sampled_from(("200", "200,202", "200-204")),
    http_version=st.sampled_from((None, "1.0", "1.1")),
    domain_name=st.sampled_from((None, "shop.example.com")),
)


@given(probes)
def test_what_is_written_is_read(each: Probe) -> None:
    assert spec.read(json.loads(json.dumps(spec.write(each)))) == each


@given(probes, probes)
def test_each_change_makes_another_version(one: Probe, other: Probe) -> None:
    assert (one.version == other.version) == (one == other)


@pytest.mark.parametrize(
    ("codes", "good", "bad"),
    [
        ("200", [200], [201, 404, 20]),
        ("200,301", [200, 301], [201, 300]),
        ("200-204", [200, 202, 204], [199, 205]),
    ],
)
def test_expected_codes(codes: str, good: list[int], bad: list[int]) -> None:
    each = probe(expected_codes=codes)
    assert all(map(each.expects, good))
    assert not any(map(each.expects, bad))


@pytest.mark.parametrize(
    "wrong",
    [
        {"address": "10.0.1.20"},
        {"address": "10.0.0.7"},
        {"address": "010.0.0.20"},
        {"address": "169.254.169.254"},
        {"address": "127.0.0.1"},
        {"address": "2001:db8::20"},
        {"source": IPV6, "address": "2001:DB8::20"},
        {"source": Source("p", IPV6.mac, "fe80::7/64"), "address": "fe80::1"},
        {"source": Source("p", IPV6.mac, "0.0.0.7/0"), "address": "169.254.169.254"},
        {"source": Source("p", IPV6.mac, "0.0.0.7/0"), "address": "127.0.0.1"},
        {"port": -1},
        {"port": 65536},
        {"delay": 0},
        {"timeout": 0},
        {"rise": 0},
        {"fall": 0},
        {"id": "a b"},
        {"url_path": "/a\r\nX: y"},
        {"url_path": "a"},
        {"domain_name": "a\nb"},
        {"expected_codes": "200-204,301"},
        {"http_method": "get"},
        {"http_version": "2"},
    ],
)
def test_a_probe_that_makes_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        probe(**wrong)


def test_ipv6() -> None:
    assert probe(source=IPV6, address="2001:db8::20").address == "2001:db8::20"


@pytest.mark.parametrize(
    "wrong",
    [
        {"port": "a/b"},
        {"mac": "FA:16:3E:00:00:07"},
        {"address": "10.0.0.7"},
        {"address": "10.0.0.7/33"},
        {"address": "nonsense"},
    ],
)
def test_a_source_that_makes_no_sense(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"."):
        Source(**{"port": SOURCE.port, "mac": SOURCE.mac, "address": SOURCE.address, **wrong})


@pytest.mark.parametrize(
    "wrong",
    [
        {"delay": "5"},
        {"delay": 5.0},
        {"delay": True},
        {"id": 7},
        {"type": "FTP"},
        {"type": 3},
        {"source": []},
        {"source": {"port": "p"}},
        {"source": {"port": 1, "mac": 2, "address": 3}},
        {"other": 1},
        {"url_path": None},
    ],
)
def test_nonsense_is_not_read(wrong: dict[str, object]) -> None:
    with pytest.raises((ValueError, LookupError, TypeError)):
        spec.read({**spec.write(probe()), **wrong})


def test_a_monitor_holds_what_a_probe_holds() -> None:
    monitor = {"id": "m", "type": MonitorType.HTTP, "delay": 1, "timeout": 1, "max_retries": 1}
    assert model.HealthMonitor(**monitor, url_path="/up").url_path == "/up"
    with pytest.raises(ValueError, match="url_path"):
        model.HealthMonitor(**monitor, url_path="/a b")
    assert MonitorType.HTTPS.sends_http
    assert not MonitorType.PING.sends_http


def test_a_member_says_where_it_is_checked() -> None:
    member = {"id": "m", "address": "10.0.0.20", "port": 80}
    assert model.Member(**member, monitor_address="10.0.0.21", monitor_port=81).monitor_port == 81
    for wrong in ({"monitor_address": "010.0.0.21"}, {"monitor_port": 0}):
        with pytest.raises(ValueError, match=r"."):
            model.Member(**member, **wrong)


@pytest.mark.parametrize("field", ["id", "port"])
def test_ids_have_an_end(field: str) -> None:
    """No line would hold a hundred of them: the chassis would never be told any probe."""
    with pytest.raises(ValueError, match="65 characters"):
        probe(id="a" * 65) if field == "id" else dataclasses.replace(SOURCE, port="a" * 65)
