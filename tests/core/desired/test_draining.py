# SPDX-License-Identifier: Apache-2.0
"""Members that leave keep their connections until a deadline: the rows, step by step."""

import dataclasses

import pytest

from octavia_ovn.core import codec, model
from octavia_ovn.core.desired import draining
from octavia_ovn.core.diff import diff
from octavia_ovn.core.request.record import rows_of
from octavia_ovn.core.rows import DeleteRow
from tests.core.builders import (
    VIP,
    balancer,
    facts,
    health,
    listener,
    member,
    monitor,
    pool,
    render,
    web,
)
from tests.core.desired.drains import DRAIN, KEY, NOW, PLACES, Story, flow, lb
from tests.core.desired.lbs import FIP, ONE, TWO

FAILED = model.Flavor(drain_timeout=60, drain_failed=True)
CHECKED = {"monitor": monitor()}
BOTH_UP = health(up=["10.0.0.1", "10.0.0.2"])
ONE_DOWN = health(up=["10.0.0.2"], down=["10.0.0.1"])


LEAVES = {
    "deleted": (member(2),),
    "disabled": (member(1, enabled=False), member(2)),
    "weight 0": (member(1, weight=0), member(2)),
}


@pytest.mark.parametrize("after", LEAVES.values(), ids=LEAVES)
def test_a_member_that_leaves_is_kept_flushed_and_gone(after):
    story = Story(member(1), member(2)).has(*after)

    assert story.serves == {KEY: TWO}
    assert story.of("keep") == {KEY: ONE}
    assert story.of("flush") == {}
    assert story.deadlines == {flow(): NOW + 60}
    assert story.due == 55

    story.passes(55)
    assert story.of("keep") == story.of("flush") == {KEY: ONE}
    assert story.deadlines == {flow(): NOW + 60}
    assert story.due == 5

    story.passes(5)
    assert story.rows == Story(*after).rows
    assert story.due is None


def test_the_rows_of_a_drain_choose_no_member():
    (_, keep, flush) = Story(member(1), member(2)).has(member(2)).passes(55).rows

    for each in (keep, flush):
        assert each.ip_port_mappings == {}
        assert [check.vip for check in each.health_checks] == [KEY]
        assert each.switches == PLACES.switches
        assert each.routers == PLACES.routers
        assert "lr_ref" not in each.external_ids
        assert codec.decode([each]).lb == dataclasses.replace(lb(), listeners=(), pools=())
    assert keep.options == {}
    assert flush.options == {"ct_flush": "true"}


def test_they_have_the_hairpin_address():
    flavor = dataclasses.replace(DRAIN, hairpin_snat_ip=("192.0.2.7",))
    rows = Story(member(1), flavor=flavor).has().passes(55).rows

    assert {each.options["hairpin_snat_ip"] for each in rows} == {"192.0.2.7"}


def test_without_the_key_nothing_drains():
    before = Story(member(1), member(2), flavor=model.Flavor())

    after = before.has(member(2))
    assert len(after.rows) == 1
    assert "octavia:draining" not in after.rows[0].external_ids
    assert after.due is None


def test_while_ovn_samples_what_it_drops_nothing_drains():
    story = Story(member(1), member(2)).has(member(2)).becomes(lb(member(2)), samples_drops=True)

    assert len(story.rows) == 1
    assert story.due is None


def test_all_members_may_drain():
    story = Story(member(1), member(2)).has(member(1, weight=0), member(2, weight=0))

    assert story.serves == {KEY: ""}
    assert story.of("keep") == {KEY: f"{ONE},{TWO}"}
    assert story.passes(60).of("flush") == {KEY: f"{ONE},{TWO}"}
    assert story.passes(5).of("keep") == {}


def test_the_last_member_drains_without_an_entry_that_serves():
    story = Story(member(1)).has()

    assert story.serves == {}
    assert story.of("keep") == {KEY: ONE}


@pytest.mark.parametrize("back", [member(1), member(3, address="10.0.0.1")], ids=["same", "new"])
def test_a_member_that_comes_back_drains_no_more(back):
    story = Story(member(1), member(2)).has(member(2)).passes(50).has(member(2), back)

    assert story.serves == {KEY: f"{TWO},{ONE}"}
    assert len(story.rows) == 1
    assert story.due is None
    # A second time it has all its time again.
    assert story.has(member(2)).deadlines == {flow(): NOW + 110}


def test_one_that_comes_back_at_the_end_serves_after_it():
    story = Story(member(1), member(2)).has(member(2)).passes(55).has(member(2), member(1))

    assert story.serves == {KEY: TWO}
    assert story.of("flush") == {KEY: ONE}
    # In a transaction of its own: else its connections would be those of a backend that stays.
    story.now += 5
    story.rows = story._settled()
    assert (story.serves, story.of("flush")) == ({KEY: TWO}, {})
    assert story.passes(0).serves == {KEY: f"{TWO},{ONE}"}


def test_each_has_its_own_deadline():
    story = Story(member(1), member(2), member(3)).has(member(2), member(3)).passes(2)
    story.has(member(3))

    assert story.of("keep") == {KEY: f"{ONE},{TWO}"}
    assert story.passes(53).of("flush") == {KEY: ONE}
    flush = story.rows[-1]
    assert story.passes(2).of("flush") == {KEY: f"{ONE},{TWO}"}
    assert story.rows[-1].uuid == flush.uuid
    assert story.passes(3).of("flush") == {KEY: TWO}
    assert story.of("keep") == {KEY: TWO}
    assert story.rows[-1].uuid == flush.uuid
    assert len(story.passes(2).rows) == 1


def test_floating_ips_and_protocols_drain_too():
    udp = model.Protocol.UDP
    before = balancer(
        [listener(), listener("l2", 53, "p2", protocol=udp)],
        [pool(members=[member(1)]), pool("p2", [member(1, port=53)], protocol=udp)],
        flavor=DRAIN,
    )
    after = balancer(
        before.listeners,
        [dataclasses.replace(each, members=()) for each in before.pools],
        flavor=DRAIN,
    )
    story = Story().becomes(before, floating_ips={VIP: FIP}).becomes(after)

    assert story.of("keep") == {
        KEY: ONE,
        f"{FIP}:80": ONE,
        f"{VIP}:53": "10.0.0.1:53",
        f"{FIP}:53": "10.0.0.1:53",
    }
    assert [each.protocol for each in draining.separate(story.rows)[1]] == ["tcp", "udp"]
    assert len(draining.separate(story.passes(55).rows)[1]) == 4


def test_udp_is_not_flushed_at_once():
    udp = {"protocol": model.Protocol.UDP}
    (found,) = render(balancer([listener(**udp)], [pool(**udp)], flavor=DRAIN))

    assert "ct_flush" not in found.options


STAYS = {
    "listener deleted": balancer(pools=web(member(1)).pools, flavor=DRAIN),
    "listener disabled": balancer([listener(enabled=False)], web(member(1)).pools, flavor=DRAIN),
    "pool disabled": lb(member(1), enabled=False),
    "load balancer disabled": dataclasses.replace(lb(member(1)), enabled=False),
    "a backup waits": lb(member(1, backup=True), member(2)),
    "not checked yet": lb(member(1), member(2), **CHECKED),
}


@pytest.mark.parametrize("after", STAYS.values(), ids=STAYS)
def test_others_keep_their_connections_as_ever(after):
    unknown = dataclasses.replace(health(up=["10.0.0.2"]), probed=frozenset({"p1"}))
    story = Story(member(1)).becomes(after, health=unknown)

    assert ONE not in "".join(story.serves.values())
    assert story.deadlines == {}


@pytest.mark.parametrize("after", list(STAYS.values())[:4], ids=list(STAYS)[:4])
def test_what_drains_ends_also_without_its_listener(after):
    story = Story(member(1), member(2)).has(member(2))
    story.becomes(after)

    assert story.deadlines[flow()] == NOW + 60
    assert story.passes(55).of("flush") == {KEY: ONE}


# --- members that fail


@pytest.mark.parametrize("flavor", [DRAIN, FAILED], ids=["stays", "drains"])
def test_a_member_that_fails_drains_if_the_flavor_says_so(flavor):
    """Chassis check it: it leaves `vips`."""
    probed = {"probed": frozenset({"p1"})}
    story = Story(member(1), member(2), flavor=flavor, **CHECKED)
    down = dataclasses.replace(ONE_DOWN, **probed)
    story.becomes(story.lb, health=down, member_status={"m1": "ONLINE"})

    assert story.serves == {KEY: TWO}
    assert story.deadlines == ({flow(): NOW + 60} if flavor is FAILED else {})


def test_one_that_cannot_be_reached_fails():
    story = Story(member(1), member(2), flavor=FAILED)
    story.becomes(story.lb, health=health(unreachable=[1]))

    assert story.deadlines == {flow(): NOW + 60}


def test_one_that_ovn_checks_stays_in_vips_while_it_drains():
    story = Story(member(1), member(2), flavor=FAILED, **CHECKED)
    story.becomes(story.lb, health=BOTH_UP, member_status={"m1": "ONLINE", "m2": "ONLINE"})
    story.becomes(story.lb, health=ONE_DOWN)

    assert story.serves == {KEY: f"{ONE},{TWO}"}
    assert story.deadlines == {flow(): NOW + 60}
    assert story.of("keep") == {}
    story.becomes(story.lb, member_status={"m1": "ERROR"})
    assert story.passes(55).of("flush") == {KEY: ONE}
    assert story.serves == {KEY: f"{ONE},{TWO}"}
    assert story.passes(5).of("flush") == {}
    assert story.due is None


def test_one_that_recovers_drains_no_more():
    story = Story(member(1), member(2), flavor=FAILED, **CHECKED)
    story.becomes(story.lb, health=ONE_DOWN).becomes(story.lb, health=BOTH_UP)

    assert story.deadlines == {}


def test_an_end_is_not_put_off_by_a_failure():
    """It is deleted, created again, and fails: one drain after another."""
    story = Story(member(1), member(2), flavor=FAILED, **CHECKED).has(member(2)).passes(30)
    story.has(member(2), member(1), health=ONE_DOWN)

    assert story.deadlines == {flow(): NOW + 60}


def test_a_short_time_has_a_short_lead():
    flavor = model.Flavor(drain_timeout=5)
    story = Story(member(1), member(2), flavor=flavor).has(member(2))

    assert story.due == 3
    assert story.passes(3).of("flush") == {KEY: ONE}
    assert story.passes(2).deadlines == {}


def test_rows_of_drains_are_no_candidates_for_pools():
    story = Story(member(1), member(2)).has(member(2))
    second = pool("p2", [member(3)], algorithm=model.Algorithm.SOURCE_IP)
    more = balancer([listener(), listener("l2", 81, "p2")], [*story.lb.pools, second], flavor=DRAIN)
    keep = story.rows[-1].uuid
    story.becomes(more)

    assert story.rows[-1].uuid == keep
    assert story.of("keep") == {KEY: ONE}
    assert len(story.rows) == 3


def test_a_comparison_with_octavia_finds_nothing_meanwhile():
    story = Story(member(1), member(2)).has(member(2)).passes(55)

    assert not diff(story.rows, rows_of(story.lb, story.rows))


def test_rows_of_drains_go_with_the_flavor():
    story = Story(member(1), member(2)).has(member(2))
    rows = render(dataclasses.replace(story.lb, flavor=model.Flavor()), story.rows, now=NOW)

    assert [type(each) for each in diff(story.rows, rows) if isinstance(each, DeleteRow)]
    assert facts().samples_drops is False


# --- members that serve although all of them fail


OPEN = model.Flavor(drain_timeout=60, drain_failed=True, fail_open=True)


def probed(*, up=(), down=()):
    """What chassis have found, by the numbers of members."""
    by = [[f"10.0.0.{each}" for each in numbers] for numbers in (up, down)]
    return dataclasses.replace(health(up=by[0], down=by[1]), probed=frozenset({"p1"}))


def test_members_that_serve_because_all_fail_do_not_drain():
    """Their new connections would end with the old ones, and nothing would serve before."""
    shown = {"m1": "ONLINE", "m2": "ONLINE"}
    story = Story(member(1), member(2), flavor=OPEN, **CHECKED)
    story.becomes(story.lb, health=probed(up=[1, 2]), member_status=shown)
    story.becomes(story.lb, health=probed(down=[1, 2]))

    assert story.serves == {KEY: f"{ONE},{TWO}"}
    assert story.deadlines == {}
    assert story.passes(55).serves == {KEY: f"{ONE},{TWO}"}


def test_one_that_drains_serves_again_when_all_fail():
    story = Story(member(1), member(2), flavor=OPEN, **CHECKED)
    story.becomes(story.lb, health=probed(up=[1, 2]), member_status={"m1": "ONLINE"})
    story.becomes(story.lb, health=probed(up=[2], down=[1]))
    assert story.deadlines == {flow(): NOW + 60}

    story.becomes(story.lb, health=probed(down=[1, 2]), member_status={"m1": "ERROR"})
    assert story.serves == {KEY: f"{ONE},{TWO}"}
    assert story.deadlines == {}


def test_what_drains_at_the_same_time_is_bounded(monkeypatch):
    """A tenant may replace members as often as it likes, and each would stay in the rows."""
    monkeypatch.setattr(draining, "MOST", 2)
    story = Story(member(1), member(2), member(3)).has(member(2), member(3)).passes(1)
    story.has()

    assert story.deadlines == {flow(): NOW + 60, flow(TWO): NOW + 61}
    assert story.serves == {}
    assert story.has(member(3)).passes(60).passes(5).has().deadlines == {
        flow("10.0.0.3:80"): NOW + 126
    }
