# SPDX-License-Identifier: Apache-2.0
"""FakeKeystone: one token and a catalog, for `auth_type = password`.

The drivers could do without Keystone, but the reference cannot: it registers
an option `[neutron] endpoint` that collides with that of `auth_type = none`.
"""

import json

from werkzeug.wrappers import Request, Response

from tests.lab.httpd import HttpServer
from tests.lab.networks import SERVICE_PROJECT

CREDENTIALS = {
    "auth_type": "password",
    "username": "octavia",
    "password": "secret",
    "project_name": "service",
    "user_domain_name": "Default",
    "project_domain_name": "Default",
    "region_name": "RegionOne",
}


class FakeKeystone:
    def __init__(self, endpoints):
        """:param endpoints: function that returns {service type: URL}"""
        self._endpoints = endpoints
        self.http = HttpServer(self._application)

    def __enter__(self):
        self.http.start()
        return self

    def __exit__(self, *exc_info):
        self.http.stop()

    def auth_options(self):
        """Options for [service_auth] or [neutron]."""
        return dict(CREDENTIALS, auth_url=f"{self.http.url}/v3")

    def _application(self, environ, start_response):
        request = Request(environ)
        if request.method == "POST":
            response = Response(
                json.dumps({"token": self._token()}),
                201,
                {"X-Subject-Token": "lab-token"},
                mimetype="application/json",
            )
        else:
            version = {
                "id": "v3.14",
                "status": "stable",
                "links": [{"rel": "self", "href": f"{self.http.url}/v3/"}],
            }
            body = (
                {"version": version}
                if request.path.startswith("/v3")
                else {"versions": {"values": [version]}}
            )
            response = Response(json.dumps(body), mimetype="application/json")
        return response(environ, start_response)

    def _token(self):
        catalog = [
            {
                "type": kind,
                "name": kind,
                "id": kind,
                "endpoints": [
                    {
                        "id": f"{kind}-{interface}",
                        "interface": interface,
                        "region": "RegionOne",
                        "region_id": "RegionOne",
                        "url": url,
                    }
                    for interface in ("public", "internal", "admin")
                ],
            }
            for kind, url in self._endpoints().items()
        ]
        domain = {"id": "default", "name": "Default"}
        return {
            "methods": ["password"],
            "catalog": catalog,
            "roles": [{"id": "admin", "name": "admin"}],
            "user": {"id": SERVICE_PROJECT, "name": "octavia", "domain": domain},
            "project": {"id": SERVICE_PROJECT, "name": "service", "domain": domain},
            "issued_at": "2026-01-01T00:00:00.000000Z",
            "expires_at": "2099-01-01T00:00:00.000000Z",
        }
