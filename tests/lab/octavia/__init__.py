# SPDX-License-Identifier: Apache-2.0
"""FakeOctavia: what Octavia's v2 API does around a provider driver call."""

from tests.lab.octavia.call import Operation
from tests.lab.octavia.fake import FakeOctavia

__all__ = ["FakeOctavia", "Operation"]
