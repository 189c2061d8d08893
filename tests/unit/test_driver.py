"""What the driver answers without asking anybody."""

import pytest
from octavia_lib.api.drivers import exceptions, provider_base

from octavia_ovn.core import flavors
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


_NOT_THERE = {
    "keys of zones": lambda driver: driver.get_supported_availability_zone_metadata(),
    "a zone": lambda driver: driver.validate_availability_zone({"compute_zone": "here"}),
}
if hasattr(provider_base.ProviderDriver, "loadbalancer_failover_with_flavor"):
    # Octavia asks only where its octavia-lib can.
    _NOT_THERE["another flavor"] = lambda driver: driver.loadbalancer_failover_with_flavor("l", "f")


@pytest.mark.parametrize("ask", _NOT_THERE.values(), ids=_NOT_THERE)
def test_says_that_something_is_not_there(driver, ask):
    with pytest.raises(exceptions.NotImplementedError) as refusal:
        ask(driver)

    assert refusal.value.user_fault_string.endswith(".")


_L7 = [
    f"{what}_{deed}" for what in ("l7policy", "l7rule") for deed in ("create", "update", "delete")
]


@pytest.mark.parametrize("call", _L7)
def test_layer_seven_is_refused(driver, call):
    arguments = (None, None) if call.endswith("update") else (None,)

    with pytest.raises(exceptions.UnsupportedOptionError) as refusal:
        getattr(driver, call)(*arguments)

    assert "layer 4" in refusal.value.user_fault_string
