# SPDX-License-Identifier: Apache-2.0
"""An event loop whose clock jumps to the next timer, so that minutes take no time."""

import asyncio
import selectors


class _Selector(selectors.SelectSelector):
    """Waits for nothing, and takes note of how long it would have."""

    waited = 0.0

    def select(self, timeout=None):
        found = super().select(0)
        if not found and timeout:
            self.waited += timeout
        return found


class SimulatedLoop(asyncio.SelectorEventLoop):
    """The loop; what runs in it must not wait for threads or sockets."""

    def __init__(self):
        self._simulated = _Selector()
        super().__init__(self._simulated)

    def time(self):
        return self._simulated.waited


def run(main, seconds):
    """Run a coroutine for some simulated seconds at most."""
    loop = SimulatedLoop()
    try:
        return loop.run_until_complete(asyncio.wait_for(main, seconds))
    finally:
        loop.close()
