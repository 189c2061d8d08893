# SPDX-License-Identifier: Apache-2.0
"""Rows for the tests of the row format."""

from tests.core.builders import (
    row,
)

LB = {"enabled": "True", "neutron:vip": "10.0.0.100", "neutron:vip_port_id": "vip-port"}


def legacy_row(**fields):
    ids = {
        "neutron:vip": "10.0.0.100",
        "listener_l1": "80:pool_p1",
        "pool_p1": "member_m1_10.0.0.1:80_sub1,member_m2_10.0.0.2:80_sub1",
        **fields.pop("external_ids", {}),
    }
    return row(external_ids=ids, **fields)
