# SPDX-License-Identifier: Apache-2.0
"""Pools: algorithm, persistence, and life."""

import pytest

CLIENT = {"ip_src", "ip_dst"}
CONNECTION = CLIENT | {"tp_src", "tp_dst"}


def address_fields(fields):
    """The fields without those for IPv6, which old schemas lack."""
    return fields - {"ipv6_src", "ipv6_dst"}


def test_b25_pool_created_with_a_listener_is_online_at_once(project):
    """No status says OFFLINE on the way."""
    lb = project.load_balancer(project.network())
    listener = lb.listener()
    statuses = len(project.lab.octavia.statuses)
    pool = lb.pool(listener)
    reported = [
        record.get("operating_status")
        for message in project.messages_since(statuses)
        for record in message.get("pools", ())
    ]
    assert "OFFLINE" not in reported
    assert pool.operating == "ONLINE"


def test_b26_deleting_a_pool_leaves_the_checks_of_another(project):
    """Two monitored pools share a member's address; one goes; the other's mappings stay."""
    network = project.network()
    shared = network.vm()
    lb = project.load_balancer(network)
    pools = []
    for port in (80, 81):
        pool = lb.pool(lb.listener(port))
        pool.member(shared, port)
        pool.member(network.vm(), port)
        pool.monitor()
        pools.append(pool)
    pools[0].delete()
    assert list(lb.checks()) == [f"{lb.vip}:81"]
    assert shared in lb.mappings()
    assert len(lb.mappings()) == 2


def test_b54_deleting_a_monitored_pool_takes_its_monitor(project):
    """No id of the monitor, check or mapping is left in the row."""
    lb = project.serving(project.network(), monitor=True)
    pool = lb.pools()[0]
    pool.delete()
    assert lb.checks() == {}
    assert lb.mappings() == {}
    assert lb.external_ids().get("octavia:healthmonitors", "[]") == "[]"


def test_b54_pool_without_listener_is_kept_and_deleted(project):
    """It stands in the row without vips."""
    network = project.network()
    lb = project.load_balancer(network)
    pool = lb.pool()
    pool.member(network.vm())
    assert f"pool_{pool.id}" in lb.external_ids()
    assert lb.vips() == {}
    pool.delete()
    assert f"pool_{pool.id}" not in lb.external_ids()


def test_disabled_pool_serves_nothing_and_enabled_again_all(project):
    """Disable and enable are each other's inverse."""
    lb = project.serving(project.network(), members=2)
    pool, before = lb.pools()[0], lb.vips()
    pool.update(admin_state_up=False)
    assert lb.vips() == {}
    assert pool.operating == "OFFLINE"
    pool.update(admin_state_up=True)
    assert lb.vips() == before
    assert pool.operating == "ONLINE"


@pytest.mark.parametrize(
    ("algorithm", "fields"),
    [("SOURCE_IP_PORT", CONNECTION), ("SOURCE_IP", CLIENT), ("ROUND_ROBIN", set())],
)
def test_b78_b79_algorithm_chooses_the_hash(project, algorithm, fields):
    """The fields of selection_fields follow the pool's algorithm."""
    lb = project.serving(project.network(), members=2, algorithm=algorithm)
    assert [address_fields(found) for found in lb.hashing().values()] == [fields]


def test_d17_pools_of_one_protocol_have_each_their_algorithm(project):
    """The last writer does not win; deleting one pool does not change the other."""
    network = project.network()
    lb = project.load_balancer(network)
    wanted = {}
    for port, algorithm, fields in (
        (80, "SOURCE_IP_PORT", CONNECTION),
        (81, "SOURCE_IP", CLIENT),
        (82, "ROUND_ROBIN", set()),
    ):
        lb.pool(lb.listener(port), algorithm=algorithm).member(network.vm(), port)
        wanted[f"{lb.vip}:{port}"] = fields
    found = {key: address_fields(fields) for key, fields in lb.hashing().items()}
    assert found == wanted
    lb.pools()[0].delete()
    del wanted[f"{lb.vip}:80"]
    assert {key: address_fields(fields) for key, fields in lb.hashing().items()} == wanted


def test_d38_algorithm_update_has_an_effect(project):
    """lb_algorithm is not accepted and ignored."""
    lb = project.serving(project.network(), members=2)
    lb.pools()[0].update(lb_algorithm="SOURCE_IP")
    assert [address_fields(found) for found in lb.hashing().values()] == [CLIENT]
    assert len(lb.vips()) == 1


def test_b79_d38_d39_persistence_is_set_and_removed(project):
    """SOURCE_IP persistence sends a client to one member; None brings the algorithm back."""
    lb = project.serving(project.network(), members=2)
    pool = lb.pools()[0]
    pool.update(session_persistence={"type": "SOURCE_IP"})
    assert pool.provisioning == "ACTIVE"
    assert [address_fields(found) for found in lb.hashing().values()] == [CLIENT]
    pool.update(session_persistence=None)
    assert [address_fields(found) for found in lb.hashing().values()] == [CONNECTION]
    assert all("affinity_timeout" not in row["options"] for row in lb.rows())


def test_b79_member_leaving_a_persistent_pool_moves_no_other_client(project):
    """The slots of the other members stay where they were."""
    lb = project.serving(project.network(), members=4, algorithm="SOURCE_IP")
    before = lb.rows()[0]["vips"][f"{lb.vip}:80"].split(",")
    leaving = lb.pools()[0].members()[0]
    address = f"{leaving.row['ip_address']}:80"
    leaving.delete()
    after = lb.rows()[0]["vips"][f"{lb.vip}:80"].split(",")
    assert address not in after
    for old, new in zip(before, after, strict=True):
        assert old in (new, address)


@pytest.mark.parametrize("kind", ["HTTP_COOKIE", "APP_COOKIE"])
def test_d39_other_persistence_is_unsupported(project, kind):
    """The answer is 501, on create and on update, and the pool stays ACTIVE."""
    lb = project.serving(project.network())
    pool = lb.pools()[0]
    project.refused("update_pool", pool.id, session_persistence={"type": kind})
    assert pool.provisioning == "ACTIVE"
    project.refused(
        "create_pool",
        lb.id,
        protocol="TCP",
        lb_algorithm="SOURCE_IP",
        session_persistence={"type": kind},
    )


def test_x2_least_connections_is_unsupported(project):
    """On create and on update."""
    lb = project.serving(project.network())
    project.refused("create_pool", lb.id, protocol="TCP", lb_algorithm="LEAST_CONNECTIONS")
    project.refused("update_pool", lb.pools()[0].id, lb_algorithm="LEAST_CONNECTIONS")


@pytest.mark.parametrize("protocol", ["PROXY", "PROXYV2"])
def test_x2_layer_seven_pools_are_unsupported(project, protocol):
    """The answer is 501."""
    lb = project.load_balancer(project.network())
    project.refused("create_pool", lb.id, protocol=protocol, lb_algorithm="SOURCE_IP_PORT")


def test_d4_renaming_a_pool_releases_its_listeners(project):
    """An update that changes no row still ends for pool, listeners and load balancer."""
    lb = project.serving(project.network())
    before = lb.vips()
    lb.pools()[0].update(name="new name")
    project.lab.octavia.assert_active(lb.id)
    assert lb.vips() == before
