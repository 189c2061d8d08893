# SPDX-License-Identifier: Apache-2.0
"""Runs in the venv under test: one octavia-api worker process.

Loads the provider driver as octavia/api/drivers/driver_factory.py does, a new
instance for every API request, and calls it on behalf of the lab.
"""

import cProfile
import gc
import os
import socket
import sys
import threading
import time
import traceback

import wall_clock
import wire
from oslo_config import cfg
from oslo_log import log
from stevedore import driver as stevedore_driver


def main():
    wall_clock.follow("worker")
    control, config_file, log_file = sys.argv[1:]
    log.register_options(cfg.CONF)
    cfg.CONF([], project="octavia", default_config_files=[config_file])
    cfg.CONF.set_override("log_file", log_file)
    log.setup(cfg.CONF, "octavia-api")
    if "LAB_PROFILE_DIR" in os.environ:
        profile_threads()
    with socket.socket(fileno=int(control)) as sock:
        api = threading.Thread(target=serve, args=[sock], name="api")
        api.start()
        api.join()


def serve(sock):
    driver = None
    while request := wire.receive(sock):
        start = time.perf_counter()
        reply = {}
        try:
            if request["command"] == "open":
                driver = stevedore_driver.DriverManager(
                    namespace="octavia.api.drivers", name=request["provider"], invoke_on_load=True
                ).driver
            elif request["command"] == "call":
                reply["result"] = wire.encode(
                    getattr(driver, request["method"])(
                        *wire.decode(request["args"]), **request["kwargs"]
                    )
                )
            elif request["command"] == "close":
                driver = None
                gc.collect(0)
        except Exception as error:  # noqa: BLE001 - any error of a driver, as Octavia does
            reply["error"] = {
                "kind": kind_of(error),
                "message": getattr(error, "user_fault_string", None) or str(error),
                "trace": traceback.format_exc(),
            }
        reply["seconds"] = time.perf_counter() - start
        wire.send(sock, reply)


def kind_of(error):
    """Name the class that Octavia catches: of octavia_lib, if derived from it."""
    for cls in type(error).__mro__:
        if cls.__module__ == "octavia_lib.api.drivers.exceptions":
            return cls.__name__
    return type(error).__name__


def profile_threads():
    """Write one cProfile file per thread, when the thread ends."""
    run = threading.Thread.run

    def profiled_run(thread):
        profiler = cProfile.Profile()
        try:
            profiler.runcall(run, thread)
        finally:
            profiler.dump_stats(
                os.path.join(os.environ["LAB_PROFILE_DIR"], f"{os.getpid()}-{thread.name}.prof")
            )

    threading.Thread.run = profiled_run


if __name__ == "__main__":
    main()
