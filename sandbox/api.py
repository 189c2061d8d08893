# SPDX-License-Identifier: Apache-2.0
"""The HTTP APIs of Keystone, Neutron and Octavia, spoken directly.

For what is not the point of a demonstration or test, and for the tests' speed: a call takes
milliseconds here and more than a second with the command line.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

from sandbox.errors import SandboxError
from sandbox.network import OPENER

if TYPE_CHECKING:
    import http.client

    from sandbox.settings import Settings

Json = dict[str, Any]

_TIMEOUT = 120.0  # seconds
_LB = "/v2/lbaas/loadbalancers"
_NOT_FOUND = 404


class ApiError(SandboxError):
    """A service refused a request."""

    def __init__(self, request: str, status: int, text: str) -> None:
        """Keep the HTTP status and what the service said."""
        super().__init__(f"{request}: HTTP {status}: {text}")
        self.status = status
        self.text = text


class Cloud:
    """Access to one sandbox, the administrator's unless another user is named."""

    def __init__(self, settings: Settings, user: str = "admin", project: str = "admin") -> None:
        """Log in."""
        self._endpoints = settings.endpoints
        self._token = ""
        domain = {"id": "default"}
        scope = {"project": {"name": project, "domain": domain}}
        who = {"name": user, "domain": domain, "password": settings.password}
        identity = {"methods": ["password"], "password": {"user": who}}
        body = {"auth": {"identity": identity, "scope": scope}}
        headers, answer = self._call("identity", "POST", "/auth/tokens", body)
        self._token = headers["X-Subject-Token"] or ""
        self.user_id: str = answer["token"]["user"]["id"]
        self.project_id: str = answer["token"]["project"]["id"]

    # --- any service ---------------------------------------------------------------------

    def request(self, service: str, method: str, path: str, body: Json | None = None) -> Json:
        """Return the answer, {} if it is empty. `service` is a type such as "network".

        Raises ApiError when the service refuses, SandboxError when it cannot be reached.
        """
        return self._call(service, method, path, body)[1]

    def get(self, service: str, path: str) -> Json:
        """GET."""
        return self.request(service, "GET", path)

    def post(self, service: str, path: str, body: Json) -> Json:
        """POST."""
        return self.request(service, "POST", path, body)

    def put(self, service: str, path: str, body: Json) -> Json:
        """PUT."""
        return self.request(service, "PUT", path, body)

    def delete(self, service: str, path: str) -> None:
        """DELETE; what is not there is deleted."""
        try:
            self.request(service, "DELETE", path)
        except ApiError as error:
            if error.status != _NOT_FOUND:
                raise

    # --- Neutron -------------------------------------------------------------------------

    def neutron(self, kind: str, **filters: str) -> list[Json]:
        """List networks, subnets, ports ...; `kind` in the plural, as in the URL."""
        query = "&".join(f"{name}={value}" for name, value in filters.items())
        listed: list[Json] = self.get("network", f"/v2.0/{kind}?{query}")[kind.replace("-", "_")]
        return listed

    def create(self, kind: str, **values: object) -> Json:
        """Make a network, subnet, port, router ...; `kind` in the singular."""
        path = f"/v2.0/{kind.replace('_', '-')}s"
        made: Json = self.post("network", path, {kind: values})[kind]
        return made

    # --- Octavia -------------------------------------------------------------------------

    def octavia(self, method: str, path: str, body: Json | None = None) -> Json:
        """Send a request below /v2/lbaas."""
        return self.request("load-balancer", method, f"/v2/lbaas{path}", body)

    def load_balancer(self, lb_id: str) -> Json | None:
        """Return the load balancer, None if there is none."""
        try:
            found: Json = self.get("load-balancer", f"{_LB}/{lb_id}")["loadbalancer"]
        except ApiError as error:
            if error.status == _NOT_FOUND:
                return None
            raise
        return found

    def wait_for(self, lb_id: str, status: str = "ACTIVE", *, timeout: float = 60.0) -> Json:
        """Wait until the load balancer has a provisioning status; DELETED may also be absence.

        Raises SandboxError after `timeout` seconds, or at once on ERROR when that is not wanted.
        """
        deadline = time.monotonic() + timeout
        while True:
            found = self.load_balancer(lb_id) or {"provisioning_status": "DELETED"}
            now = found["provisioning_status"]
            if now == status:
                return found
            if now == "ERROR" or time.monotonic() > deadline:
                raise SandboxError(f"load balancer {lb_id} is {now}, not {status}")
            time.sleep(0.1)

    def _call(
        self, service: str, method: str, path: str, body: Json | None = None
    ) -> tuple[http.client.HTTPMessage, Json]:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._token:
            headers["X-Auth-Token"] = self._token
        url = self._endpoints[service] + path
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data=data, headers=headers, method=method)
        try:
            with OPENER.open(request, timeout=_TIMEOUT) as answer:
                text = answer.read()
                return answer.headers, json.loads(text) if text else {}
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors="replace")
            raise ApiError(f"{method} {url}", error.code, text) from error
        except OSError as error:
            raise SandboxError(f"{method} {url}: {error}") from error
