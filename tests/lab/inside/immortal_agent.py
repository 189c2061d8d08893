# SPDX-License-Identifier: Apache-2.0
"""Runs in the venv under test: as driver_agent.py, but a provider agent that was killed comes back.

It is forked again from a process that has imported everything, so that is a matter of milliseconds.
Nothing kills it when its parent dies: octavia-driver-agent does not do that either.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time

import agent_loop
import octavia_functions
import wall_clock
from oslo_config import cfg
from oslo_log import log
from stevedore import driver as stevedore_driver


def end_with(parent):
    """Leave no orphan of a lab that was killed itself."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def main():
    wall_clock.follow("agent")
    threading.Thread(target=end_with, args=[os.getppid()], daemon=True).start()
    provider, config_file, log_file = sys.argv[1:]
    log.register_options(cfg.CONF)
    cfg.CONF([], project="octavia", default_config_files=[config_file])
    cfg.CONF.set_override("log_file", log_file)
    log.setup(cfg.CONF, "octavia-driver-agent")
    octavia_functions.load(cfg.CONF)
    function = stevedore_driver.DriverManager(
        namespace="octavia.driver_agent.provider_agents", name=provider
    ).driver

    context = multiprocessing.get_context("fork")
    events = []

    def stop(*_):
        stop.asked = True
        for event in events:
            event.set()

    stop.asked = False
    signal.signal(signal.SIGTERM, stop)
    while not stop.asked:
        # An event of its own: a process may be killed while it holds the event's lock.
        events[:] = [context.Event()]
        process = context.Process(target=agent_loop.serve, args=(events[0], function, provider))
        process.start()
        process.join()
        if process.exitcode == 0:
            break


if __name__ == "__main__":
    main()
