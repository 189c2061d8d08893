# SPDX-License-Identifier: Apache-2.0
"""Members: one by one and in batches."""

import collections

import pytest


def weights(lb):
    """Backend -> how often it stands in the one key of vips."""
    (backends,) = lb.vips().values()
    return collections.Counter(backends)


def addresses(lb):
    """The distinct backends of the one key of vips."""
    return set(weights(lb))


def test_b28_b29_members_without_subnet_are_created_changed_and_deleted(project):
    """The subnet comes from the VIP's, though Octavia never learns it."""
    network = project.network()
    lb = project.serving(network)
    member = lb.pools()[0].member(network.vm())
    member.update(admin_state_up=False)
    member.update(admin_state_up=True)
    assert len(addresses(lb)) == 2
    member.delete()
    assert len(addresses(lb)) == 1


def test_b29_batch_with_members_without_subnet(project):
    """Batch updates accept subnet_id None, and absent."""
    network = project.network()
    lb = project.serving(network)
    pool = lb.pools()[0]
    kept = pool.members()[0].row["ip_address"]
    none = {"address": network.vm(), "protocol_port": 80, "subnet_id": None}
    pool.batch(kept, none, network.vm())
    assert len(addresses(lb)) == 3


def test_b28_member_on_a_neighbour_of_the_vip_needs_no_subnet(project):
    """An address on another network of the VIP's router finds its subnet there."""
    network, other = project.network(), project.network()
    project.router(network, other)
    lb = project.serving(network)
    member = lb.pools()[0].member(other.vm())
    (value,) = (v for k, v in lb.external_ids().items() if k.startswith("pool_"))
    assert f"member_{member.id}_{member.row['ip_address']}:80_{other.subnet}" in value


def test_b30_member_on_no_subnet_is_refused(project):
    """Without a subnet, an address that none around holds is refused; the pool stays."""
    lb = project.serving(project.network())
    before = lb.rows()
    project.refused("create_member", lb.pools()[0].id, address="203.0.113.7", protocol_port=80)
    assert lb.rows() == before


def test_b31_b32_batch_on_an_empty_pool_and_to_the_empty_list(project):
    """A pool is filled and emptied by batches."""
    network = project.network()
    lb = project.serving(network, members=0)
    pool = lb.pools()[0]
    pool.batch(network.vm(), network.vm())
    assert len(addresses(lb)) == 2
    pool.batch()
    assert lb.vips() == {}
    assert pool.members() == []


def test_b34_batch_with_one_bad_member_changes_nothing(project):
    """One unsupported member refuses the whole batch: no row, no status."""
    network = project.network()
    lb = project.serving(network)
    before = lb.rows()
    old = lb.pools()[0].members()[0].row["ip_address"]
    bad = {"address": network.vm(), "protocol_port": 80, "monitor_port": 8080}
    members = [
        {"address": network.vm(), "protocol_port": 80},
        {"address": old, "protocol_port": 80},
        bad,
    ]
    project.refused("batch_update_members", lb.pools()[0].id, members)
    assert lb.rows() == before


@pytest.mark.parametrize("field", [{"monitor_port": 8080}, {"monitor_address": "10.0.0.9"}])
def test_b34_monitor_address_and_port_are_unsupported(project, field):
    """Alone, and as an update."""
    network = project.network()
    lb = project.serving(network)
    pool = lb.pools()[0]
    project.refused("create_member", pool.id, address=network.vm(), protocol_port=80, **field)
    project.refused("update_member", pool.members()[0].id, **field)


def test_b35_member_update_with_every_mutable_field(project):
    """Name, weight, backup and state are changed; absent subnets do not matter."""
    network = project.network()
    lb = project.serving(network)
    member = lb.pools()[0].member(network.vm())
    member.update(name="new", weight=3, backup=False, admin_state_up=True)
    assert weights(lb)[f"{member.row['ip_address']}:80"] == 3


def test_b36_b37_disabled_member_gets_no_traffic(project):
    """Created disabled it is OFFLINE and not in vips; enabled it is, with NO_MONITOR."""
    network = project.network()
    lb = project.serving(network)
    member = lb.pools()[0].member(network.vm(), admin_state_up=False)
    assert member.operating == "OFFLINE"
    assert len(addresses(lb)) == 1
    member.update(admin_state_up=True)
    assert member.operating == "NO_MONITOR"
    assert len(addresses(lb)) == 2


def test_b38_member_that_the_row_does_not_know_can_be_deleted(project):
    """The pool's key was emptied: the member is DELETED all the same."""
    lb = project.serving(project.network(), members=2)
    member = lb.pools()[0].members()[0]
    row = lb.rows()[0]
    key = next(key for key in row["external_ids"] if key.startswith("pool_"))
    kept = [m for m in row["external_ids"][key].split(",") if member.id not in m]
    where = [["_uuid", "==", ["uuid", row["_uuid"]]]]
    project.lab.nb.transact(
        {
            "op": "mutate",
            "table": "Load_Balancer",
            "where": where,
            "mutations": [
                ["external_ids", "delete", ["set", [key]]],
                ["external_ids", "insert", ["map", [[key, ",".join(kept)]]]],
            ],
        }
    )
    member.delete()
    assert not member.exists


def test_b42_backends_parse_as_address_and_port(project):
    """Every value of vips is a list of address:port."""
    lb = project.serving(project.network(), members=3)
    for backend in addresses(lb):
        address, port = backend.rsplit(":", 1)
        assert address.count(".") == 3
        assert port == "80"


@pytest.mark.parametrize("count", [2, 40])
def test_b43_d63_batch_costs_the_same_with_any_size(project, count):
    """Transactions, status messages and Neutron requests do not grow with the members."""
    network = project.network()
    lb = project.serving(network, members=0)
    members = [network.vm() for _ in range(count)]
    lab = project.lab
    project.quiesce()
    statuses = len(lab.octavia.statuses)
    requests = lab.neutron.http.request_count()
    lb.pools()[0].batch(*members)
    assert len(addresses(lb)) == count
    assert len(lab.octavia.statuses) - statuses <= 2
    assert lab.neutron.http.request_count() - requests <= 2


def test_b43_member_is_replaced_by_another_in_one_batch(project):
    """Removed, kept and new members in one call: vips never stand empty on the way."""
    network = project.network()
    lb = project.serving(network, members=2)
    pool = lb.pools()[0]
    kept, gone = (member.row["ip_address"] for member in pool.members())
    seen = []
    project.lab.nb_log.skip()
    new = network.vm()
    pool.batch(kept, new)
    for record in project.lab.nb_log.read():
        for changed in record.get("Load_Balancer", {}).values():
            seen += [changed["vips"]] if changed and "vips" in changed else []
    assert ["map", []] not in seen
    assert addresses(lb) == {f"{kept}:80", f"{new}:80"}
    assert f"{gone}:80" not in addresses(lb)


def test_additive_batch_keeps_the_others(project):
    """With additive_only, members that are not named stay."""
    network = project.network()
    lb = project.serving(network, members=2)
    lb.pools()[0].batch(network.vm(), additive_only=True)
    assert len(addresses(lb)) == 3


def test_batch_changes_weights(project):
    """An existing member in a batch takes the fields of the body."""
    network = project.network()
    lb = project.serving(network, members=2)
    first, second = (member.row["ip_address"] for member in lb.pools()[0].members())
    lb.pools()[0].batch({"address": first, "protocol_port": 80, "weight": 3}, second)
    assert weights(lb) == {f"{first}:80": 3, f"{second}:80": 1}


def test_d37_weights_are_shares_of_the_connections(project):
    """Members of weight 10 and 30 stand once and three times in vips."""
    network = project.network()
    lb = project.serving(network, members=0)
    pool = lb.pools()[0]
    light = pool.member(network.vm(), weight=10).row["ip_address"]
    heavy = pool.member(network.vm(), weight=30).row["ip_address"]
    assert weights(lb) == {f"{light}:80": 1, f"{heavy}:80": 3}


def test_d37_weights_never_make_more_than_256_entries(project):
    """However odd the weights, a vip stays within what the data plane bears."""
    network = project.network()
    lb = project.serving(network, members=0)
    pool = lb.pools()[0]
    light = pool.member(network.vm(), weight=1).row["ip_address"]
    heavy = pool.member(network.vm(), weight=256).row["ip_address"]
    found = weights(lb)
    assert sum(found.values()) <= 256
    assert 1 <= found[f"{light}:80"] <= 3
    assert found[f"{heavy}:80"] > 200


def test_d37_weight_zero_drains(project):
    """The member leaves vips, is not an error, and comes back with its weight."""
    network = project.network()
    lb = project.serving(network)
    member = lb.pools()[0].member(network.vm(), weight=0)
    assert len(addresses(lb)) == 1
    assert lb.operating == "ONLINE"
    member.update(weight=1)
    assert len(addresses(lb)) == 2
    member.update(weight=0)
    assert len(addresses(lb)) == 1


def test_d37_backup_serves_only_while_no_other_can(project):
    """It is in vips when the others are disabled, drained or gone, and leaves when one is back."""
    network = project.network()
    lb = project.serving(network)
    first = lb.pools()[0].members()[0]
    backup = lb.pools()[0].member(network.vm(), backup=True)
    primary_key, backup_key = (f"{member.row['ip_address']}:80" for member in (first, backup))
    assert addresses(lb) == {primary_key}
    first.update(admin_state_up=False)
    assert addresses(lb) == {backup_key}
    first.update(admin_state_up=True)
    assert addresses(lb) == {primary_key}
    first.update(weight=0)
    assert addresses(lb) == {backup_key}
    first.delete()
    assert addresses(lb) == {backup_key}


def test_one_backend_in_two_pools_and_on_two_ports(project):
    """The same address serves in several pools, on several ports."""
    network = project.network()
    address = network.vm()
    lb = project.load_balancer(network)
    for port in (80, 81):
        pool = lb.pool(lb.listener(port))
        pool.member(address, 8080)
        pool.member(address, 8081)
    assert list(lb.vips().values()) == [[f"{address}:8080", f"{address}:8081"]] * 2
    lb.pools()[0].members()[0].delete()
    assert sorted(lb.vips().values()) == [
        [f"{address}:8080", f"{address}:8081"],
        [f"{address}:8081"],
    ]


def test_b41_member_of_another_family_is_refused(project):
    """An IPv4 load balancer cannot serve an IPv6 member."""
    network = project.network(4, 6)
    lb = project.serving(network)
    project.refused(
        "create_member",
        lb.pools()[0].id,
        address=network.vm(network.subnets[6]),
        protocol_port=80,
        subnet_id=network.subnets[6],
    )


def test_d40_members_that_cannot_be_created_are_not_active(project):
    """A pool in a disabled load balancer still takes members, and they end."""
    network = project.network()
    lb = project.serving(network, admin_state_up=False)
    member = lb.pools()[0].member(network.vm())
    assert member.provisioning == "ACTIVE"
    lb.update(admin_state_up=True)
    assert len(addresses(lb)) == 2


def test_d50_member_right_after_its_pool(project):
    """Members of a new pool end although the pool was made a moment ago."""
    network = project.network()
    lb = project.load_balancer(network)
    pool = lb.pool(lb.listener())
    for _ in range(3):
        assert pool.member(network.vm()).provisioning == "ACTIVE"
    assert len(addresses(lb)) == 3


def test_d51_fast_updates_are_not_overwritten_by_octavias_commit(project):
    """Twenty updates of one member in a row: none stays PENDING_UPDATE."""
    lb = project.serving(project.network())
    member = lb.pools()[0].members()[0]
    for number in range(20):
        member.update(weight=number + 1)
    assert member.provisioning == "ACTIVE"
