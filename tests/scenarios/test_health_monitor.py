# SPDX-License-Identifier: Apache-2.0
"""Health monitors, and what the data plane finds about the members."""

import pytest

from tests.lab.ovsdb import delete, update
from tests.scenarios.steps import addresses_of, becomes

OPTIONS = {"interval": "5", "timeout": "3", "success_count": "3", "failure_count": "3"}


def test_b49_monitor_create_update_delete_release_listeners(project):
    """Each of the three ends for monitor, pool, listener and load balancer."""
    lb = project.serving(project.network())
    monitor = lb.pools()[0].monitor()
    project.lab.octavia.assert_active(lb.id)
    monitor.update(delay=9)
    project.lab.octavia.assert_active(lb.id)
    monitor.delete()
    project.lab.octavia.assert_active(lb.id)
    assert lb.checks() == {}


def test_b47_updating_one_option_keeps_the_others(project):
    """Only the changed option differs in the check rows."""
    lb = project.serving(project.network(), monitor=True)
    monitor = project.lab.octavia.store.find("healthmonitors", pool_id=lb.pools()[0].id)[0]
    assert lb.checks() == {f"{lb.vip}:80": OPTIONS}
    project.do("update_health_monitor", monitor["id"], delay=9)
    assert lb.checks() == {f"{lb.vip}:80": OPTIONS | {"interval": "9"}}


@pytest.mark.parametrize("order", ["monitor-first", "floating-ip-first"])
def test_b48_checks_cover_the_floating_ip(project, order):
    """One check for each ip:port of VIP and floating IP, in either order; gone with it."""
    network = project.network()
    project.router(network, external=project.external)
    lb = project.serving(network)
    if order == "monitor-first":
        lb.pools()[0].monitor()
    fip = project.floating_ip(lb.vip_port)
    project.settled(lb)
    if order == "floating-ip-first":
        lb.pools()[0].monitor()
    assert set(lb.checks()) == {f"{lb.vip}:80", f"{fip['floating_ip_address']}:80"}
    project.neutron.disassociate_fip(fip["id"])
    project.settled(lb)
    assert set(lb.checks()) == {f"{lb.vip}:80"}


def test_b51_b56_probes_come_from_a_port_of_our_own(project):
    """One port for each subnet in use, that Neutron makes a localport; removed with the last."""
    network = project.network()
    first = project.serving(network, monitor=True)
    second = project.serving(network, monitor=True)
    (port,) = project.monitor_ports(network)
    assert port["device_owner"] == "ovn-lb-hm:distributed"
    assert port["device_id"] == f"ovn-lb-hm-{network.subnet}"
    (switch_port,) = project.lab.nb.select("Logical_Switch_Port", [["name", "==", port["id"]]])
    assert switch_port["type"] == "localport"
    first.delete(cascade=True)
    assert len(project.monitor_ports(network)) == 1
    second.delete(cascade=True)
    project.wait(lambda: not project.monitor_ports(network), "the last use takes the port")


def test_b53_deleting_the_monitor_makes_members_no_monitor(project):
    """Also one that was in ERROR; a disabled one stays OFFLINE (D3)."""
    lb = project.serving(project.network(), members=3)
    pool = lb.pools()[0]
    monitor = pool.monitor()
    bad, off, good = pool.members()
    off.update(admin_state_up=False)
    project.health(bad.row["ip_address"], "offline")
    becomes(project, bad, "ERROR")
    monitor.delete()
    assert [m.operating for m in (bad, off, good)] == ["NO_MONITOR", "OFFLINE", "NO_MONITOR"]
    assert pool.operating == "ONLINE"


@pytest.mark.parametrize("what", ["listener", "load balancer", "pool"])
def test_d1_disable_and_enable_with_a_monitor_is_no_outage(project, what):
    """northd drops its monitors meanwhile; enabling brings the old vips back."""
    lb = project.serving(project.network(), members=2, monitor=True)
    before = lb.vips()
    addresses = addresses_of(lb.pools()[0])
    for address in addresses:
        project.health(address, "online")
    where = [["ip", "==", addresses[0]]]
    thing = {"listener": lb.listeners()[0], "load balancer": lb, "pool": lb.pools()[0]}[what]
    thing.update(admin_state_up=False)
    project.wait(
        lambda: not project.lab.sb.select("Service_Monitor", where), "northd drops its monitors"
    )
    project.quiesce()
    thing.update(admin_state_up=True)
    assert lb.vips() == before
    project.health(addresses[0], "online")
    becomes(project, lb.pools()[0].members()[0], "ONLINE")


def test_d26_error_of_the_data_plane_is_an_error(project):
    """Status `error` of a Service_Monitor does not count as ONLINE."""
    lb = project.serving(project.network(), monitor=True)
    member = lb.pools()[0].members()[0]
    project.health(member.row["ip_address"], "error")
    becomes(project, member, "ERROR")


def test_d33_monitor_that_is_disabled_stops_the_checks(project):
    """No check rows and no ERROR while it is down; all is back when it is up."""
    lb = project.serving(project.network(), members=2)
    pool = lb.pools()[0]
    monitor = pool.monitor()
    member = pool.members()[0]
    project.health(member.row["ip_address"], "offline")
    becomes(project, member, "ERROR")
    monitor.update(admin_state_up=False)
    assert lb.checks() == {}
    assert member.operating == "NO_MONITOR"
    assert monitor.operating == "OFFLINE"
    monitor.update(delay=7)
    assert lb.checks() == {}
    assert monitor.operating == "OFFLINE"
    monitor.update(admin_state_up=True)
    assert list(lb.checks()) == [f"{lb.vip}:80"]


def test_d52_findings_never_change_a_provisioning_status(project):
    """What is said about health carries operating statuses only."""
    lb = project.serving(project.network(), members=2, monitor=True)
    member = lb.pools()[0].members()[0]
    project.quiesce()
    statuses = len(project.lab.octavia.statuses)
    project.health(member.row["ip_address"], "offline")
    becomes(project, member, "ERROR")
    project.health(member.row["ip_address"], "online")
    becomes(project, member, "ONLINE")
    for message in project.messages_since(statuses):
        for records in message.values():
            assert not any("provisioning_status" in record for record in records)


def test_d55_different_options_for_one_backend_both_stand(project):
    """Two pools with the same backend keep each its own options in their check rows."""
    network = project.network()
    lb = project.load_balancer(network)
    shared = network.vm()
    for port, delay in ((80, 5), (81, 9)):
        pool = lb.pool(lb.listener(port))
        pool.member(shared, 8080)
        pool.monitor(delay=delay)
    found = {key: options["interval"] for key, options in lb.checks().items()}
    assert found == {f"{lb.vip}:80": "5", f"{lb.vip}:81": "9"}


def test_d58_probing_port_is_made_once_by_many(project):
    """Several pools monitored at once share one port of the subnet."""
    network = project.network()
    monitor = {"type": "TCP", "delay": 5, "timeout": 3, "max_retries": 3}
    pools = [
        {
            "name": f"pool-{number}",
            "protocol": "TCP",
            "lb_algorithm": "SOURCE_IP_PORT",
            "members": [{"address": network.vm(), "protocol_port": 80}],
            "healthmonitor": monitor,
        }
        for number in range(4)
    ]
    listeners = [
        {"protocol": "TCP", "protocol_port": 80 + number, "default_pool": f"pool-{number}"}
        for number in range(4)
    ]
    project.load_balancer(network, listeners=listeners, pools=pools)
    assert len(project.monitor_ports(network)) == 1


@pytest.mark.parametrize("kind", ["HTTP", "HTTPS", "PING", "TLS-HELLO", "SCTP"])
def test_x2_monitors_that_ovn_cannot_do_are_unsupported(project, kind):
    """The answer is 501; pool and load balancer stay as they were."""
    lb = project.serving(project.network())
    before = lb.rows()
    project.refused(
        "create_health_monitor",
        lb.pools()[0].id,
        type=kind,
        delay=5,
        timeout=3,
        max_retries=3,
    )
    assert lb.rows() == before


def test_udp_pool_takes_a_udp_monitor_and_no_tcp_one(project):
    """OVN probes in the protocol of the vip, so a TCP monitor on a UDP pool is refused."""
    network = project.network()
    lb = project.load_balancer(network)
    pool = lb.pool(lb.listener(53, "UDP"), "UDP")
    pool.member(network.vm(), 53)
    project.refused("create_health_monitor", pool.id, type="TCP", delay=5, timeout=3, max_retries=3)
    pool.monitor(type="UDP-CONNECT")
    assert list(lb.checks()) == [f"{lb.vip}:53"]


def test_d37_backup_serves_when_all_others_are_down(project):
    """A finding brings it into vips, the recovery of one takes it out."""
    network = project.network()
    lb = project.serving(network, members=2)
    pool = lb.pools()[0]
    first = addresses_of(pool)
    backup = pool.member(network.vm(), backup=True).row["ip_address"]
    pool.monitor()
    key = f"{lb.vip}:80"
    for address in first:
        project.health(address, "offline")
    project.wait(lambda: f"{backup}:80" in lb.vips()[key], "the backup serves")
    project.health(first[0], "online")
    project.wait(lambda: f"{backup}:80" not in lb.vips()[key], "the backup leaves")
    project.settled(lb)


def test_d47_monitor_of_a_disabled_pool_ends(project):
    """Creating and deleting a monitor on a disabled pool ends for all objects."""
    lb = project.serving(project.network())
    pool = lb.pools()[0]
    pool.update(admin_state_up=False)
    monitor = pool.monitor()
    assert lb.checks() == {}
    monitor.delete()
    pool.update(admin_state_up=True)
    assert len(lb.vips()) == 1


def test_b46_monitor_row_that_another_client_deletes_is_no_error(project):
    """northd makes it again; the member does not stay down."""
    lb = project.serving(project.network(), monitor=True)
    member = lb.pools()[0].members()[0]
    address = member.row["ip_address"]
    project.health(address, "online")
    becomes(project, member, "ONLINE")
    project.lab.sb.transact(delete("Service_Monitor", [["ip", "==", address]]))
    project.health(address, "online")
    becomes(project, member, "ONLINE")
    assert len(lb.vips()) == 1


def test_b58_good_mappings_are_not_touched(project):
    """Health events write no row at all."""
    lb = project.serving(project.network(), members=2, monitor=True)
    member = lb.pools()[0].members()[0]
    before = [(row["ip_port_mappings"], row["vips"], row["health_check"]) for row in lb.rows()]
    project.health(member.row["ip_address"], "offline")
    becomes(project, member, "ERROR")
    project.quiesce()
    after = [(row["ip_port_mappings"], row["vips"], row["health_check"]) for row in lb.rows()]
    assert after == before
    project.lab.sb.transact(
        update("Service_Monitor", [["ip", "==", member.row["ip_address"]]], {"status": "online"})
    )
    becomes(project, member, "ONLINE")
