# SPDX-License-Identifier: Apache-2.0
"""What the operator lets tenants ask for."""

import dataclasses

import pytest

from octavia_ovn.core import model
from octavia_ovn.core.request import changes, limits
from octavia_ovn.core.request.admission import Admission
from tests.core.builders import balancer, listener, member, pool

HTTP, HTTPS = model.Application.HTTP, model.Application.HTTPS
NO_HTTP = Admission(carried=frozenset({HTTPS}))
STRICT = Admission(strict_algorithms=True)
IN_TURN = pool(algorithm=model.Algorithm.ROUND_ROBIN)
WEB, PAGES = listener(application=HTTP), pool(application=HTTP)

ASKING = {
    "an HTTP listener": (NO_HTTP, changes.PutListener(WEB), "http_as_tcp"),
    "an HTTP pool": (NO_HTTP, changes.PutPool(PAGES), "http_as_tcp"),
    "an HTTP listener of a new load balancer": (
        NO_HTTP,
        changes.CreateLoadBalancer(balancer([WEB])),
        "http_as_tcp",
    ),
    "an HTTP pool of a new load balancer": (
        NO_HTTP,
        changes.CreateLoadBalancer(balancer(pools=[PAGES])),
        "http_as_tcp",
    ),
    "an HTTPS listener": (
        Admission(carried=frozenset()),
        changes.PutListener(dataclasses.replace(WEB, application=HTTPS)),
        "https_as_tcp",
    ),
    "ROUND_ROBIN": (STRICT, changes.PutPool(IN_TURN), "strict_algorithms"),
    "ROUND_ROBIN in a new load balancer": (
        STRICT,
        changes.CreateLoadBalancer(balancer(pools=[IN_TURN])),
        "strict_algorithms",
    ),
}


SMALL = Admission(max_members=2, max_allowed_cidrs=2, max_denied_cidrs=40)
THREE = tuple(map(member, (1, 2, 3)))
NETWORKS = ("10.0.0.0/24", "10.2.0.0/24", "10.4.0.0/24")
HOSTS, HOST6 = ("10.0.0.1/32", "10.9.0.1/32"), ("fd00::1/128",)
FULL = balancer([listener()], [pool(members=THREE[:2])])
TOO_MANY = {
    "a member": (changes.PutMember("p1", member(3)), "3 members.*max_members"),
    "members in a batch": (changes.ReplaceMembers("p1", THREE), "3 members.*max_members"),
    "one for another": (
        changes.ReplaceMembers("p1", tuple(map(member, (1, 3, 4)))),
        "3 members.*max_members",
    ),
    "members of a new load balancer": (
        changes.CreateLoadBalancer(balancer(pools=[pool(members=THREE)])),
        "3 members.*max_members",
    ),
    "networks": (
        changes.PutListener(listener(allowed_cidrs=NETWORKS)),
        "3 networks.*max_allowed_cidrs",
    ),
    "networks of a new load balancer": (
        changes.CreateLoadBalancer(balancer([listener(allowed_cidrs=NETWORKS)])),
        "3 networks.*max_allowed_cidrs",
    ),
    "networks in the complement": (
        changes.PutListener(listener(allowed_cidrs=HOSTS)),
        "5[0-9] networks.*max_denied_cidrs",
    ),
    "networks in the complement of IPv6": (
        changes.PutListener(listener(allowed_cidrs=HOST6)),
        "128 networks.*max_denied_cidrs",
    ),
}
FITTING = {
    "a member": changes.ReplaceMembers("p1", THREE[:2]),
    "a member that changes": changes.PutMember("p1", member(2, weight=5)),
    "networks": changes.PutListener(listener(allowed_cidrs=NETWORKS[:1])),
}


@pytest.mark.parametrize(("change", "sentence"), TOO_MANY.values(), ids=TOO_MANY)
def test_refuses_more_than_the_operator_allows(change, sentence):
    with pytest.raises(limits.Unsupported, match=sentence):
        SMALL.check(change, FULL)
    Admission().check(change, FULL)


@pytest.mark.parametrize("change", FITTING.values(), ids=FITTING)
def test_admits_as_much_as_the_operator_allows(change):
    SMALL.check(change, FULL)


LARGE = balancer([listener(allowed_cidrs=NETWORKS)], [pool(members=THREE)])
STAYING = {
    "a member goes": changes.ReplaceMembers("p1", THREE),
    "a member changes": changes.PutMember("p1", member(2, weight=5)),
    "a listener is disabled": changes.PutListener(
        dataclasses.replace(LARGE.listeners[0], enabled=False)
    ),
    "a pool is disabled": changes.PutPool(pool(enabled=False)),
    "Octavia's own is restored": changes.Restore(LARGE),
}


@pytest.mark.parametrize("change", STAYING.values(), ids=STAYING)
def test_what_was_larger_before_stays(change):
    SMALL.check(change, LARGE)


@pytest.mark.parametrize("lb", [None, balancer()], ids=["no rows", "rows"])
@pytest.mark.parametrize(("admission", "change", "option"), ASKING.values(), ids=ASKING)
def test_refuses_what_is_switched_off(lb, admission, change, option):
    with pytest.raises(limits.Unsupported, match=rf"\[ovn\].* {option}"):
        admission.check(change, lb)


@pytest.mark.parametrize("change", [change for _, change, _ in ASKING.values()], ids=ASKING)
def test_admits_everything_by_default(change):
    Admission().check(change, None)


EVERYTHING_OFF = Admission(strict_algorithms=True, carried=frozenset())
OLD = balancer([WEB], [dataclasses.replace(IN_TURN, application=HTTP)])
LEAVING_THINGS = {
    "a listener is disabled": changes.PutListener(dataclasses.replace(WEB, enabled=False)),
    "a pool is disabled": changes.PutPool(dataclasses.replace(OLD.pools[0], enabled=False)),
    "a member comes": changes.PutMember("p1", member(1)),
    "Octavia's own is restored": changes.Restore(OLD),
}


@pytest.mark.parametrize("change", LEAVING_THINGS.values(), ids=LEAVING_THINGS)
def test_leaves_what_is_there(change):
    EVERYTHING_OFF.check(change, OLD)


def test_a_pool_does_not_become_one_that_is_refused():
    lb = balancer(pools=[pool()])

    with pytest.raises(limits.Unsupported, match="strict_algorithms"):
        STRICT.check(changes.PutPool(IN_TURN), lb)


SETS, CLEARS = model.Flavor(strict_algorithms=True), model.Flavor(strict_algorithms=False)


def of(flavor):
    """The requests that bring ROUND_ROBIN to a load balancer of that flavor."""
    return [
        (changes.PutPool(IN_TURN), balancer(flavor=flavor)),
        (changes.CreateLoadBalancer(balancer(pools=[IN_TURN], flavor=flavor)), None),
    ]


@pytest.mark.parametrize(("change", "lb"), of(SETS), ids=["pool", "load balancer"])
def test_a_flavor_may_be_stricter(change, lb):
    with pytest.raises(limits.Unsupported, match="flavor sets strict_algorithms"):
        Admission().check(change, lb)


@pytest.mark.parametrize(("change", "lb"), of(CLEARS), ids=["pool", "load balancer"])
def test_a_flavor_may_be_less_strict(change, lb):
    STRICT.check(change, lb)
