# SPDX-License-Identifier: Apache-2.0
"""Runs in the venv under test: the provider agent part of octavia-driver-agent.

Forks one process per enabled provider agent and restarts an agent function
that raises, as octavia/cmd/driver_agent.py does.
"""

import ctypes
import logging
import multiprocessing
import signal
import sys

import agent_loop
from oslo_config import cfg
from oslo_log import log
from stevedore import enabled as stevedore_enabled

PR_SET_PDEATHSIG = 1
SHUTDOWN_TIMEOUT = 60  # [driver_agent] provider_agent_shutdown_timeout
LOG = logging.getLogger(__name__)


def run_agent(exit_event, function, name):
    # Leave no orphan when the lab has to kill our parent.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    agent_loop.serve(exit_event, function, name)


def main():
    provider, config_file, log_file = sys.argv[1:]
    log.register_options(cfg.CONF)
    cfg.CONF([], project="octavia", default_config_files=[config_file])
    cfg.CONF.set_override("log_file", log_file)
    log.setup(cfg.CONF, "octavia-driver-agent")

    context = multiprocessing.get_context("fork")
    exit_event = context.Event()
    manager = stevedore_enabled.EnabledExtensionManager(
        namespace="octavia.driver_agent.provider_agents",
        check_func=lambda extension: extension.name == provider,
    )
    processes = [
        context.Process(
            target=run_agent,
            name=extension.name,
            args=(exit_event, extension.plugin, extension.name),
        )
        for extension in manager
    ]
    for process in processes:
        process.start()

    def stop(*_):
        exit_event.set()
        for process in processes:
            process.join(SHUTDOWN_TIMEOUT)
            if process.exitcode is None:
                LOG.error("Provider agent %s did not stop; killing it", process.name)
                process.kill()

    signal.signal(signal.SIGTERM, stop)
    for process in processes:
        process.join()


if __name__ == "__main__":
    main()
