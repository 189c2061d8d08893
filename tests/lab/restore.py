# SPDX-License-Identifier: Apache-2.0
"""Puts a dump of the corpus into a running laboratory, as if all had been made there."""

from tests.lab import rows
from tests.lab.ovsdb import as_list, insert, named, omap, oset

# Columns that refer to rows of the dump.
REFERENCES = {
    "Load_Balancer": {"health_check"},
    "Logical_Switch": {"ports", "load_balancer"},
    "Logical_Router": {"ports", "nat", "load_balancer"},
}
INTERNAL = {"_uuid", "_version"}
# Written by ovn-northd, or referring to rows outside the dump.
LEFT_OUT = {"up", "gateway_port", "copp", "load_balancer_group", "static_routes", "policies"}

# Columns that Octavia's rows have got since the corpus was made.
NEWER = {
    "loadbalancers": {"flavor": None},
    "listeners": rows.LISTENER_DEFAULTS,
    "pools": rows.POOL_DEFAULTS,
    "healthmonitors": rows.HEALTH_MONITOR_DEFAULTS,
}


def restore(lab, dump):
    """Restore what Neutron and Octavia know, then the rows, in one transaction."""
    with lab.neutron.locked():
        lab.neutron.adopt(dump["neutron"])
        with lab.octavia.store.begin() as transaction:
            for table, dumped in dump["octavia"].items():
                for row in dumped:
                    transaction.insert(table, {**NEWER.get(table, {}), **row})
        lab.nb.transact(
            *(
                insert(table, _columns(table, row), _name(row["_uuid"]))
                for table, dumped in dump["northbound"].items()
                for row in dumped
            )
        )
        lab.neutron.adopt_rows()


def _columns(table, row):
    references = REFERENCES.get(table, ())
    return {
        column: oset(named(_name(uuid)) for uuid in as_list(value))
        if column in references
        else _encode(value)
        for column, value in row.items()
        if column not in INTERNAL | LEFT_OUT and value not in ([], {}, "")
    }


def _encode(value):
    if isinstance(value, dict):
        return omap(value)
    return oset(value) if isinstance(value, list) else value


def _name(uuid):
    return "r" + uuid.replace("-", "_")
