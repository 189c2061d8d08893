# SPDX-License-Identifier: Apache-2.0
"""An oracle: what must be true of a load balancer, seen from outside.

It computes from the rows of FakeOctavia and from FakeNeutron's model what the northbound database
and Neutron's ports must hold, and says in sentences what differs. It shares no code with the
driver: neither its types nor its codec. Where the documents leave a choice, it accepts each.
"""

from tests.lab.invariants.oracle import Oracle

__all__ = ["Oracle"]
