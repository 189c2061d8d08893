# SPDX-License-Identifier: Apache-2.0
"""Records what Octavia hands over to a provider driver, and to an agent on the get socket.

    python -m tests.recordings.record [--database URL] FILE

Runs where Octavia is installed (the sandbox's virtual environment), by itself: Octavia's own API,
its own code for the statuses of drivers and its own tables in an empty database, by default one in
memory. Two things are put in its place: the provider driver, which writes down and accepts, and
the network service, whose few networks the script knows. Ids are numbered, so that recordings of
the same Octavia are the same.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import itertools
import json
import logging
import os
from pathlib import Path
from typing import Any

from oslo_utils import uuidutils

_numbers = itertools.count(0x100)
# Before Octavia is imported: its tables keep the function.
uuidutils.generate_uuid = lambda *_, **__: f"{next(_numbers):08x}-0000-4000-8000-000000000000"

import webob  # noqa: E402
from octavia.api import app  # noqa: E402
from octavia.api.drivers import driver_factory  # noqa: E402
from octavia.api.drivers.driver_agent import driver_get, driver_updater  # noqa: E402
from octavia.common import config, constants, utils  # noqa: E402
from octavia.db import api as db_api  # noqa: E402
from octavia.db import base_models, models  # noqa: E402
from octavia.network import data_models as network_models  # noqa: E402
from octavia_lib.api.drivers import provider_base  # noqa: E402

from tests.recordings import notation, script, steps  # noqa: E402

_PROVIDER = "recorder"
_LOOKUPS = {
    models.ProvisioningStatus: constants.SUPPORTED_PROVISIONING_STATUSES,
    models.OperatingStatus: constants.SUPPORTED_OPERATING_STATUSES,
    models.HealthMonitorType: constants.SUPPORTED_HEALTH_MONITOR_TYPES,
    models.Algorithm: constants.SUPPORTED_LB_ALGORITHMS,
    models.Protocol: constants.SUPPORTED_PROTOCOLS,
    models.SessionPersistenceType: constants.SUPPORTED_SP_TYPES,
    models.LBTopology: constants.SUPPORTED_LB_TOPOLOGIES,
    models.L7RuleType: constants.SUPPORTED_L7RULE_TYPES,
    models.L7RuleCompareType: constants.SUPPORTED_L7RULE_COMPARE_TYPES,
    models.L7PolicyAction: constants.SUPPORTED_L7POLICY_ACTIONS,
    models.ClientAuthenticationMode: constants.SUPPORTED_CLIENT_AUTH_MODES,
}
# Children first, as a driver reports them.
_KINDS = {
    "l7rules": models.L7Rule,
    "l7policies": models.L7Policy,
    "members": models.Member,
    "healthmonitors": models.HealthMonitor,
    "listeners": models.Listener,
    "pools": models.Pool,
    "loadbalancers": models.LoadBalancer,
}


class Recorder(provider_base.ProviderDriver):
    """A driver that accepts everything and writes down what it is given."""

    calls: list[dict[str, Any]] = []  # noqa: RUF012 - Octavia makes a driver for each request

    def create_vip_port(self, loadbalancer_id, project_id, vip_dictionary, additional_vip_dicts):
        """Answer with a port that the recorder has made up."""
        return notation.vip_port(uuidutils.generate_uuid(), vip_dictionary, additional_vip_dicts)


def _recorded(method: str, answer: Any) -> Any:
    def record(self: Recorder, *args: Any, **kwargs: Any) -> Any:
        Recorder.calls.append(notation.call(method, args, kwargs))
        return answer(self, *args, **kwargs) if callable(answer) else answer

    return record


def _wrap() -> None:
    """Record each method of octavia-lib's interface, also those that a later release adds."""
    answers: dict[str, Any] = {
        "create_vip_port": Recorder.create_vip_port,
        "get_supported_flavor_metadata": {"key": "what it means"},
        "get_supported_availability_zone_metadata": {"key": "what it means"},
    }
    for method in vars(provider_base.ProviderDriver):
        if not method.startswith("_"):
            setattr(Recorder, method, _recorded(method, answers.get(method)))


class Network:
    """The part of Octavia's network drivers that its API asks."""

    def get_subnet(self, subnet_id, context=None):
        cidr = steps.CIDRS[subnet_id]
        version = 6 if ":" in cidr else 4
        return network_models.Subnet(
            subnet_id, network_id=steps.NETWORK, cidr=cidr, ip_version=version
        )

    def get_network(self, network_id, context=None):
        return network_models.Network(network_id, subnets=[steps.SUBNET, steps.SUBNET6])

    def get_network_ip_availability(self, network):
        return network_models.Network_IP_Availability(
            network.id,
            subnet_ip_availability=[
                {"subnet_id": each, "used_ips": 0, "total_ips": 200} for each in network.subnets
            ],
        )

    def get_port(self, port_id, context=None):
        address = network_models.FixedIP(steps.SUBNET, steps.PORT_ADDRESS)
        return network_models.Port(port_id, network_id=steps.NETWORK, fixed_ips=[address])

    def get_security_group_by_id(self, sg_id, context=None):
        return network_models.SecurityGroup(sg_id)

    def get_qos_policy(self, qos_policy_id, context=None):
        return network_models.QosPolicy(qos_policy_id)

    def qos_enabled(self):
        return True


class Octavia:
    """Octavia's API in this process.

    :param database: SQLAlchemy's URL of an empty database
    """

    def __init__(self, database: str) -> None:
        self._conf = config.cfg.CONF
        self._set("database.connection", database)
        self._set("api_settings.auth_strategy", constants.NOAUTH)
        self._set("api_settings.enabled_provider_drivers", {_PROVIDER: "recorder"})
        self._set("api_settings.default_provider_driver", _PROVIDER)
        for kind in ("load_balancer", "listener", "pool", "member", "health_monitor", "l7policy",
                     "l7rule"):  # fmt: skip
            self._set(f"quotas.default_{kind}_quota", -1)
        _wrap()
        driver_factory.get_driver = self._driver
        utils.get_network_driver = Network
        self._wsgi = app.setup_app(argv=["octavia-api", "--config-file", os.devnull])
        _fill()
        self._updater = driver_updater.DriverUpdater()

    def run(self, scenario: steps.Scenario) -> list[dict[str, Any]]:
        """Return what the requests of a scenario led to."""
        for option, value in scenario.options.items():
            self._set(option, value)
        names = notation.Names()
        try:
            return [self._step(step, names) for step in scenario.steps]
        finally:
            for option in scenario.options:
                group, name = option.split(".")
                self._conf.clear_override(name, group)

    def _step(self, step: steps.Step, names: notation.Names) -> dict[str, Any]:
        shown = {"request": f"{step.verb} {step.path}", "body": step.body}
        path, body = names.fill([step.path, step.body])
        if step.verb == "ASK":
            kind, found = path.split("/")
            answer = driver_get.process_get({"object": kind, "id": found})
            return {**shown, "answer": names.hide(notation.plain(answer))}
        Recorder.calls.clear()
        response = webob.Request.blank(
            f"/v2.0/lbaas/{path}", method=step.verb, accept="application/json",
            content_type="application/json",
            **({} if body is None else {"json": body}),
        ).get_response(self._wsgi)  # fmt: skip
        answer = json.loads(response.body or "null")
        names.learn(step.name, next(iter(answer.values())) if step.name and answer else answer)
        self._settle()
        return names.hide({**shown, "status": response.status_code, "calls": Recorder.calls})

    def _settle(self) -> None:
        """Report what has been asked for as done, as a driver's agent does after the commit."""
        session = db_api.get_session()
        with session.begin():
            pending = {kind: _pending(session, model) for kind, model in _KINDS.items()}
        for kind, records in pending.items():
            for record in records:
                answer = self._updater.update_loadbalancer_status({kind: [record]})
                if answer["status_code"] != 200:
                    raise RuntimeError(f"Octavia refuses {kind} {record}: {answer}")

    def _set(self, option: str, value: Any) -> None:
        group, name = option.split(".")
        self._conf.set_override(name, value, group)

    @staticmethod
    def _driver(name: str) -> Recorder:
        driver = Recorder()
        driver.name = name
        return driver


def _pending(session: Any, model: Any) -> list[dict[str, str]]:
    rows = session.query(model).filter(model.provisioning_status.startswith("PENDING"))
    return [
        {
            "id": row.id,
            "provisioning_status": "DELETED" if "DELETE" in row.provisioning_status else "ACTIVE",
        }
        for row in rows
    ]


def _fill() -> None:
    """Make Octavia's tables, and the rows that its migrations put there."""
    base_models.BASE.metadata.create_all(db_api.get_engine())
    session = db_api.get_session()
    with session.begin():
        for table, names in _LOOKUPS.items():
            session.add_all(table(name=name) for name in names)


def record(database: str) -> dict[str, Any]:
    """Return a recording of the whole script."""
    octavia = Octavia(database)
    return {
        **{name: importlib.metadata.version(name) for name in ("octavia", "octavia-lib")},
        "scenarios": {each.name: octavia.run(each) for each in script.SCENARIOS},
    }


def main() -> None:
    """Record into a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", default="sqlite://", metavar="URL")
    parser.add_argument("file", type=Path)
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    arguments.file.write_text(notation.dump(record(arguments.database)))


if __name__ == "__main__":
    main()
