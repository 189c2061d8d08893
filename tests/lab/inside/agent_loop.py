# SPDX-License-Identifier: Apache-2.0
"""What octavia-driver-agent does in the process of a provider agent."""

import logging
import signal
import time

LOG = logging.getLogger(__name__)


def serve(exit_event, function, name):
    """Run an agent, again whenever it raises, as octavia/cmd/driver_agent.py does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    while not exit_event.is_set():
        try:
            function(exit_event)
        # Any error of an agent: tests want to see that it comes back, and the log says why.
        except Exception:
            LOG.exception("Provider agent %s raised; restarting it", name)
            time.sleep(1)
            continue
        break
