# SPDX-License-Identifier: Apache-2.0
"""Requests for limits of connections."""

import pytest

from octavia_ovn.core import model
from octavia_ovn.core.request import changes, connection_limits, limits
from tests.core.builders import balancer, listener

LIMITED = balancer([listener(connection_limit=10)])


@pytest.mark.parametrize(
    ("change", "before", "expected"),
    [
        (changes.CreateLoadBalancer(LIMITED), None, True),
        (changes.CreateLoadBalancer(balancer([listener()])), None, False),
        (changes.PutListener(listener(connection_limit=10)), balancer(), True),
        (changes.PutListener(listener(connection_limit=10)), balancer([listener()]), True),
        (changes.PutListener(listener(connection_limit=11)), LIMITED, True),
        (changes.PutListener(listener(connection_limit=10)), LIMITED, False),
        (changes.PutListener(listener()), LIMITED, False),
        (changes.DeleteListener("l1"), LIMITED, False),
        (changes.Restore(LIMITED), None, False),
    ],
)
def test_new_limits_only(change, before, expected):
    assert connection_limits.sets(change, before) is expected


@pytest.mark.parametrize("protocol", [model.Protocol.UDP, model.Protocol.SCTP])
def test_of_tcp_only(protocol):
    one = listener(protocol=protocol, connection_limit=10)
    for change in (changes.PutListener(one), changes.CreateLoadBalancer(balancer([one]))):
        with pytest.raises(limits.Unsupported, match=rf"^connection_limit: .*{protocol.name}; .*"):
            connection_limits.sets(change, balancer())

    assert not connection_limits.sets(changes.PutListener(one), balancer([one]))
