# SPDX-License-Identifier: Apache-2.0
"""Members that a health monitor checks: their ports, their addresses and their statuses."""

from tests.scenarios.steps import addresses_of, becomes


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


def monitored(project):
    """A load balancer with a monitor, a member of it, and the member's port."""
    network = project.network()
    lb = project.serving(network, monitor=True)
    port = network.port()
    return lb, lb.pools()[0].member(port["fixed_ips"][0]["ip_address"]), port


def test_b46_port_of_a_member_is_deleted(project):
    """A member whose VM is gone is not ONLINE any more: no check runs."""
    lb, member, port = monitored(project)
    project.health(member.row["ip_address"], "online")
    becomes(project, member, "ONLINE")
    project.neutron.delete_port(port["id"])
    becomes(project, member, "NO_MONITOR")
    project.settled(lb)


def test_port_of_a_member_is_down_and_up_again(project):
    """It gets no connections meanwhile, and is back without an intervention."""
    lb, member, port = monitored(project)
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
