# SPDX-License-Identifier: Apache-2.0
"""Octavia's driver agent: statuses and statistics to Octavia, objects from it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from octavia_lib.common import constants

from octavia_ovn.adapters.octavia.transport import Service, Transport
from octavia_ovn.errors import Refused, Unavailable
from octavia_ovn.observer import SILENT, Observer

_NAME = "octavia-driver-agent"
# What the driver agent reports as a fault of the record although its own database is at fault.
_DATABASE_FAULT = re.compile(
    r"\([\w.]*(?:OperationalError|InternalError|InterfaceError)\)|QueuePool limit"
    # Another transaction has held the project's quotas for too long.
    r"|Project busy"
    # psycopg2 has a class for each of PostgreSQL's conditions: those of its connection, of a
    # transaction that lost against another, of resources, and of what an operator does.
    r"|\(psycopg2\.errors\.(?:\w*Connection\w*|CannotConnectNow|TransactionRollback|DeadlockDetected"
    r"|SerializationFailure|StatementCompletionUnknown|InFailedSqlTransaction|InsufficientResources"
    r"|DiskFull|OutOfMemory|ObjectInUse|LockNotAvailable|ObjectNotInPrerequisiteState"
    r"|OperatorIntervention|QueryCanceled|AdminShutdown|CrashShutdown|DatabaseDropped"
    r"|IdleSessionTimeout|IdleInTransactionSessionTimeout|ReadOnlySqlTransaction|SystemError"
    r"|IoError|FdwError)\)"
)


class StatusRefused(Refused):
    """Octavia cannot apply a record, for instance because it does not know the object.

    Records before it in Octavia's order of kinds have been applied, those after it have not.

    :param status_object: the kind, like `listeners`; None when Octavia does not say
    :param status_object_id: the id; None when Octavia does not say
    """

    def __init__(
        self, message: str, status_object: str | None = None, status_object_id: str | None = None
    ) -> None:
        super().__init__(message)
        self.status_object = status_object
        self.status_object_id = status_object_id


class DriverAgent:
    """A client; safe to share between threads.

    :param transport: carries the messages
    """

    def __init__(self, transport: Transport, observer: Observer = SILENT) -> None:
        self._transport = transport
        self._observer = observer

    def update_status(self, status: Mapping[str, object]) -> None:
        """Report statuses to Octavia; when this returns it has committed them.

        :param status: lists of records with `id`, `provisioning_status` and `operating_status`, by
            kind: `loadbalancers`, `listeners` and so on
        :raises StatusRefused: when it cannot apply a record
        :raises Unanswered: when it does not answer in time, and may still be at work
        :raises Unavailable: when the driver agent or its database does not answer
        """
        with self._observer.calls(_NAME, Service.STATUS.value):
            _check(self._transport.ask(Service.STATUS, status), Service.STATUS)

    def update_statistics(self, statistics: Mapping[str, object]) -> None:
        """Report the counters of listeners to Octavia.

        :param statistics: records with `id`, `bytes_in`, `bytes_out`, `active_connections`,
            `total_connections` and `request_errors`, in the list `listeners`
        :raises StatusRefused: when it cannot use a record
        :raises Unavailable: when the driver agent or its database does not answer
        """
        with self._observer.calls(_NAME, Service.STATS.value):
            _check(self._transport.ask(Service.STATS, statistics), Service.STATS)

    def get_load_balancer(self, lb_id: str) -> dict[str, Any] | None:
        """Return a load balancer with its whole tree, unset fields as None; None if there is none.

        :raises Unavailable: when the driver agent does not answer
        """
        return self.get(constants.LOADBALANCERS, lb_id)

    def get(self, kind: str, object_id: str) -> dict[str, Any] | None:
        """Return an object; None if there is none.

        :param kind: `loadbalancers`, `listeners`, `pools`, `members` or `healthmonitors`
        :raises Unavailable: when the driver agent does not answer
        """
        with self._observer.calls(_NAME, Service.GET.value):
            request = {constants.OBJECT: kind, constants.ID: object_id}
            found = self._transport.ask(Service.GET, request)
        return found or None


def _check(answer: Mapping[str, Any], service: Service) -> None:
    if answer.get(constants.STATUS_CODE) == constants.DRVR_STATUS_CODE_OK:
        return
    fault = answer.get(constants.FAULT_STRING) or "octavia-driver-agent gives no reason"
    if _DATABASE_FAULT.search(fault):
        raise Unavailable(f"Octavia's database does not serve the driver agent: {fault}")
    culprit = f"{service.value}_object"
    raise StatusRefused(fault, answer.get(culprit), answer.get(f"{culprit}_id"))
