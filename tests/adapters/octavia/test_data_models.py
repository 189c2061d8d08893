# SPDX-License-Identifier: Apache-2.0
"""Octavia's objects become ours."""

import pytest
from octavia_lib.api.drivers import data_models

from octavia_ovn.adapters.octavia import data_models as models
from octavia_ovn.core import model
from octavia_ovn.core.request import limits


def _pool(**values):
    return data_models.Pool(
        pool_id="pool", protocol="TCP", lb_algorithm="SOURCE_IP_PORT", admin_state_up=True, **values
    )


def test_a_pool_that_octavia_gives_twice_is_the_one_with_members():
    member = data_models.Member(member_id="member", address="10.0.0.5", protocol_port=80)
    listener = data_models.Listener(
        listener_id="listener",
        protocol="TCP",
        protocol_port=80,
        default_pool_id="pool",
        default_pool=_pool(),
    )
    given = data_models.LoadBalancer(
        loadbalancer_id="lb",
        vip_address="10.0.0.9",
        listeners=[listener],
        pools=[_pool(members=[member])],
    )

    lb = models.load_balancer(models.fields(given), models.DriverDefaults())

    assert [[each.id for each in pool.members] for pool in lb.pools] == [["member"]]


def _with_old_options():
    """A load balancer of Octavia's, with options that another driver has accepted."""
    pool = {
        "pool_id": "pool",
        "protocol": "TCP",
        "lb_algorithm": "ROUND_ROBIN",
        "members": [
            {
                "member_id": "member",
                "address": "10.0.0.5",
                "protocol_port": 80,
                "vnic_type": "direct",
                "monitor_port": 8080,
            }
        ],
        "healthmonitor": {**MONITOR, "type": "HTTP", "url_path": "/up"},
    }
    listener = {
        "listener_id": "listener",
        "protocol": "TCP",
        "protocol_port": 80,
        "connection_limit": 100,
        "timeout_client_data": 60000,
        "default_pool_id": "pool",
        "default_pool": pool,
    }
    return {
        "loadbalancer_id": "lb",
        "vip_address": "10.0.0.9",
        "vip_sg_ids": ["group"],
        "availability_zone": "name of a zone that says nothing",
        "listeners": [listener],
        "pools": [pool],
    }


def test_what_octavia_has_already_is_served_with_any_options():
    lb = models.existing_load_balancer(_with_old_options(), models.DriverDefaults())

    assert [each.id for each in lb.listeners] == ["listener"]
    assert [each.id for _, each in lb.members()] == ["member"]
    assert lb.pools[0].members[0].monitor_port == 8080
    assert lb.pools[0].monitor.url_path == "/up"


def test_what_is_new_is_refused_for_such_options():
    with pytest.raises(limits.Unsupported, match=r"^vip_sg_ids"):
        models.load_balancer(_with_old_options(), models.DriverDefaults())


def test_a_member_that_another_driver_accepted_can_be_changed():
    old = {"member_id": "m", "address": "10.0.0.5", "protocol_port": 80, "vnic_type": "direct"}

    assert models.member({**old, "weight": 3}, {"weight": 3}).weight == 3
    with pytest.raises(limits.Unsupported, match=r"^vnic_type"):
        models.member(old)


@pytest.mark.parametrize(
    ("name", "protocol", "application"),
    [
        ("TCP", model.Protocol.TCP, None),
        ("SCTP", model.Protocol.SCTP, None),
        ("HTTP", model.Protocol.TCP, model.Application.HTTP),
        ("HTTPS", model.Protocol.TCP, model.Application.HTTPS),
    ],
)
def test_protocols(name, protocol, application):
    values = {"listener_id": "l", "pool_id": "p", "protocol": name, "protocol_port": 80}
    listener = models.listener(values, models.DriverDefaults())
    pool = models.pool({**values, "lb_algorithm": "SOURCE_IP"}, models.DriverDefaults())

    assert (listener.protocol, listener.application) == (protocol, application)
    assert (pool.protocol, pool.application) == (protocol, application)


LISTENER = {"listener_id": "l", "protocol": "TCP", "protocol_port": 80}


def _listener(**values):
    return models.listener({**LISTENER, **values}, models.DriverDefaults())


@pytest.mark.parametrize(
    ("given", "cidrs"),
    [
        (None, ()),
        ([], ()),
        (["fd00::1/8", "10.0.0.1/8", "10.0.0.0/8"], ("10.0.0.0/8", "fd00::/8")),
    ],
)
def test_allowed_cidrs(given, cidrs):
    assert _listener(allowed_cidrs=given).allowed_cidrs == cidrs


@pytest.mark.parametrize("cidr", ["everybody", "10.0.0.0/33", "fe80::%eth0/64"])
def test_what_is_no_network_is_refused(cidr):
    with pytest.raises(limits.Unsupported, match=r"network"):
        _listener(allowed_cidrs=[cidr])


def test_a_network_given_twice_is_refused_where_octavia_would_fail_afterwards():
    twice = {"allowed_cidrs": ["10.0.0.0/8", "10.0.0.0/8"]}

    assert _listener(**twice).allowed_cidrs == ("10.0.0.0/8",)
    with pytest.raises(limits.Unsupported, match=r"^allowed_cidrs: 10\.0\.0\.0/8 .*once\.$"):
        models.listener_update(LISTENER, {"listener_id": "l", **twice}, models.DriverDefaults())


@pytest.mark.parametrize("name", ["TERMINATED_HTTPS", "PROXY", "PROXYV2"])
def test_protocols_that_take_more_than_tcp(name):
    with pytest.raises(limits.Unsupported, match=f"{name} needs a provider"):
        models.pool({"pool_id": "p", "protocol": name}, models.DriverDefaults())


def test_a_listener_of_metrics_names_other_metrics():
    with pytest.raises(limits.Unsupported, match=r"^PROMETHEUS: .*stats show.*octavia_ovn_\*"):
        _listener(protocol="PROMETHEUS")


def _load_balancer(**values):
    given = data_models.LoadBalancer(loadbalancer_id="lb", vip_address="10.0.0.9", **values)
    return models.load_balancer(models.fields(given), models.DriverDefaults())


def test_a_flavor_decides_how_clients_are_kept():
    pool = _pool(session_persistence={"type": "SOURCE_IP"})

    lb = _load_balancer(pools=[pool], flavor={"session_persistence": "affinity"})

    assert lb.flavor == model.Flavor(session_persistence=model.Mechanism.AFFINITY)
    assert lb.pools[0].persistence == model.SessionPersistence(model.Mechanism.AFFINITY)


@pytest.mark.parametrize("flavor", [None, {}, data_models.Unset])
def test_most_load_balancers_have_no_flavor(flavor):
    assert _load_balancer(flavor=flavor).flavor == model.Flavor()


def test_a_flavor_that_makes_no_sense_is_refused():
    with pytest.raises(limits.Unsupported, match="reject: must be true or false"):
        _load_balancer(flavor={"reject": "no"})


def test_a_zone_that_places_load_balancers_is_refused():
    with pytest.raises(limits.Unsupported, match=r"compute_zone: .* valid_vip_networks\."):
        _load_balancer(availability_zone={"compute_zone": "here"})
    assert _load_balancer(availability_zone={"valid_vip_networks": ["n1"]}) == _load_balancer()


def test_clients_are_kept_one_by_one_and_not_by_networks():
    def persistence(**values):
        given = _pool(session_persistence={"type": "SOURCE_IP", **values})
        return models.pool(models.fields(given), models.DriverDefaults()).persistence

    kept = persistence(persistence_timeout=90, persistence_granularity="255.255.255.255")
    assert kept == model.SessionPersistence(model.Mechanism.HASH, 90)
    with pytest.raises(limits.Unsupported, match=r"255\.255\.255\.0"):
        persistence(persistence_granularity="255.255.255.0")


STRICT = models.DriverDefaults(usual=limits.Usual(strict=True))
MONITOR = {
    "healthmonitor_id": "h1",
    "pool_id": "p1",
    "type": "TCP",
    "delay": 5,
    "timeout": 3,
    "max_retries": 3,
}
HTTP_OPTIONS = {"http_version": 1.1, "domain_name": "example.org"}
NEW_MONITORS = {
    "new": models.health_monitor,
    "with its pool": lambda values, defaults: (
        models.pool(models.fields(_pool(healthmonitor=values)), defaults).monitor
    ),
    "changed": lambda values, defaults: models.health_monitor_update(
        MONITOR, values, defaults
    ).named.apply(),
}


@pytest.mark.parametrize("build", NEW_MONITORS.values(), ids=NEW_MONITORS)
def test_http_options_of_a_tcp_monitor_are_refused_with_strict_options_alone(build):
    values = {**MONITOR, **HTTP_OPTIONS}

    assert build(values, models.DriverDefaults()).type is model.MonitorType.TCP
    with pytest.raises(limits.Unsupported, match="strict_options"):
        build(values, STRICT)


def test_a_type_that_octavia_has_and_no_check_is_refused():
    with pytest.raises(limits.Unsupported, match="not by SCTP"):
        models.health_monitor({**MONITOR, "type": "SCTP"}, STRICT)


# As Octavia gives them, and as the rows keep them.
HTTP_FIELDS = {
    "http_method": ("HEAD", "HEAD"),
    "url_path": ("/up", "/up"),
    "expected_codes": ("200 , 204,\t301", "200,204,301"),
    "http_version": (1.0, "1.0"),
    "domain_name": ("example.org", "example.org"),
}


@pytest.mark.parametrize("defaults", [models.DriverDefaults(), STRICT])
@pytest.mark.parametrize("build", NEW_MONITORS.values(), ids=NEW_MONITORS)
@pytest.mark.parametrize("kind", ["HTTP", "HTTPS"])
def test_all_fields_of_an_http_monitor_count(kind, build, defaults):
    given = {name: each for name, (each, _) in HTTP_FIELDS.items()}

    found = build({**MONITOR, "type": kind, **given}, defaults)

    assert found.type.value == kind
    assert {name: getattr(found, name) for name in HTTP_FIELDS} == {
        name: each for name, (_, each) in HTTP_FIELDS.items()
    }


def test_null_unsets_the_fields_of_an_http_monitor():
    found = models.health_monitor({**MONITOR, "type": "HTTP", **dict.fromkeys(HTTP_FIELDS)}, STRICT)

    assert [getattr(found, name) for name in HTTP_FIELDS] == [None] * len(HTTP_FIELDS)


@pytest.mark.parametrize(
    ("option", "value"), [("expected_codes", "299-200"), ("url_path", "/\u00fc")]
)
def test_a_value_that_octavia_accepts_and_no_check_can_use_is_refused(option, value):
    with pytest.raises(limits.Unsupported, match=f"is not valid in {option}"):
        models.health_monitor({**MONITOR, "type": "HTTP", option: value}, STRICT)


def test_where_a_member_is_checked():
    values = {"member_id": "m", "address": "FD00::5", "protocol_port": 80}
    elsewhere = models.member({**values, "monitor_address": "FD00::6", "monitor_port": 81})
    same = models.member({**values, "monitor_address": "fd00:0::5", "monitor_port": 80})

    assert (elsewhere.monitor_address, elsewhere.monitor_port) == ("fd00::6", 81)
    assert same == models.member({**values, "monitor_address": None, "monitor_port": None})


def _update_pool(values):
    old = models.fields(_pool())
    return models.pool_update(old, {"pool_id": "pool", **values}, models.DriverDefaults())


NULLS = {
    "lb_algorithm, changed": ("lb_algorithm", _update_pool),
    "lb_algorithm": ("lb_algorithm", lambda null: _load_balancer(pools=[{**POOL, **null}])),
    "protocol": ("protocol", lambda null: _load_balancer(pools=[{**POOL, **null}])),
    "delay": ("delay", lambda null: models.health_monitor({**MONITOR, **null}, STRICT)),
    "protocol_port": ("protocol_port", lambda null: _listener(**null)),
}
POOL = {"pool_id": "p", "protocol": "TCP", "lb_algorithm": "SOURCE_IP"}


@pytest.mark.parametrize(("option", "build"), NULLS.values(), ids=NULLS)
def test_null_is_refused_where_octavia_cannot_store_it(option, build):
    with pytest.raises(limits.Unsupported, match=f"^{option}: null is no value"):
        build({option: None})
