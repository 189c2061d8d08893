# SPDX-License-Identifier: Apache-2.0
"""What the fake APIs refuse, with the HTTP status they would answer."""


class ApiError(Exception):
    """An API call was refused."""

    status = 500


class NotFound(ApiError):
    """No such object."""

    status = 404


class Conflict(ApiError):
    """Address in use, duplicate, or object in an immutable state."""

    status = 409


class BadRequest(ApiError):
    """The request makes no sense."""

    status = 400


class DriverError(ApiError):
    """The provider driver raised; `kind` is the class it raised."""

    def __init__(self, kind, message, trace=""):
        super().__init__(f"{kind}: {message}")
        self.kind = kind
        self.trace = trace


class WorkerDied(ApiError):
    """The API's worker went before it answered; its database transaction is rolled back."""
