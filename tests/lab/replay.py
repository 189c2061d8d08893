# SPDX-License-Identifier: Apache-2.0
"""Plays the script of recordings on the fake Octavia, with a driver that writes down its calls."""

import contextlib
import ipaddress
import itertools
import json

from tests.lab.errors import BadRequest, Conflict, DriverError, NotFound
from tests.lab.octavia import FakeOctavia
from tests.recordings import notation, steps

NOT_MODELLED = ("providers", "flavorprofiles", "flavors")
"""The fake is given what a flavor says, and has no flavors."""
_REFUSALS = {BadRequest: 400, Conflict: 409, NotFound: 404, DriverError: 501}
# What the methods of the fake call the kinds of the paths.
_METHODS = {
    "loadbalancers": "load_balancer",
    "listeners": "listener",
    "pools": "pool",
    "members": "member",
    "healthmonitors": "health_monitor",
    "l7policies": "l7policy",
    "rules": "l7rule",
}


class Network:
    """The script's network, as far as the fake Octavia asks Neutron."""

    def __init__(self):
        self.subnets = {
            subnet_id: {
                "id": subnet_id,
                "network_id": steps.NETWORK,
                "ip_version": ipaddress.ip_network(cidr).version,
            }
            for subnet_id, cidr in steps.CIDRS.items()
        }
        fixed_ip = {"subnet_id": steps.SUBNET, "ip_address": steps.PORT_ADDRESS}
        self.ports = {steps.PORT: {"fixed_ips": [fixed_ip]}}


class Recorder:
    """Stands for the worker processes: accepts each call and writes it down."""

    open_seconds = call_seconds = 0.0

    def __init__(self):
        self.calls = []
        self._numbers = itertools.count()

    @contextlib.contextmanager
    def session(self):
        yield self

    def call(self, method, *args, **kwargs):
        self.calls.append(notation.call(method, args, kwargs))
        if method == "create_vip_port":
            *_, vip, additional = args
            return notation.vip_port(_port_id(next(self._numbers)), vip, additional)
        return None


class Replay:
    """A fake Octavia that answers one scenario of the steps.

    :param release: of Octavia, 15 or 19
    :param run_dir: where its sockets would go, if it were started
    :param recorder: stands for the worker processes
    """

    def __init__(self, scenario, release, run_dir, recorder):
        config = {}
        for option, value in scenario.options.items():
            section, name = option.split(".")
            config.setdefault(section, {})[name] = value
        self._scenario = scenario
        self._recorder = recorder
        self.octavia = FakeOctavia(Network(), run_dir, recorder, config=config, release=release)
        self._names = notation.Names()
        self._flavor = None

    def run(self):
        """Yield what each request led to as a recording has it; None for what is not modelled."""
        return map(self._step, self._scenario.steps)

    def _step(self, step):
        path, body = self._names.fill([step.path, step.body])
        path, _, query = path.partition("?")
        kind, *rest = path.split("/")
        shown = {"request": f"{step.verb} {step.path}", "body": step.body}
        if step.verb == "ASK":
            answer = self.octavia.driver_listener.get({"object": kind, "id": rest[0]})
            return self._names.hide({**shown, "answer": notation.plain(answer)})
        if kind in NOT_MODELLED:
            self._prepare_flavor(step, body)
            return None
        self._recorder.calls.clear()
        given = next(iter(body.values())) if body else {}
        try:
            operation, status = self._request(step.verb, kind, rest, query, given)
            if step.verb == "POST":
                self._learn(step.name, operation.id)
        except tuple(_REFUSALS) as error:
            status = _REFUSALS[type(error)]
        self._settle()
        return self._names.hide({**shown, "status": status, "calls": self._recorder.calls})

    def _request(self, verb, kind, rest, query, given):
        """Call the method of the fake; return its operation, and the status of Octavia's answer."""
        octavia = self.octavia
        if kind == "loadbalancers" and verb == "POST":
            return self._create_load_balancer(given), 201
        if kind == "loadbalancers" and verb == "DELETE":
            return octavia.delete_load_balancer(rest[0], cascade="cascade=true" in query), 204
        if rest[1:] == ["failover"]:
            return octavia.failover_load_balancer(rest[0]), 202
        if rest[1:] == ["members"] and verb == "PUT":
            additive = "additive_only=true" in query
            return octavia.batch_update_members(rest[0], given, additive_only=additive), 202
        name = _METHODS[rest[1] if rest[1:] else kind]
        verb, status = {"POST": ("create", 201), "PUT": ("update", 200), "DELETE": ("delete", 204)}[
            verb
        ]
        method = getattr(octavia, f"{verb}_{name}")
        if rest:  # the object itself, or the parent of a new one
            return method(rest[-1] if verb != "create" else rest[0], **given), status
        parent = {"pools": "lb_id", "listeners": "lb_id"}.get(kind)
        if parent and "loadbalancer_id" in given:
            given[parent] = given.pop("loadbalancer_id")
        return method(**given), status

    def _create_load_balancer(self, given):
        given.pop("project_id")
        given["additional_vip_subnets"] = [
            (each["subnet_id"], each["ip_address"]) if "ip_address" in each else each["subnet_id"]
            for each in given.pop("additional_vips", ())
        ]
        if given.pop("flavor_id", None):
            given["flavor"] = self._flavor
        return self.octavia.create_load_balancer(**given)

    def _prepare_flavor(self, step, body):
        if step.verb == "POST":
            profile = body.get("flavorprofile")
            self._flavor = json.loads(profile["flavor_data"]) if profile else self._flavor
            self._names.learn(step.name, {"id": _port_id(hash(step.name) % 2**32)})

    def _learn(self, name, object_id):
        self._names.learn(name, {"id": object_id})
        octavia = self.octavia
        for lb in octavia.store.find("loadbalancers"):
            for _, row in octavia.tree(lb):
                self._names.learn("", {"id": row["id"], "name": row.get("name")})

    def _settle(self):
        """Report what has been asked for as done."""
        octavia = self.octavia
        records = {}
        for table, row_id, status in octavia.stuck():
            done = "DELETED" if "DELETE" in status else "ACTIVE"
            records.setdefault(table, []).append({"id": row_id, "provisioning_status": done})
        answer = octavia.driver_listener.receive_status(records)
        if answer["status_code"] != 200:
            raise RuntimeError(answer)


def _port_id(number):
    return f"{number:08x}-0000-4000-9000-000000000000"
