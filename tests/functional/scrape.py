# SPDX-License-Identifier: Apache-2.0
"""Reading an agent's metrics."""

import contextlib
import socket
import urllib.parse
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

from tests.lab.env import wait_until

PREFIX = "octavia_ovn_"


class Scraper:
    """The metrics at an address, as a Prometheus server reads them."""

    def __init__(self, port, host="127.0.0.1"):
        self.url = f"http://{host}:{port}/metrics"

    def text(self, timeout=20.0):
        """What is served, once it is."""
        assert wait_until(self._answers, timeout, 0.05) is not None, f"{self.url} is not served"
        with urllib.request.urlopen(self.url, timeout=5) as answer:
            return answer.read().decode()

    def _answers(self):
        address = urllib.parse.urlsplit(self.url)
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection((address.hostname, address.port), 5).close()
            return True
        return False

    def families(self):
        return list(text_string_to_metric_families(self.text()))

    def samples(self):
        """Values by name without our prefix and labels, those that are 0 left out."""
        return {
            (sample.name.removeprefix(PREFIX), *sorted(sample.labels.items())): sample.value
            for family in self.families()
            for sample in family.samples
            if sample.name.startswith(PREFIX) and sample.value
        }

    def of(self, name):
        """The values of one metric that are not 0, by the values of its labels.

        One label gives a string, none None.
        """
        found = {}
        for key, value in self.samples().items():
            if key[0] == name:
                labels = tuple(label for _, label in key[1:])
                found[labels if len(labels) > 1 else next(iter(labels), None)] = value
        return found
