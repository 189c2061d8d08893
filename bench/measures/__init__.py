# SPDX-License-Identifier: Apache-2.0
"""What is measured, inside the process of one driver. A public method of `Bench` is one measure.

Times are "done", from the API call until Octavia shows nothing of the load balancer as PENDING and
what was to be deleted is gone, and "in driver", loading the driver and calling it, which is how
long Octavia's API holds its database locks.
"""

from bench.measures.clouds import Clouds
from bench.measures.events import Events
from bench.measures.many import Many
from bench.measures.operations import Operations
from bench.measures.start import Start
from bench.measures.sync import Sync


class Bench(Clouds, Start, Operations, Many, Events, Sync):
    """All measures of one driver in its laboratory."""
