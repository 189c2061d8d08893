# SPDX-License-Identifier: Apache-2.0
"""Listeners, and what belongs to them."""

import functools

import pytest

from tests.lab.ovsdb import mutate, omap, oset


def vip_key(lb, port):
    return f"{lb.vip}:{port}"


def test_b18_deleting_the_last_listener_of_a_protocol_leaves_the_other_alone(project):
    """The UDP row goes, the TCP row and its vips stay."""
    network = project.network()
    lb = project.serving(network)
    udp = lb.listener(53, "UDP")
    pool = lb.pool(udp, "UDP")
    pool.member(network.vm(), 53)
    tcp_row = lb.rows(protocol="tcp")[0]["vips"]
    pool.delete()
    udp.delete()
    assert [row["protocol"] for row in lb.rows()] == ["tcp"]
    assert lb.rows()[0]["vips"] == tcp_row


@pytest.mark.parametrize("cidrs", [None, []], ids=["none", "empty"])
def test_b19_absent_allowed_cidrs_are_accepted(project, cidrs):
    """None and an empty list ask for nothing."""
    lb = project.load_balancer(project.network())
    listener = lb.listener(80, allowed_cidrs=cidrs)
    listener.update(allowed_cidrs=cidrs)
    assert listener.provisioning == "ACTIVE"


def test_b20_tcp_and_udp_on_one_port_of_one_vip(project):
    """DNS: both protocols are served, over the floating IP too, one of them monitored."""
    network = project.network()
    router = project.router(network, external=project.external)
    lb = project.load_balancer(network)
    address = network.vm()
    for protocol in ("TCP", "UDP"):
        pool = lb.pool(lb.listener(53, protocol), protocol)
        pool.member(address, 53)
    lb.pools()[0].monitor()
    fip = project.floating_ip(lb.vip_port)["floating_ip_address"]
    project.settled(lb)
    for protocol in ("tcp", "udp"):
        assert lb.vips(protocol) == {
            vip_key(lb, 53): [f"{address}:53"],
            f"{fip}:53": [f"{address}:53"],
        }
    assert lb.is_on(network, router)
    lb.delete(cascade=True)
    assert lb.is_off(network, router)


def test_b20_sctp_is_served(project):
    """A listener and pool of SCTP have a row of their own."""
    network = project.network()
    lb = project.load_balancer(network)
    pool = lb.pool(lb.listener(3868, "SCTP"), "SCTP")
    pool.member(network.vm(), 3868)
    assert list(lb.vips("sctp")) == [vip_key(lb, 3868)]


def test_b21_load_balancer_without_listener_has_no_protocol(project):
    """The column is empty; the first listener sets it, in the same row."""
    lb = project.load_balancer(project.network())
    assert [row["protocol"] for row in lb.rows()] == [[]]
    lb.listener()
    assert [row["protocol"] for row in lb.rows()] == ["tcp"]


def test_b23_disabled_things_are_reported_by_their_ids(project):
    """With pool and listener disabled, a member's update ends, and names plain ids only."""
    lb = project.serving(project.network())
    lb.listeners()[0].update(admin_state_up=False)
    lb.pools()[0].update(admin_state_up=False)
    member = lb.pools()[0].members()[0]
    member.update(weight=5)
    assert member.provisioning == "ACTIVE"


def test_b24_d41_status_that_is_refused_is_sent_again(project):
    """Octavia refusing a status for a while delays it, and nothing is lost."""
    project.lab.octavia.driver_listener.refuse_statuses(3)
    lb = project.load_balancer(project.network())
    assert lb.provisioning == "ACTIVE"


@pytest.mark.parametrize("also_pool", [False, True], ids=["alone", "with-pool"])
def test_d11_deleted_disabled_listener_leaves_no_key(project, also_pool):
    """No key remains that would name it in later statuses."""
    network = project.network()
    lb = project.serving(network)
    listener = lb.listener(81, admin_state_up=False)
    if also_pool:
        lb.pool(listener)
    listener.delete()
    assert not any(listener.id in key for key in lb.external_ids())
    member = lb.listeners()[0].pool.member(network.vm())
    assert member.provisioning == "ACTIVE"


def test_d18_pool_of_a_disabled_listener_serves_once_it_is_enabled(project):
    """The pool is not lost."""
    network = project.network()
    lb = project.load_balancer(network)
    listener = lb.listener(80, admin_state_up=False)
    address = network.vm()
    lb.pool(listener).member(address)
    assert lb.vips() == {}
    listener.update(admin_state_up=True)
    assert lb.vips() == {vip_key(lb, 80): [f"{address}:80"]}


def test_d19_pool_created_disabled_serves_once_it_is_enabled(project):
    """The listener keeps its pool by the plain id."""
    network = project.network()
    lb = project.load_balancer(network)
    address = network.vm()
    pool = lb.pool(lb.listener(), admin_state_up=False)
    pool.member(address)
    assert lb.vips() == {}
    assert pool.operating == "OFFLINE"
    pool.update(admin_state_up=True)
    assert lb.vips() == {vip_key(lb, 80): [f"{address}:80"]}
    assert pool.operating == "ONLINE"


def test_d27_disabled_listener_of_a_new_protocol_disables_only_itself(project):
    """The second row's `enabled` is the load balancer's; enabling the listener brings its vips."""
    network = project.network()
    lb = project.serving(network)
    listener = lb.listener(53, "UDP", admin_state_up=False)
    lb.pool(listener, "UDP").member(network.vm(), 53)
    assert {row["external_ids"]["enabled"] for row in lb.rows()} == {"True"}
    assert lb.vips("udp") == {}
    listener.update(admin_state_up=True)
    assert list(lb.vips("udp")) == [vip_key(lb, 53)]


def test_d27_disabled_load_balancer_does_not_serve_a_new_protocol(project):
    """A UDP listener added to a disabled load balancer serves nothing until that is enabled."""
    network = project.network()
    lb = project.serving(network)
    lb.update(admin_state_up=False)
    lb.pool(lb.listener(53, "UDP"), "UDP").member(network.vm(), 53)
    assert lb.vips() == {}
    lb.update(admin_state_up=True)
    assert len(lb.vips()) == 2


def test_disabled_listener_is_offline_and_serves_nothing(project):
    """Disable and enable are each other's inverse; another listener keeps serving."""
    network = project.network()
    lb = project.serving(network)
    other = lb.listener(81)
    lb.pool(other).member(network.vm())
    before = lb.vips()
    other.update(admin_state_up=False)
    assert list(lb.vips()) == [vip_key(lb, 80)]
    assert other.operating == "OFFLINE"
    other.update(admin_state_up=True)
    assert lb.vips() == before
    assert other.operating == "ONLINE"


def test_default_pool_is_set_changed_and_removed(project):
    """vips follow the listener's default pool."""
    network = project.network()
    lb = project.serving(network)
    listener, first = lb.listeners()[0], lb.pools()[0]
    before = lb.vips()
    second = lb.pool()
    address = network.vm()
    second.member(address)
    listener.update(default_pool_id=second.id)
    assert lb.vips() == {vip_key(lb, 80): [f"{address}:80"]}
    listener.update(default_pool_id=None)
    assert lb.vips() == {}
    listener.update(default_pool_id=first.id)
    assert lb.vips() == before


def test_two_listeners_share_a_pool(project):
    """Each has its key of vips; disabling one leaves the other."""
    lb = project.serving(project.network(), members=2)
    pool = lb.pools()[0]
    lb.listener(81, default_pool_id=pool.id)
    assert list(lb.vips().values()) == [lb.vips()[vip_key(lb, 80)]] * 2
    pool.members()[0].delete()
    assert [len(backends) for backends in lb.vips().values()] == [1, 1]


@pytest.mark.parametrize(
    "fields",
    [
        {"protocol": "TERMINATED_HTTPS"},
        {"protocol": "PROMETHEUS"},
        {"connection_limit": 100},
        {"connection_limit": 0},
        {"insert_headers": {"X-Forwarded-For": "true"}},
        {"insert_headers": {"X-Forwarded-For": "true"}, "protocol": "HTTP"},
    ],
    ids=lambda fields: next(iter(fields.values())) if "protocol" in fields else next(iter(fields)),
)
def test_x2_what_layer_four_cannot_do_is_unsupported(project, fields):
    """The answer is 501 and the load balancer stays as it was."""
    lb = project.serving(project.network())
    before = lb.rows()
    wanted = {"protocol": "TCP", "protocol_port": 8080} | fields
    project.refused("create_listener", lb.id, **wanted)
    assert lb.rows() == before
    assert lb.provisioning == "ACTIVE"


@pytest.mark.parametrize("protocol", ["HTTP", "HTTPS"])
def test_what_tcp_carries_is_served_as_tcp_and_known_by_its_name(project, protocol):
    """The row is one of TCP; what is restored from Octavia is the same row."""
    network = project.network()
    lb = project.load_balancer(network)
    pool = lb.pool(lb.listener(80, protocol), protocol)
    address = network.vm()
    pool.member(address).update(weight=2)
    pool.monitor()
    project.health(address, "online")
    pool.update(admin_state_up=True)
    assert lb.vips("tcp") == {vip_key(lb, 80): [f"{address}:80"]}
    before = lb.state()
    lb.failover()
    assert lb.state() == before
    assert pool.row["protocol"] == protocol
    lb.delete(cascade=True)


def test_timeouts_and_unused_tls_options_are_accepted(project):
    """They change nothing in OVN, whether a request names them, or Octavia for null."""
    lb = project.load_balancer(project.network())
    listener = lb.listener(timeout_client_data=600000, timeout_tcp_inspect=1)
    before = lb.state()
    listener.update(timeout_member_data=1, tls_ciphers="ECDHE", tls_versions=["TLSv1.3"])
    assert lb.state() == before
    assert listener.provisioning == "ACTIVE"


def test_x2_connection_limit_is_refused_on_update_too(project):
    """A limit in an update is refused while no chassis counts; the default is accepted."""
    listener = project.load_balancer(project.network()).listener()
    project.refused("update_listener", listener.id, connection_limit=5)
    listener.update(connection_limit=-1, timeout_client_data=50000)


@pytest.fixture
def counting(project):
    """Chassis count connections."""
    mark = "octavia-ovn-statistics"
    change = functools.partial(mutate, "NB_Global", [])
    project.lab.nb.transact(change(["external_ids", "insert", omap({mark: "true"})]))
    yield
    project.lab.nb.transact(change(["external_ids", "delete", oset([mark])]))


@pytest.mark.usefixtures("counting")
def test_connection_limit_is_set_changed_and_removed(project):
    """Chassis know from the row's options what to count; Octavia shows what was asked for."""
    network = project.network()
    lb = project.load_balancer(network)
    listener = lb.listener(connection_limit=5)
    lb.pool(listener).member(network.vm())

    def limited():
        (row,) = lb.rows()
        return row["options"].get("octavia_connection_limit")

    assert limited() == "true"
    assert listener.row["connection_limit"] == 5
    listener.update(connection_limit=7)
    assert limited() == "true"
    before = lb.state()
    lb.failover()
    assert lb.state() == before
    listener.update(connection_limit=-1)
    assert limited() is None
    listener.update(connection_limit=9)
    listener.update(connection_limit=None)
    assert limited() is None
    lb.delete(cascade=True)
