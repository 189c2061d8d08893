# SPDX-License-Identifier: Apache-2.0
"""The Neutron v2.0 API over a FakeNeutron, as openstacksdk speaks it."""

import json

from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.exceptions import NotFound as NoSuchPath
from werkzeug.wrappers import Request, Response

from tests.lab import errors
from tests.lab.networks import SERVICE_PROJECT

COLLECTIONS = {
    "networks": "network",
    "subnets": "subnet",
    "ports": "port",
    "routers": "router",
    "floatingips": "floatingip",
}
# Query arguments that are not filters.
CONTROLS = {"fields", "limit", "marker", "sort_key", "sort_dir", "page_reverse"}
# NeutronError types by HTTP status.
ERROR_TYPES = {404: "ObjectNotFound", 409: "IpAddressAlreadyAllocated", 400: "BadRequest"}


class Application:
    """WSGI application."""

    def __init__(self, neutron):
        self._neutron = neutron

    def __call__(self, environ, start_response):
        request = Request(environ)
        try:
            response = self._dispatch(request)
        except HTTPException as error:
            response = error
        except errors.ApiError as error:
            response = _json(
                {
                    "NeutronError": {
                        "type": ERROR_TYPES[error.status],
                        "message": str(error),
                        "detail": "",
                    }
                },
                error.status,
            )
        return response(environ, start_response)

    def _dispatch(self, request):
        parts = [part for part in request.path.split("/") if part]
        if not parts:
            return _json(
                {
                    "versions": [
                        {
                            "id": "v2.0",
                            "status": "CURRENT",
                            "links": [{"rel": "self", "href": request.url_root + "v2.0/"}],
                        }
                    ]
                }
            )
        if parts == ["v2.0", "extensions"]:
            return _json({"extensions": []})
        if parts[0] != "v2.0" or len(parts) not in (2, 3):
            raise NoSuchPath
        collection = parts[1]
        if collection not in COLLECTIONS:
            raise NoSuchPath
        if len(parts) == 2:
            return self._collection(request, collection)
        return self._item(request, collection, parts[2])

    def _collection(self, request, collection):
        name = COLLECTIONS[collection]
        if request.method == "GET":
            table = getattr(self._neutron, collection)
            with self._neutron.locked():
                found = [item for item in table.values() if _matches(item, request.args)]
                return _json({collection: found})
        if request.method == "POST" and collection == "ports":
            # Who names no project gets the token's, which is the service's.
            port = self._neutron.create_port(
                **{"project_id": SERVICE_PROJECT, **_body(request, name)}
            )
            return _json({name: port}, 201)
        raise MethodNotAllowed

    def _item(self, request, collection, uuid):
        name = COLLECTIONS[collection]
        table = getattr(self._neutron, collection)
        if uuid not in table:
            raise errors.NotFound(f"{name.capitalize()} {uuid} could not be found.")
        if request.method == "GET":
            with self._neutron.locked():
                return _json({name: table[uuid]})
        if request.method == "PUT" and collection == "ports":
            return _json({name: self._neutron.update_port(uuid, **_body(request, name))})
        if request.method == "PUT" and collection == "floatingips":
            return _json({name: self._neutron.update_fip(uuid, **_body(request, name))})
        if request.method == "DELETE" and collection == "ports":
            self._neutron.delete_port(uuid)
            return Response(status=204)
        raise MethodNotAllowed


def _body(request, name):
    return request.get_json()[name]


def _json(data, status=200):
    return Response(json.dumps(data), status, mimetype="application/json")


def _matches(item, arguments):
    for key, wanted in arguments.lists():
        if key in CONTROLS:
            continue
        if key == "fixed_ips":
            if not _matches_fixed_ips(item, wanted):
                return False
        elif str(item.get(key)) not in wanted:
            return False
    return True


def _matches_fixed_ips(item, wanted):
    """fixed_ips=subnet_id=X&fixed_ips=ip_address=Y: one address has all."""
    conditions = dict(condition.split("=", 1) for condition in wanted)
    return any(
        all(fixed_ip.get(key) == value for key, value in conditions.items())
        for fixed_ip in item["fixed_ips"]
    )
