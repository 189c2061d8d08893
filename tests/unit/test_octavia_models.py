"""Octavia's objects become ours."""

from octavia_lib.api.drivers import data_models

from octavia_ovn.adapters import octavia_models as models


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
