# SPDX-License-Identifier: Apache-2.0
"""What the driver answers."""

import inspect
import types

import pytest
from octavia_lib.api.drivers import data_models, exceptions, provider_base

from octavia_ovn import driver as driver_module
from octavia_ovn import errors, wiring
from octavia_ovn.adapters.neutron.vip_ports import VipPorts
from octavia_ovn.adapters.octavia.data_models import DriverDefaults
from octavia_ovn.adapters.octavia.trees import Octavia
from octavia_ovn.core import flavors
from octavia_ovn.core.pending import Kind, active, deleted
from octavia_ovn.core.request import changes, limits
from octavia_ovn.driver import OvnProviderDriver


@pytest.fixture
def driver():
    return OvnProviderDriver()


def test_names_the_keys_of_flavors(driver):
    assert driver.get_supported_flavor_metadata() == flavors.DESCRIPTIONS


def test_takes_a_flavor_that_makes_sense(driver):
    driver.validate_flavor({"reject": False, "hairpin_snat_ip": "192.0.2.7"})


@pytest.mark.parametrize(
    "flavor", [{"topology": "SINGLE"}, {"reject": "no"}, {"distributed": True}, []]
)
def test_refuses_one_that_makes_none(driver, flavor):
    with pytest.raises(exceptions.UnsupportedOptionError) as refusal:
        driver.validate_flavor(flavor)

    assert refusal.value.user_fault_string.endswith(".")
    assert refusal.value.operator_fault_string == refusal.value.user_fault_string


def test_zones_restrict_networks_only(driver):
    """Octavia shows the capabilities of a provider only if it has an answer to this as well."""
    assert driver.get_supported_availability_zone_metadata().keys() == {"valid_vip_networks"}
    driver.validate_availability_zone({"valid_vip_networks": ["n1"]})
    with pytest.raises(exceptions.UnsupportedOptionError, match="compute_zone"):
        driver.validate_availability_zone({"compute_zone": "here"})


def test_calls_without_an_implementation_are_known_and_refused(driver):
    """A new octavia-lib may offer more of them; 3.6 has none."""
    base = provider_base.ProviderDriver
    offered = {name: call for name, call in vars(base).items() if inspect.isfunction(call)}
    ours = type(driver)
    missing = {
        name
        for name, call in offered.items()
        if not name.startswith("_") and getattr(ours, name) is call
    }
    assert missing <= {"loadbalancer_failover_with_flavor"}

    for name in missing:
        with pytest.raises(exceptions.NotImplementedError) as refusal:
            getattr(driver, name)("l", "f")

        assert refusal.value.user_fault_string.endswith(".")


_L7 = [f"{what}_{deed}" for what in ("l7policy", "l7rule") for deed in ("create", "update")]


@pytest.mark.parametrize("call", _L7)
def test_layer_seven_is_refused(driver, call):
    arguments = (None, None) if call.endswith("update") else (None,)

    with pytest.raises(exceptions.UnsupportedOptionError) as refusal:
        getattr(driver, call)(*arguments)

    assert "layer 4" in refusal.value.user_fault_string


RULES = [{"l7rule_id": "r1"}, {"l7rule_id": "r2"}]
POLICY = {"l7policy_id": "policy", "listener_id": "l1", "rules": RULES}


class GetSocket:
    """Octavia's answers; those about a rule do not name its listener."""

    def get(self, kind, object_id):
        known = {
            ("l7policies", "policy"): POLICY,
            ("listeners", "l1"): {"listener_id": "l1", "loadbalancer_id": "lb1"},
        }
        return known.get((kind, object_id))


class Store:
    def record(self, request, **which):
        self.recorded = (request, which)


@pytest.fixture
def worker(monkeypatch):
    found = types.SimpleNamespace(
        recorder=Store(),
        octavia=Octavia(GetSocket(), DriverDefaults(), None),
        defaults=DriverDefaults(),
    )
    monkeypatch.setattr(wiring, "get", lambda: found)
    return found


L1 = active(Kind.LISTENER, ["l1"])
L7_OBJECTS = {
    "a policy and its rules": (
        lambda driver: driver.l7policy_delete(data_models.L7Policy(l7policy_id="policy")),
        deleted(Kind.L7RULE, ["r1", "r2"]) | deleted(Kind.L7POLICY, ["policy"]) | L1,
    ),
    "a rule": (
        lambda driver: driver.l7rule_delete(
            data_models.L7Rule(l7rule_id="r1", l7policy_id="policy")
        ),
        deleted(Kind.L7RULE, ["r1"]) | active(Kind.L7POLICY, ["policy"]) | L1,
    ),
}


@pytest.mark.parametrize(("ask", "objects"), L7_OBJECTS.values(), ids=L7_OBJECTS)
def test_what_layer_seven_has_come_into_octavia_can_be_deleted(driver, worker, ask, objects):
    """A populated load balancer may bring some: Octavia does not show it to the driver."""
    ask(driver)

    assert worker.recorder.recorded == (changes.Release("lb1", objects), {"lb_id": "lb1"})


def test_what_octavia_does_not_know_cannot_be_deleted(driver, worker):
    with pytest.raises(exceptions.DriverError, match="other"):
        driver.l7policy_delete(data_models.L7Policy(l7policy_id="other"))


def test_policies_go_with_their_listener(driver, worker):
    policy = data_models.L7Policy(l7policy_id="policy", rules=[data_models.L7Rule(l7rule_id="r1")])
    pool = data_models.Pool(pool_id="p1")

    driver.listener_delete(
        data_models.Listener(
            listener_id="l1", loadbalancer_id="lb1", l7policies=[policy], default_pool=pool
        )
    )

    below = deleted(Kind.L7RULE, ["r1"]) | deleted(Kind.L7POLICY, ["policy"])
    assert worker.recorder.recorded == (changes.DeleteListener("l1", below), {"lb_id": "lb1"})


ADDRESS, PATH = "192.0.2.77:6641", "/etc/octavia/key.pem"
TELLING = f"OVN_Northbound at ssl:{ADDRESS} cannot be reached: FileNotFoundError: {PATH}"
# What happens, and what the tenant may read of it: all of it, or only that it happened.
FAILURES = {
    "a server is gone": (
        errors.Unavailable(TELLING),
        exceptions.DriverError,
        "nothing has changed",
    ),
    "an answer is lost": (errors.Unanswered(TELLING), exceptions.DriverError, "not known"),
    "a file is missing": (errors.BadConfiguration(TELLING), exceptions.DriverError, "configured"),
    "something unforeseen": (OSError(TELLING), exceptions.DriverError, "log of Octavia's API"),
    "a quota is used up": (errors.Refused("Quota exceeded."), exceptions.DriverError, "^Quota ex"),
    "an address is taken": (errors.Conflict("It is taken."), driver_module.CONFLICT, "^It is tak"),
    "an option": (limits.Unsupported("No."), exceptions.UnsupportedOptionError, "^No.$"),
}


@pytest.mark.parametrize(("error", "kind", "sentence"), FAILURES.values(), ids=FAILURES)
def test_tenants_do_not_read_addresses_and_paths_and_operators_do(
    driver, worker, monkeypatch, caplog, error, kind, sentence
):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(worker.recorder, "record", fail)
    with pytest.raises(kind, match=sentence) as refusal:
        driver.loadbalancer_failover("lb1")

    for secret in (ADDRESS, PATH, "FileNotFoundError", "OVN_Northbound"):
        assert secret not in refusal.value.user_fault_string
    if TELLING in str(error):
        assert TELLING in refusal.value.operator_fault_string
        assert TELLING in caplog.text


class Ports:
    """Neutron's ports as they are after each change."""

    def __init__(self, **policies):
        self.policies = policies

    def port(self, port_id):
        return types.SimpleNamespace(qos_policy_id=self.policies[port_id])

    def set_qos_policy(self, port_id, policy_id):
        self.policies[port_id] = policy_id


@pytest.mark.parametrize("permitted", [True, False])
def test_an_update_may_change_security_groups_only_if_they_are_permitted(driver, worker, permitted):
    if permitted:
        usual = limits.Usual(permitted=frozenset({limits.VIP_GROUPS}))
        worker.defaults = DriverDefaults(usual=usual)
    lb = data_models.LoadBalancer(loadbalancer_id="lb1")

    driver.loadbalancer_update(lb, lb)

    request, which = worker.recorder.recorded
    assert request == changes.UpdateLoadBalancer(groups=permitted)
    assert which == {"lb_id": "lb1"}


USER_PORT = {"vip_port_id": "port", "vip_qos_policy_id": "new"}
POLICED = {
    "update": lambda driver: driver.loadbalancer_update(
        data_models.LoadBalancer(loadbalancer_id="lb1", vip_port_id="port"),
        data_models.LoadBalancer(loadbalancer_id="lb1", vip_qos_policy_id="new"),
    ),
    "a user-provided port": lambda driver: driver.loadbalancer_create(
        data_models.LoadBalancer(loadbalancer_id="lb1", vip_address="10.0.0.9", **USER_PORT)
    ),
}


@pytest.mark.parametrize("ask", POLICED.values(), ids=POLICED)
@pytest.mark.parametrize(
    ("error", "after"),
    [
        (None, "new"),
        (errors.Refused("no"), "old"),
        (limits.Unsupported("no"), "old"),
        (KeyError("no"), "old"),
        (errors.Unanswered("perhaps"), "new"),
    ],
)
def test_a_port_keeps_its_qos_policy_when_a_request_is_not_recorded(
    driver, worker, monkeypatch, ask, error, after
):
    ports = Ports(port="old")
    ports.delete_vip_ports = lambda _: None
    worker.vip_ports, worker.cidr = VipPorts(ports), lambda _: None

    def record(*_, **__):
        assert ports.policies == {"port": "new"}
        if error:
            raise error

    worker.recorder = types.SimpleNamespace(record=record, ping=lambda: None)
    if error:
        with pytest.raises((exceptions.DriverError, exceptions.UnsupportedOptionError)):
            ask(driver)
    else:
        ask(driver)

    assert ports.policies == {"port": after}


@pytest.mark.parametrize(
    ("lb_id", "kind", "sentence"),
    [
        ("lb2", exceptions.UnsupportedOptionError, "listener l1 belongs to another load balancer"),
        ("lb1", exceptions.DriverError, "rows are lost"),
    ],
    ids=["a listener of another load balancer", "a listener whose row is lost"],
)
def test_a_pool_for_a_listener_that_the_rows_lack(
    driver, worker, monkeypatch, lb_id, kind, sentence
):
    def fail(*_, **__):
        raise errors.NotFound("rows are lost")

    monkeypatch.setattr(worker.recorder, "record", fail)
    pool = data_models.Pool(
        pool_id="p1",
        protocol="TCP",
        lb_algorithm="SOURCE_IP",
        loadbalancer_id=lb_id,
        listener_id="l1",
    )

    with pytest.raises(kind, match=sentence):
        driver.pool_create(pool)
