# SPDX-License-Identifier: Apache-2.0
"""Everything one driver needs to run: databases, clouds, processes."""

import contextlib
import json
import os
import pathlib
import sys

from tests.lab import env, ovsdb
from tests.lab.cloud import FakeNeutron
from tests.lab.hypervisor import Hypervisor
from tests.lab.keystone import FakeKeystone
from tests.lab.octavia import FakeOctavia
from tests.lab.store import MYSQL
from tests.lab.tap import OvsdbTap
from tests.lab.workers import Agent, WorkerPool


class Lab:
    """A running laboratory for the driver installed in one venv.

    :param venv: path of the venv under test
    :param workers: how many octavia-api worker processes
    :param agent: whether to run the provider agent
    :param nb_template: NB file to start from, see scale.template
    :param flavor: the SQL database to imitate, see store.py
    :param config: {section: {option: value}} added to octavia.conf
    :param profile_dir: where the workers put cProfile files, one a thread
    :param keep_logs: directory that gets all log files at the end
    :param taps: let the driver and the agent reach the northbound database through taps
    """

    def __init__(
        self,
        venv=sys.prefix,
        *,
        workers=1,
        agent=True,
        nb_template=None,
        northd=False,
        flavor=MYSQL,
        config=None,
        profile_dir=None,
        keep_logs=None,
        taps=False,
    ):
        self.python = str(pathlib.Path(venv) / "bin" / "python")
        self._worker_count = workers
        self._with_agent = agent
        self._env_options = {"nb_template": nb_template, "northd": northd, "keep_logs": keep_logs}
        self._flavor = flavor
        self._config = config
        self._profile_dir = profile_dir
        self._taps = taps
        self._stack = contextlib.ExitStack()
        self.env = self.neutron = self.octavia = self.agent = None
        self.nb = self.sb = self.nb_log = self.run_dir = None
        self.keystone = self.worker_tap = self.agent_tap = None
        self.worker_config = self.agent_config = None

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.run_dir = stack.enter_context(env.hold_octavia_run_dir())
            self.env = stack.enter_context(env.Env(**self._env_options))
            self.nb = self._connect(stack, self.env.nb)
            self.sb = self._connect(stack, self.env.sb)
            self.worker_tap = stack.enter_context(self._tap("worker", self.env.nb))
            self.agent_tap = stack.enter_context(self._tap("agent", self.env.nb))
            self.nb_log = ovsdb.TransactionLog(self.env.nb.path)
            self.neutron = stack.enter_context(FakeNeutron(self._connect(stack, self.env.nb)))
            if self._env_options["northd"]:
                self.neutron.hypervisor = Hypervisor(self.nb, self.sb)
            self.octavia = stack.enter_context(
                FakeOctavia(self.neutron, self.run_dir, flavor=self._flavor, config=self._config)
            )
            keystone = stack.enter_context(FakeKeystone(self._endpoints))
            self.keystone = keystone
            self.worker_config = self._write_config("api.conf", self.worker_tap)
            self.agent_config = self._write_config("agent.conf", self.agent_tap)
            self.start_workers()
            stack.callback(self.stop_workers)
            if self._with_agent:
                self.start_agent()
                stack.callback(self.stop_agent)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc_info):
        self._stack.close()

    def _tap(self, name, server):
        if not self._taps:
            return contextlib.nullcontext(server)
        return OvsdbTap(self.env.directory / f"{name}-tap.sock", server.socket)

    def _write_config(self, name, nb):
        return self.env.write_config(
            name, nb.remote, self.keystone.auth_options(), self.neutron.http.url, self._config
        )

    def start_workers(self, count=None):
        """Start fresh octavia-api workers."""
        environment = self._environment()
        if self._profile_dir:
            environment["LAB_PROFILE_DIR"] = str(self._profile_dir)
        self.octavia.workers = WorkerPool(
            self.python,
            self.worker_config,
            self.env.directory,
            count or self._worker_count,
            environment,
        )

    def stop_workers(self):
        self.octavia.workers.stop()

    def selection_fields(self):
        """The fields that this OVN can hash by."""
        schema = json.loads((env.SCHEMAS / "ovn-nb.ovsschema").read_text(encoding="utf-8"))
        column = schema["tables"]["Load_Balancer"]["columns"]["selection_fields"]
        return set(column["type"]["key"]["enum"][1])

    def start_agent(self):
        """Start the driver agent's process, which starts the provider agent."""
        self.agent = Agent(
            self.python,
            self.agent_config,
            self.env.directory / "agent.log",
            self._environment(),
        )

    def stop_agent(self):
        """Stop it as an operator would."""
        self.agent.stop()

    def _environment(self):
        """Ours, less what would put our packages before those of another venv under test."""
        ours = pathlib.Path(self.python).parent.parent == pathlib.Path(sys.prefix)
        return {name: each for name, each in os.environ.items() if ours or name != "PYTHONPATH"}

    def _endpoints(self):
        return {"network": self.neutron.http.url, "load-balancer": self.octavia.http.url}

    @staticmethod
    def _connect(stack, server):
        return stack.enter_context(contextlib.closing(server.connect()))
