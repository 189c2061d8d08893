# SPDX-License-Identifier: Apache-2.0
"""An id in capitals, as Octavia hands it on from a request, names the same object."""

import types

import pytest
from octavia_lib.api.drivers import data_models as dm

from octavia_ovn import wiring
from octavia_ovn.adapters.octavia import data_models as models
from octavia_ovn.adapters.octavia.data_models import DriverDefaults
from octavia_ovn.core.request import limits
from octavia_ovn.driver import OvnProviderDriver


def _id(letter):
    return f"{letter * 8}-aaaa-4bbb-8ccc-{letter * 12}"


LB, LISTENER, POOL, MEMBER, MONITOR, SUBNET, PORT, NETWORK = map(_id, "bcdef123")
VIP = {
    "vip_address": "10.0.0.9",
    "vip_subnet_id": _id("a"),
    "vip_network_id": NETWORK,
    "vip_port_id": PORT,
}


def _listener(**values):
    return dm.Listener(
        listener_id=LISTENER, loadbalancer_id=LB, protocol="TCP", protocol_port=80, **values
    )


def _pool(**values):
    identity = {"pool_id": POOL, "loadbalancer_id": LB}
    return dm.Pool(protocol="TCP", lb_algorithm="SOURCE_IP", **identity, **values)


def _member(**values):
    identity = {"member_id": MEMBER, "pool_id": POOL, "subnet_id": SUBNET}
    return dm.Member(address="10.0.0.7", protocol_port=80, **identity, **values)


def _monitor():
    identity = {"healthmonitor_id": MONITOR, "pool_id": POOL}
    return dm.HealthMonitor(type="TCP", delay=5, timeout=3, max_retries=2, **identity)


def _lb(**values):
    return dm.LoadBalancer(loadbalancer_id=LB, project_id="p" * 32, **VIP, **values)


def _whole():
    pool = _pool(members=[_member()], healthmonitor=_monitor())
    return _lb(listeners=[_listener(default_pool=pool, default_pool_id=POOL)], pools=[pool])


# The calls of Octavia's API that carry ids; each returns new arguments.
CALLS = {
    "loadbalancer_create": lambda: (_whole(),),
    "loadbalancer_update": lambda: (
        _lb(),
        dm.LoadBalancer(loadbalancer_id=LB, admin_state_up=False),
    ),
    "loadbalancer_failover": lambda: (LB,),
    "loadbalancer_delete": lambda: (_whole(),),
    "listener_create": lambda: (_listener(default_pool_id=POOL),),
    "listener_update": lambda: (
        _listener(),
        dm.Listener(listener_id=LISTENER, default_pool_id=POOL),
    ),
    "listener_delete": lambda: (_listener(),),
    "pool_create": lambda: (_pool(listener_id=LISTENER),),
    "pool_update": lambda: (_pool(), dm.Pool(pool_id=POOL, admin_state_up=False)),
    "pool_delete": lambda: (_pool(members=[_member()]),),
    "member_create": lambda: (_member(),),
    "member_update": lambda: (_member(), dm.Member(member_id=MEMBER, weight=2)),
    "member_batch_update": lambda: (POOL, [_member()]),
    "member_delete": lambda: (_member(),),
    "health_monitor_create": lambda: (_monitor(),),
    "health_monitor_update": lambda: (
        _monitor(),
        dm.HealthMonitor(healthmonitor_id=MONITOR, delay=7),
    ),
    "health_monitor_delete": lambda: (_monitor(),),
}


class Store:
    """Keeps what it is asked to record."""

    def record(self, request, **which):
        self.recorded = (request, which)


def _capitals(value):
    if isinstance(value, str):
        return value.upper() if value.count("-") == 4 else value
    if isinstance(value, (list, tuple)):
        return type(value)(map(_capitals, value))
    if isinstance(value, dm.BaseDataModel):
        for name, each in vars(value).items():
            setattr(value, name, _capitals(each))
    return value


def _recorded(monkeypatch, call, arguments):
    ports = types.SimpleNamespace(is_user_port=lambda _: False)
    worker = types.SimpleNamespace(
        recorder=Store(), defaults=DriverDefaults(), vip_ports=ports, cidr=lambda _: "10.0.0.0/24"
    )
    monkeypatch.setattr(wiring, "get", lambda: worker)
    getattr(OvnProviderDriver(), call)(*arguments)
    request, which = worker.recorder.recorded
    # Updates hold functions, which are never equal.
    return repr(request).split(" at 0x")[0], which


@pytest.mark.parametrize("call", CALLS)
def test_ids_in_capitals_are_recorded_like_others(monkeypatch, call):
    usual = _recorded(monkeypatch, call, CALLS[call]())

    assert _recorded(monkeypatch, call, _capitals(CALLS[call]())) == usual
    assert LB[:8] in str(usual) or POOL[:8] in str(usual)


def test_security_groups_in_capitals_are_those_of_others():
    usual = limits.Usual(permitted=frozenset({limits.VIP_GROUPS}))
    values = {"loadbalancer_id": LB, "vip_address": "10.0.0.9", "vip_sg_ids": [POOL.upper()]}

    lb = models.existing_load_balancer(values, DriverDefaults(usual=usual))

    assert lb.security_groups == {POOL}


def test_the_agent_reads_ids_in_capitals_like_others():
    def read(lb):
        values = models.fields(lb)
        return models.existing_load_balancer(values, DriverDefaults())

    assert read(_capitals(_whole())) == read(_whole())


def test_only_ids_change():
    assert models.canonical_ids({"name": "Web", "id": LB.upper()}) == {"name": "Web", "id": LB}
