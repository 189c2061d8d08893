"""Octavia's objects become ours."""

import pytest
from octavia_lib.api.drivers import data_models

from octavia_ovn.adapters import octavia_models as models
from octavia_ovn.core import limits, model


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

    lb = models.load_balancer(models.fields(given), models.Preferences())

    assert [[each.id for each in pool.members] for pool in lb.pools] == [["member"]]


def _with_old_options():
    """A load balancer as Octavia tells it, with options that another driver has let pass."""
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
            }
        ],
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
        "listeners": [listener],
        "pools": [pool],
    }


STRICT = models.Preferences(strict_algorithms=True)


def test_what_octavia_has_already_is_served_whatever_its_options():
    lb = models.existing_load_balancer(_with_old_options(), STRICT)

    assert [each.id for each in lb.listeners] == ["listener"]
    assert [each.id for _, each in lb.members()] == ["member"]


def test_what_is_new_is_refused_for_such_options():
    with pytest.raises(limits.Unsupported, match=r"^vip_sg_ids"):
        models.load_balancer(_with_old_options(), models.Preferences())


def test_a_member_that_was_let_pass_can_be_changed():
    old = {"member_id": "m", "address": "10.0.0.5", "protocol_port": 80, "vnic_type": "direct"}

    assert models.member({**old, "weight": 3}, {"weight": 3}).weight == 3
    with pytest.raises(limits.Unsupported, match=r"^vnic_type"):
        models.member(old)


def test_a_pool_in_turn_can_be_renamed_but_not_made_when_that_is_refused():
    values = models.fields(_pool(), {"lb_algorithm": "ROUND_ROBIN"})

    assert models.pool(values, STRICT, {"name": "new"}).algorithm is model.Algorithm.ROUND_ROBIN
    for asked in (None, {"lb_algorithm": "ROUND_ROBIN"}):
        with pytest.raises(limits.Unsupported, match="strict_algorithms"):
            models.pool(values, STRICT, asked)
