# SPDX-License-Identifier: Apache-2.0
"""Flavors, with packets where they change what happens to them; availability zones."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from octavia_ovn.core import flavors
from sandbox import shell
from sandbox.api import ApiError
from tests.sandbox.plane import CROWD, MONITOR, SERVERS
from tests.sandbox.waiting import until

if TYPE_CHECKING:
    from sandbox.api import Json
    from tests.sandbox.plane import Plane


def test_without_reject_clients_get_no_answer_while_all_members_are_dead(plane: Plane) -> None:
    flavor = plane.flavor(reject=False)
    listener = plane.listener(plane.member("one"), healthmonitor=MONITOR)
    lb = plane.load_balancer(listener, flavor_id=flavor)
    plane.await_members(lb, "ONLINE", "one")

    with plane.dead(lb, "one"):
        for client in ("beside", "behind"):
            assert plane.ask(client, lb["vip_address"], 3) == {"timeout": 3}


@pytest.mark.parametrize("flush", [True, False])
def test_ct_flush_ends_the_connections_of_a_member_that_leaves(plane: Plane, flush: bool) -> None:
    flavor = plane.flavor(ct_flush=flush)
    members = (plane.member("one"), plane.member("two", weight=0))
    lb = plane.load_balancer(plane.listener(*members), flavor_id=flavor)

    with plane.connection("beside", lb["vip_address"]) as connection:
        assert connection.ask() == "one"
        plane.update_member(lb, "two", weight=1)
        plane.delete_member(lb, "one")

        assert set(plane.ask("beside", lb["vip_address"])) == {"two"}
        answer = connection.ask()
        assert answer.startswith("broken") if flush else answer == "one"


def test_ct_flush_also_ends_those_of_a_member_that_gets_weight_zero(plane: Plane) -> None:
    members = (plane.member("one"), plane.member("two", weight=0))
    lb = plane.load_balancer(plane.listener(*members), flavor_id=plane.flavor(ct_flush=True))

    with plane.connection("behind", lb["vip_address"]) as connection:
        assert connection.ask() == "one"
        plane.update_member(lb, "two", weight=1)
        plane.update_member(lb, "one", weight=0)

        assert connection.ask().startswith("broken")


def test_a_member_sees_the_hairpin_address_when_it_asks_itself(plane: Plane) -> None:
    flavor = plane.flavor(hairpin_snat_ip="192.0.2.7 2001:db8::7")
    lb4 = plane.load_balancer(plane.listener(plane.member("one")), flavor_id=flavor)
    lb6 = plane.load_balancer(
        plane.listener(plane.member("one", 6)), flavor_id=flavor, vip_subnet_id=plane.servers6
    )

    assert _client_seen(plane, "one", lb4["vip_address"]) == "192.0.2.7"
    assert _client_seen(plane, "one", f"[{lb6['vip_address']}]") == "2001:db8::7"
    # Others are seen as they are.
    beside = plane.scenery.stack.guests.get("beside")
    assert _client_seen(plane, "beside", lb4["vip_address"]) == beside.address()


def test_affinity_keeps_each_client_where_it_was_first(plane: Plane) -> None:
    listener = plane.listener(
        *map(plane.member, SERVERS), session_persistence={"type": "SOURCE_IP"}
    )
    lb = plane.load_balancer(listener, flavor_id=plane.flavor(session_persistence="affinity"))
    floating = plane.floating_ip(lb["vip_port_id"])
    plane.await_vip(floating)

    first = plane.ask_from(CROWD[:9], floating, 1)
    again = plane.ask_from(CROWD[:9], floating, 4)

    assert set.union(*first.values()) <= set(SERVERS)
    assert len(set.union(*first.values())) > 1
    assert again == first
    # What is hashed would not have kept them.
    assert "tp_src" in plane.row(lb)["selection_fields"]


def test_a_strict_flavor_refuses_round_robin(plane: Plane) -> None:
    lb = plane.load_balancer(flavor_id=plane.flavor(strict_algorithms=True))
    pool = {"loadbalancer_id": lb["id"], "protocol": "TCP", "lb_algorithm": "ROUND_ROBIN"}

    with pytest.raises(ApiError) as refusal:
        plane.cloud.octavia("POST", "/pools", {"pool": pool})

    assert refusal.value.status == 501
    assert "flavor sets strict_algorithms" in refusal.value.text
    assert plane.cloud.load_balancer(lb["id"]) == lb


def test_flavor_and_protocol_are_compared_and_restored(plane: Plane) -> None:
    persistence = {"type": "SOURCE_IP"}
    listener = plane.listener(plane.member("one"), protocol="HTTP", session_persistence=persistence)
    lb = plane.load_balancer(
        listener,
        flavor_id=plane.flavor(reject=False, ct_flush=True, session_persistence="affinity"),
    )
    before = _state(plane, lb)
    assert before["options"] == {"affinity_timeout": "360", "ct_flush": "true"}
    assert _check(plane, lb) == "right"

    words = ("remove", "Load_Balancer", before["_uuid"], "external_ids", r"octavia\:flavor")
    plane.scenery.nb(*words)
    until(lambda: "octavia:flavor" not in plane.row(lb)["external_ids"])
    assert _check(plane, lb) == "different"
    plane.cloud.octavia("PUT", f"/loadbalancers/{lb['id']}/failover")
    plane.cloud.wait_for(lb["id"])

    until(lambda: _state(plane, lb) == before)
    assert _check(plane, lb) == "right"


def test_the_keys_of_flavors_are_described(plane: Plane) -> None:
    path = "/providers/ovn/flavor_capabilities"
    listed = plane.cloud.octavia("GET", path)["flavor_capabilities"]

    assert {each["name"] for each in listed} == set(flavors.DESCRIPTIONS)
    assert all(each["description"].endswith(".") for each in listed)


@pytest.mark.parametrize(
    "values", [{"distributed": True}, {"reject": "no"}, {"topology": "SINGLE"}]
)
def test_a_profile_that_makes_no_sense_is_refused(plane: Plane, values: Json) -> None:
    with pytest.raises(ApiError) as refusal:
        plane.flavor(**values)

    assert refusal.value.status == 501
    assert next(iter(values)) in refusal.value.text


def test_a_zone_that_places_load_balancers_is_refused(plane: Plane) -> None:
    profile = {
        "name": "zone",
        "provider_name": "ovn",
        "availability_zone_data": json.dumps({"compute_zone": "here"}),
    }
    with pytest.raises(ApiError) as refusal:
        plane.cloud.octavia(
            "POST", "/availabilityzoneprofiles", {"availability_zone_profile": profile}
        )
    assert refusal.value.status == 501
    assert "compute_zone: OVN balances on every hypervisor" in refusal.value.text


def _client_seen(plane: Plane, client: str, host: str) -> str:
    """Return the address from which a server has seen a request come."""
    answer = plane.scenery.stack.guests.fetch(client, f"http://{host}/")
    assert answer, "no answer"
    return answer.split()[1]


def _state(plane: Plane, lb: Json) -> Json:
    """Return what the row says, but not when it was written."""
    return {**plane.row(lb), "_version": None}


def _check(plane: Plane, lb: Json) -> str:
    """Return what `octavia-ovn check` finds."""
    settings = plane.scenery.stack.settings
    words = ("check", "--json", "--all", "--loadbalancer", lb["id"])
    config = ("--config-file", str(settings.etc / "octavia.conf"))
    text = shell.run(
        [settings.bin / "octavia-ovn", *words, *config], env=settings.base_environment, check=False
    )
    (found,) = json.loads(text)["load_balancers"]
    return str(found["finding"])
