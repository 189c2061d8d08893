# SPDX-License-Identifier: Apache-2.0
"""What a flavor may say: one table in both directions, and what is refused."""

import pytest

from octavia_ovn.core import flavors, model
from tests.core.builders import pool

SAYING = {
    "nothing": ({}, model.Flavor()),
    "reject": ({"reject": True}, model.Flavor(reject=True)),
    "no reject": ({"reject": False}, model.Flavor(reject=False)),
    "ct_flush": ({"ct_flush": True}, model.Flavor(ct_flush=True)),
    "IPv4 hairpin": (
        {"hairpin_snat_ip": "192.0.2.7"},
        model.Flavor(hairpin_snat_ip=("192.0.2.7",)),
    ),
    "IPv6 hairpin": (
        {"hairpin_snat_ip": "2001:db8::7"},
        model.Flavor(hairpin_snat_ip=("2001:db8::7",)),
    ),
    "hairpin of both": (
        {"hairpin_snat_ip": "192.0.2.7 2001:db8::7"},
        model.Flavor(hairpin_snat_ip=("192.0.2.7", "2001:db8::7")),
    ),
    "hash": (
        {"session_persistence": "hash"},
        model.Flavor(session_persistence=model.Mechanism.HASH),
    ),
    "affinity": (
        {"session_persistence": "affinity"},
        model.Flavor(session_persistence=model.Mechanism.AFFINITY),
    ),
    "withdraw": ({"withdraw": True}, model.Flavor(withdraw=True)),
    "data_path_probe": ({"data_path_probe": True}, model.Flavor(data_path_probe=True)),
    "strict": ({"strict_algorithms": True}, model.Flavor(strict_algorithms=True)),
    "shortest drain": ({"drain_timeout": 5}, model.Flavor(drain_timeout=5)),
    "longest drain": ({"drain_timeout": 86400}, model.Flavor(drain_timeout=86400)),
    "failed ones drain": (
        {"drain_timeout": 60, "drain_failed": True, "ct_flush": False},
        model.Flavor(drain_timeout=60, drain_failed=True, ct_flush=False),
    ),
    "failed ones do not": ({"drain_failed": False}, model.Flavor(drain_failed=False)),
    "fail_open": ({"fail_open": True}, model.Flavor(fail_open=True)),
    "endpoint_weights": ({"endpoint_weights": True}, model.Flavor(endpoint_weights=True)),
}


@pytest.mark.parametrize(("values", "flavor"), SAYING.values(), ids=SAYING)
def test_means(values, flavor):
    assert flavors.read(values) == flavor
    assert flavors.write(flavor) == values


def test_a_profile_that_sets_a_key():
    assert flavors.sets('{"reject": false, "data_path_probe": true}', "data_path_probe")
    assert not flavors.sets('{"data_path_probe": false}', "data_path_probe")
    assert not flavors.sets("{}", "data_path_probe")


def test_addresses_are_written_as_ovn_reads_them():
    flavor = flavors.read({"hairpin_snat_ip": " 2001:DB8:0::7  192.0.2.7"})

    assert flavor.hairpin_snat_ip == ("2001:db8::7", "192.0.2.7")


@pytest.mark.parametrize(
    "key",
    [
        "reject",
        "ct_flush",
        "strict_algorithms",
        "drain_failed",
        "fail_open",
        "endpoint_weights",
        "withdraw",
        "data_path_probe",
    ],
)
@pytest.mark.parametrize("value", ["true", 1, None])
def test_a_boolean_is_a_boolean(key, value):
    with pytest.raises(ValueError, match=f"^{key}: must be true or false, not {value!r}$"):
        flavors.read({key: value})


@pytest.mark.parametrize("value", [4, 86401, -5, 60.0, True, "60", None])
def test_a_drain_takes_from_five_seconds_to_a_day(value):
    with pytest.raises(
        ValueError, match=r"^drain_timeout: must be a number of seconds from 5 to 864"
    ):
        flavors.read({"drain_timeout": value})


def test_draining_excludes_an_end_at_once():
    with pytest.raises(ValueError, match=r"^drain_timeout: excludes ct_flush"):
        flavors.read({"drain_timeout": 60, "ct_flush": True})


def test_failed_members_drain_for_some_time():
    with pytest.raises(ValueError, match=r"^drain_failed: needs drain_timeout"):
        flavors.read({"drain_failed": True})


@pytest.mark.parametrize("value", ["HASH", None, 5, []])
def test_a_mechanism_is_a_known_one(value):
    with pytest.raises(ValueError, match=r"^session_persistence: must be hash or affinity, not"):
        flavors.read({"session_persistence": value})


@pytest.mark.parametrize(
    "value",
    [
        "",
        "router",
        "192.0.2.0/24",
        "192.0.2.7,2001:db8::7",
        "192.0.2.7 192.0.2.8",
        "2001:db8::7 2001:db8::8",
        "192.0.2.7 2001:db8::7 192.0.2.8",
        "fe80::1%eth0",
        "0.0.0.0",
        "224.0.0.1",
        "::1",
        None,
        7,
    ],
)
def test_a_hairpin_address_is_one_of_each_family(value):
    with pytest.raises(ValueError, match=r"^hairpin_snat_ip: must be an IPv4 address, an IPv6"):
        flavors.read({"hairpin_snat_ip": value})


@pytest.mark.parametrize("key", ["distributed", "use_stateless_nat"])
def test_what_breaks_traffic_is_not_offered(key):
    assert key not in flavors.DESCRIPTIONS
    with pytest.raises(ValueError, match=f"^{key}: this option of OVN is not offered; OVN would"):
        flavors.read({key: True})


def test_an_unknown_key_is_answered_with_those_that_are_known():
    with pytest.raises(
        ValueError,
        match=r"^topology: no such key; .* ct_flush, .*drain_failed, drain_timeout, .*hairpin",
    ):
        flavors.read({"reject": True, "topology": "SINGLE"})


@pytest.mark.parametrize("values", [[], "reject", None])
def test_a_flavor_is_an_object(values):
    with pytest.raises(TypeError, match="JSON object"):
        flavors.read(values)


def test_no_flavor_has_an_address_that_is_none():
    with pytest.raises(ValueError, match="router"):
        model.Flavor(hairpin_snat_ip=("router",))


HASHING = pool(persistence=model.SessionPersistence(model.Mechanism.HASH, 90))
REMEMBERING = pool(persistence=model.SessionPersistence(model.Mechanism.AFFINITY, 90))


@pytest.mark.parametrize(
    ("before", "mechanism", "after"),
    [
        (HASHING, model.Mechanism.AFFINITY, REMEMBERING),
        (HASHING, None, HASHING),
        (pool(), model.Mechanism.AFFINITY, pool()),
    ],
    ids=["said", "not said", "no persistence"],
)
def test_a_pool_has_the_persistence_of_its_flavor(before, mechanism, after):
    flavor = model.Flavor(session_persistence=mechanism)

    assert flavors.with_mechanism(before, flavor) == after
