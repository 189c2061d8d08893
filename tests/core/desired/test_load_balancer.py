# SPDX-License-Identifier: Apache-2.0
"""Every column of the rows that a load balancer should have."""

import dataclasses
import json

import pytest

from octavia_ovn.core import codec, model
from octavia_ovn.core.desired.load_balancer import deleting
from octavia_ovn.core.rows import Row
from octavia_ovn.core.topology import Attachments
from tests.core.builders import (
    VIP,
    balancer,
    health,
    listener,
    member,
    monitor,
    pool,
    recorded,
    render,
    row,
    settle,
    stored,
    vip,
    vips,
    web,
)
from tests.core.desired.lbs import (
    BOTH,
    FIP,
    FOUR,
    ONE,
    SOURCE_IP,
    TWO,
    TWO_FIELDS,
    UDP,
    V6,
    of,
    without,
)

# What there is, and `vips`.
VIPS = {
    "no listener": (balancer(pools=web(member(1)).pools), {}),
    "no pool": (balancer([listener(pool_id=None)]), {}),
    "no member": (web(), {}),
    "a member": (web(member(1)), {f"{VIP}:80": ONE}),
    "members in their order": (web(member(2), member(1)), {f"{VIP}:80": f"{TWO},{ONE}"}),
    "disabled load balancer": (without("load balancer"), {}),
    "disabled listener": (without("listeners"), {}),
    "disabled pool": (without("pools"), {}),
    "disabled member": (of(enabled=False), {f"{VIP}:80": ONE}),
    "only disabled members": (web(member(1, enabled=False)), {f"{VIP}:80": ""}),
    "weights": (of(weight=3), {f"{VIP}:80": f"{ONE},{TWO},{TWO},{TWO}"}),
    "drained member": (of(weight=0), {f"{VIP}:80": ONE}),
    "only drained members": (web(member(1, weight=0)), {f"{VIP}:80": ""}),
    "backup waits": (of(backup=True), {f"{VIP}:80": ONE}),
    "backup serves alone": (web(member(2, backup=True)), {f"{VIP}:80": TWO}),
    "backup for a disabled member": (
        web(member(1, enabled=False), member(2, backup=True)),
        {f"{VIP}:80": TWO},
    ),
    "backup for a drained member": (
        web(member(1, weight=0), member(2, backup=True)),
        {f"{VIP}:80": TWO},
    ),
    "two listeners of one pool": (
        balancer([listener(), listener("l2", 81)], web(member(1)).pools),
        {f"{VIP}:80": ONE, f"{VIP}:81": ONE},
    ),
    "IPv6": (
        balancer([listener()], [pool(members=[member(address="fd00::7")])], vips=(vip(V6),)),
        {f"[{V6}]:80": "[fd00::7]:80"},
    ),
    "members of both families": (
        balancer(
            [listener()],
            [pool(members=[member(1), member(7, address="fd00::7")])],
            vips=(vip(), vip(V6), vip("10.1.0.5")),
        ),
        {f"{VIP}:80": ONE, f"[{V6}]:80": "[fd00::7]:80", "10.1.0.5:80": ONE},
    ),
    "a family without member": (
        balancer([listener()], web(member(1)).pools, vips=(vip(), vip(V6))),
        {f"{VIP}:80": ONE, f"[{V6}]:80": ""},
    ),
}


@pytest.mark.parametrize(("lb", "wanted"), VIPS.values(), ids=VIPS)
def test_vips(lb, wanted):
    assert wanted == vips(lb)


def test_two_protocols_on_one_port_are_in_two_rows():
    lb = balancer(
        [listener("l1", 53), listener("l2", 53, "p2", **UDP)],
        [pool(members=[member(1)]), pool("p2", [member(2)], **UDP)],
    )

    found = {each.protocol: each.vips for each in render(lb)}

    assert found == {"tcp": {f"{VIP}:53": ONE}, "udp": {f"{VIP}:53": TWO}}


class TestFloatingIps:
    def test_serve_as_the_vip_does(self):
        assert vips(web(member(1)), floating_ips={VIP: FIP}) == {f"{VIP}:80": ONE, f"{FIP}:80": ONE}

    def test_have_keys_of_their_own(self):
        lb = balancer(vips=(vip(), vip("10.1.0.5"), vip("10.1.0.6")))
        fips = {VIP: FIP, "10.1.0.5": "10.73.1.5", "10.1.0.6": "10.73.1.6"}

        (found,) = render(lb, floating_ips=fips)

        assert found.external_ids["neutron:vip_fip"] == FIP
        assert found.external_ids["neutron:additional_vip_fips"] == "10.73.1.5,10.73.1.6"

    def test_leave_no_key_behind(self):
        lb = balancer(vips=(vip(), vip("10.1.0.5")))
        before = stored(lb, floating_ips={VIP: FIP, "10.1.0.5": "10.73.1.5"})

        (found,) = render(lb, before)

        assert not {key for key in found.external_ids if "fip" in key}


class TestHealth:
    LB = web(member(1), member(2), member(3, backup=True), monitor=monitor())

    def test_a_member_that_is_down_stays_listed(self):
        assert vips(self.LB, health=health(down=["10.0.0.1"])) == {f"{VIP}:80": BOTH}

    def test_backups_serve_beside_members_that_are_down(self):
        dead = health(down=["10.0.0.1", "10.0.0.2"])

        assert vips(self.LB, health=dead) == {f"{VIP}:80": f"{BOTH},10.0.0.3:80"}

    def test_what_is_not_known_or_cannot_be_checked_is_served(self):
        assert vips(self.LB, health=health(unchecked=[1])) == {f"{VIP}:80": BOTH}

    def test_a_member_that_cannot_be_reached_is_left_out(self):
        assert vips(self.LB, health=health(unreachable=[1])) == {f"{VIP}:80": TWO}

    def test_backups_step_in_when_no_other_can_be_reached(self):
        gone = health(unreachable=[1], down=["10.0.0.2"])

        assert vips(self.LB, health=gone) == {f"{VIP}:80": f"{TWO},10.0.0.3:80"}

    def test_connections_are_refused_when_no_member_can_be_reached(self):
        (found,) = render(self.LB, health=health(unreachable=[1, 2, 3]))

        assert found.vips == {f"{VIP}:80": ""}
        assert found.options["reject"] == "true"
        assert found.health_checks == ()

    @pytest.mark.parametrize("weight", [0, 1])
    def test_a_member_without_monitor_that_cannot_be_reached(self, weight):
        lb = web(member(1), member(2, weight=weight))

        assert vips(lb, health=health(unreachable=[1])) == {f"{VIP}:80": TWO if weight else ""}

    def test_a_place_is_kept_for_a_member_that_cannot_be_reached(self):
        lb = web(member(1), member(2), member(3), algorithm=SOURCE_IP)

        (backends,) = vips(lb, health=health(unreachable=[1])).values()

        assert backends.split(",")[1:] == ["10.0.0.2:80", "10.0.0.3:80"]

    def test_unmonitored_members_are_never_down(self):
        lb = web(member(1), member(3, backup=True), monitor=monitor(enabled=False))

        assert vips(lb, health=health(down=["10.0.0.1"])) == {f"{VIP}:80": ONE}


class TestLostVips:
    LB = balancer([listener()], [pool(members=[member(1)])], vips=(vip(), vip("10.1.0.5")))
    KEY = "octavia:lost_vips"

    def test_are_not_served_and_neither_are_their_floating_ips(self):
        (found,) = render(self.LB, floating_ips={VIP: FIP}, lost={VIP: "it is gone"})

        assert found.vips == {"10.1.0.5:80": ONE}
        assert codec.read_lost_vips([found]) == {VIP: "it is gone"}

    def test_are_recorded_until_octavia_has_the_report(self):
        (before,) = stored(self.LB, lost={VIP: "it is gone"})
        (between,) = stored(self.LB, [before], lost={})
        (after,) = render(self.LB, [between])

        assert codec.read_lost_vips([between]) == {}
        assert between.vips == after.vips == {f"{VIP}:80": ONE, "10.1.0.5:80": ONE}
        assert codec.read_lost_vips([after]) is None
        assert self.KEY not in after.external_ids

    @pytest.mark.parametrize("text", ["", "[]", "{", '{"10.0.0.100": 7}', "null"])
    def test_what_cannot_be_read_loses_nothing(self, text):
        (row,) = stored(self.LB)
        row = dataclasses.replace(row, external_ids={**row.external_ids, self.KEY: text})

        assert codec.read_lost_vips([row]) == {}

    def test_a_replacement_port_is_kept_by_the_rows(self):
        stand_in = dataclasses.replace(vip(), port_id="new", replaces="vip-port")
        lb = balancer(vips=(stand_in,))

        assert codec.decode(stored(lb)).lb == lb


class TestPlaces:
    def test_clients_keep_their_members(self):
        lb = web(member(2), member(3), algorithm=SOURCE_IP, slots=("", "m2", "m3"))

        (backends,) = vips(lb).values()

        assert backends.split(",")[1:] == ["10.0.0.2:80", "10.0.0.3:80"]


class TestReferences:
    PLACES = Attachments(frozenset({"neutron-net1"}), frozenset({"R1"}), {"neutron-net1": 2}, "R1")

    def test_attachments_are_those_of_the_facts(self):
        (found,) = render(web(), attachments=self.PLACES)

        assert (found.switches, found.routers) == ({"neutron-net1"}, {"R1"})
        assert json.loads(found.external_ids["ls_refs"]) == {"neutron-net1": 2}
        assert found.external_ids["lr_ref"] == "R1"

    def test_no_router_no_key(self):
        before = stored(web(), attachments=self.PLACES)

        (found,) = render(web(), before)

        assert found.external_ids["ls_refs"] == "{}"
        assert "lr_ref" not in found.external_ids


class TestRows:
    TWO_POOLS = balancer(
        [listener(), listener("l2", 81, "p2")],
        [pool(members=[member(1)]), pool("p2", [member(2)], algorithm=SOURCE_IP)],
    )

    def test_pools_that_differ_have_rows_of_their_own(self):
        found = {tuple(each.vips): set(each.selection_fields) for each in render(self.TWO_POOLS)}

        assert found == {(f"{VIP}:81",): TWO_FIELDS, (f"{VIP}:80",): FOUR}

    def test_rows_that_continue_keep_their_uuids(self):
        before = stored(self.TWO_POOLS)

        again = render(self.TWO_POOLS, reversed(before))

        assert [each.uuid for each in again] == [each.uuid for each in before]
        assert again == before

    def test_member_statuses_are_in_the_row_of_the_members(self):
        found = render(self.TWO_POOLS, member_status={"m1": "ONLINE", "m2": "ERROR", "m9": "ERROR"})

        assert [each.external_ids["neutron:member_status"] for each in found] == [
            '{"m2": "ERROR"}',
            '{"m1": "ONLINE"}',
        ]

    def test_the_first_listener_gives_the_row_its_protocol(self):
        before = stored(balancer())
        assert before[0].protocol == ""

        (found,) = render(web(), before)

        assert (found.uuid, found.protocol) == (before[0].uuid, "tcp")

    def test_foreign_keys_stay_and_old_intent_is_removed(self):
        before = row(external_ids={"neutron:vip": VIP, "mine": "x", "pool_p9": ""})

        (found,) = render(web(), [before])

        assert found.external_ids["mine"] == "x"
        assert "pool_p9" not in found.external_ids


def test_the_walk_through_of_the_reference_document():
    lb = balancer(
        [listener()],
        [pool(members=[member(10)])],
        vips=(vip("10.0.0.113"),),
    )

    (found,) = render(lb, floating_ips={"10.0.0.113": FIP}, member_status={"m10": "NO_MONITOR"})

    assert found.name == "lb1"
    assert found.protocol == "tcp"
    assert found.selection_fields == {"ip_dst", "ip_src", "tp_dst", "tp_src"}
    assert found.vips == {"10.0.0.113:80": "10.0.0.10:80", f"{FIP}:80": "10.0.0.10:80"}
    expected = {
        "enabled": "True",
        "listener_l1": "80:pool_p1",
        "pool_p1": "member_m10_10.0.0.10:80_sub1",
        "neutron:vip": "10.0.0.113",
        "neutron:vip_port_id": "vip-port",
        "neutron:vip_fip": FIP,
        "neutron:member_status": '{"m10": "NO_MONITOR"}',
    }
    assert expected.items() <= found.external_ids.items()


class TestDeleting:
    def test_leaves_one_row_that_serves_nothing(self):
        places = Attachments(frozenset({"s"}), frozenset({"r"}), {"s": 1}, "r")
        before = stored(
            TestRows.TWO_POOLS, attachments=places, mappings={"10.0.0.1": "port1:10.0.0.9"}
        )

        (left,) = deleting(before)

        assert left == Row(
            "lb1",
            "tcp",
            left.external_ids,
            options={"reject": "true"},
            selection_fields=left.selection_fields,
        )
        assert left.uuid == min(each.uuid for each in before)

    def test_keeps_the_row_with_the_pending_objects(self):
        first, second = settle(recorded(TestRows.TWO_POOLS))
        ids = {**second.external_ids, "octavia:pending": "{}"}
        second = dataclasses.replace(second, external_ids=ids)

        assert deleting([first, second]) == (second,)


@pytest.mark.parametrize(
    ("fields", "entries"),
    [({}, 1), ({"algorithm": model.Algorithm.SOURCE_IP}, 2)],
    ids=["by connection", "by client, a place for each"],
)
def test_two_members_with_one_address_are_one_backend(fields, entries):
    lb = web(member(1), member(2, address=member(1).address), **fields)

    assert vips(lb) == {f"{VIP}:80": ",".join(["10.0.0.1:80"] * entries)}


def test_of_two_members_with_one_address_the_enabled_one_counts():
    lb = web(member(1, enabled=False), member(2, address=member(1).address))

    assert vips(lb) == {f"{VIP}:80": "10.0.0.1:80"}
