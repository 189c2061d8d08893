# SPDX-License-Identifier: Apache-2.0
"""Health monitors, and what the data plane finds about the members."""

import pytest

from tests.lab.ovsdb import delete, update

OPTIONS = {"interval": "5", "timeout": "3", "success_count": "3", "failure_count": "3"}


def addresses_of(pool):
    return [member.row["ip_address"] for member in pool.members()]


def becomes(project, thing, status):
    project.wait(lambda: thing.operating == status, f"{thing.name} becomes {status}")


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


def test_b39_b50_member_without_port_is_not_online_and_the_monitor_is_not_in_error(project):
    """It may be an address pair, or outside OVN: it is served, and not reported healthy."""
    network = project.network()
    lb = project.serving(network)
    pool = lb.pools()[0]
    typo = pool.member(network.vm().rsplit(".", 1)[0] + ".77", subnet_id=network.subnet)
    monitor = pool.monitor()
    assert typo.operating == "NO_MONITOR"
    assert monitor.provisioning == "ACTIVE"
    assert f"{typo.row['ip_address']}:80" in lb.vips()[f"{lb.vip}:80"]


def test_member_whose_port_appears_later_is_picked_up(project):
    """Its mapping is made, and it becomes ONLINE when the data plane says so."""
    network = project.network()
    lb = project.serving(network, monitor=True)
    late = network.vm().rsplit(".", 1)[0] + ".88"
    member = lb.pools()[0].member(late, subnet_id=network.subnet)
    assert member.operating == "NO_MONITOR"
    port = network.port(address=late)
    project.wait(
        lambda: lb.mappings().get(late, "").startswith(port["id"]),
        "the member is mapped to its port",
    )
    project.health(late, "online")
    becomes(project, member, "ONLINE")


def test_b40_disabled_and_enabled_member_of_a_monitored_pool(project):
    """Disabled: OFFLINE, out of vips. Enabled: back in vips, mapped, with the found status."""
    lb = project.serving(project.network(), members=2, monitor=True)
    member = lb.pools()[0].members()[0]
    address = member.row["ip_address"]
    before = lb.vips()
    project.health(address, "online")
    member.update(admin_state_up=False)
    assert member.operating == "OFFLINE"
    assert before != lb.vips()
    member.update(admin_state_up=True)
    assert lb.vips() == before
    assert address in lb.mappings()
    project.health(address, "offline")
    becomes(project, member, "ERROR")


def test_b44_shared_backend_is_in_error_in_both_load_balancers(project):
    """One finding of the data plane concerns every load balancer with that backend."""
    network = project.network()
    lbs = [project.serving(network, members=2), project.serving(network, members=2)]
    shared = network.vm()
    members = []
    for lb in lbs:
        members.append(lb.pools()[0].member(shared))
        lb.pools()[0].monitor()
    project.health(shared, "offline")
    for lb, member in zip(lbs, members, strict=True):
        becomes(project, member, "ERROR")
        becomes(project, lb.pools()[0], "DEGRADED")
        assert lb.operating in ("DEGRADED", "ERROR")
    project.health(shared, "online")
    for lb, member in zip(lbs, members, strict=True):
        becomes(project, member, "ONLINE")
        becomes(project, lb, "ONLINE")
    project.settled()


def test_b44_all_members_down_is_an_error_of_the_whole_tree(project):
    """Pool, listener and load balancer are in ERROR, and come back."""
    lb = project.serving(project.network(), members=2, monitor=True)
    pool = lb.pools()[0]
    for address in addresses_of(pool):
        project.health(address, "offline")
    tree = [pool, lb.listeners()[0], lb]
    for thing in tree:
        becomes(project, thing, "ERROR")
    for address in addresses_of(pool):
        project.health(address, "online")
    for thing in tree:
        becomes(project, thing, "ONLINE")
    project.settled(lb)


def test_b46_port_of_a_member_is_deleted(project):
    """A member whose VM is gone is not ONLINE any more: no check runs."""
    network = project.network()
    lb = project.serving(network, monitor=True)
    port = network.port()
    member = lb.pools()[0].member(port["fixed_ips"][0]["ip_address"])
    project.health(member.row["ip_address"], "online")
    becomes(project, member, "ONLINE")
    project.neutron.delete_port(port["id"])
    becomes(project, member, "NO_MONITOR")
    project.settled(lb)


def test_port_of_a_member_is_down_and_up_again(project):
    """It gets no connections meanwhile, and is back without anybody's doing."""
    network = project.network()
    lb = project.serving(network, monitor=True)
    port = network.port()
    member = lb.pools()[0].member(port["fixed_ips"][0]["ip_address"])
    before = lb.vips()
    project.neutron.hypervisor.plug(port["id"], up=False)
    becomes(project, member, "ERROR")
    assert before != lb.vips()
    project.settled(lb)
    project.neutron.hypervisor.plug(port["id"])
    project.wait(lambda: lb.vips() == before, "the member is back")
    project.health(member.row["ip_address"], "online")
    becomes(project, member, "ONLINE")
    project.settled(lb)


def test_address_of_a_member_becomes_a_vip(project):
    """OVN does not balance twice: the member gets nothing and is in ERROR while that is so."""
    network = project.network()
    lb = project.serving(network, monitor=True)
    address = network.vm().rsplit(".", 1)[0] + ".99"
    before = lb.vips()
    member = lb.pools()[0].member(address, subnet_id=network.subnet)
    assert member.operating == "NO_MONITOR"
    other = project.load_balancer(network, vip_address=address)
    becomes(project, member, "ERROR")
    assert lb.vips() == before
    other.delete()
    becomes(project, member, "NO_MONITOR")
    assert lb.vips() != before
    project.settled(lb)


def test_address_of_a_member_becomes_a_routers(project):
    """The same, for a router's interface."""
    network = project.network()
    lb = project.serving(network)
    gateway = network.vm().rsplit(".", 1)[0] + ".1"
    member = lb.pools()[0].member(gateway, subnet_id=network.subnet)
    assert member.operating == "NO_MONITOR"
    project.router(network)
    becomes(project, member, "ERROR")
    project.settled(lb)


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


def test_d3_monitor_does_not_revive_disabled_members(project):
    """Neither creating nor deleting one puts a disabled member into vips."""
    lb = project.serving(project.network(), members=2)
    pool = lb.pools()[0]
    member = pool.members()[0]
    member.update(admin_state_up=False)
    before = lb.vips()
    monitor = pool.monitor()
    assert (lb.vips(), member.operating) == (before, "OFFLINE")
    monitor.delete()
    assert (lb.vips(), member.operating) == (before, "OFFLINE")


def test_d24_finding_about_one_address_is_not_of_another_that_begins_alike(project):
    """10.0.0.1:80 offline says nothing about 10.0.0.10:8080."""
    network = project.network()
    prefix = network.vm().rsplit(".", 1)[0]
    lb = project.serving(network, members=0)
    pool = lb.pools()[0]
    short, long = network.vm(address=f"{prefix}.12"), network.vm(address=f"{prefix}.120")
    other = pool.member(long, 8080)
    member = pool.member(short, 80)
    pool.monitor()
    project.health(long, "online", 8080)
    project.health(short, "offline")
    becomes(project, member, "ERROR")
    assert other.operating == "ONLINE"


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
