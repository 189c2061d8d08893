# SPDX-License-Identifier: Apache-2.0
"""Octavia's HTTP API as far as comparing needs it: lists with filters, and single objects."""

import datetime
import json

from werkzeug.wrappers import Request, Response

LINKED = {"listeners": "loadbalancers", "pools": "loadbalancers", "healthmonitors": "pools"}
ONE = {
    "loadbalancers": "loadbalancer",
    "listeners": "listener",
    "pools": "pool",
    "healthmonitors": "healthmonitor",
    "l7policies": "l7policy",
}
NOT_FILTERS = ("limit", "marker", "fields")


class OctaviaHttp:
    """A WSGI application that shows what is committed.

    :param url: function that returns the server's URL
    """

    def __init__(self, store, url):
        self._store = store
        self._url = url

    def __call__(self, environ, start_response):
        request = Request(environ)
        _, _, path = request.path.strip("/").partition("lbaas/")
        if not path:
            return _answer(self._versions())(environ, start_response)
        kind, *rest = path.split("/")
        if kind == "pools" and rest[1:] == ["members"]:
            rows = self._rows("members", {**request.args, "pool_id": rest[0]})
            body = {"members": [self._member(row) for row in rows]}
        elif kind == "l7policies" and rest[1:] == ["rules"]:
            body = {"rules": self._rows("l7rules", {**request.args, "l7policy_id": rest[0]})}
        elif rest:
            row = self._store.get(kind, rest[0])
            if row is None or row["provisioning_status"] == "DELETED":
                return _answer({"faultcode": "Client", "faultstring": "Not found"}, 404)(
                    environ, start_response
                )
            body = {ONE[kind]: self._object(kind, row)}
        else:
            body = self._page(kind, request.args)
        return _answer(body)(environ, start_response)

    def _page(self, kind, args):
        """A page of a list; the rest begins behind its last object."""
        size = int(args["limit"]) if "limit" in args else None
        rows = self._store.page(kind, size, args.get("marker"), **_filters(args))
        page = rows[:size]
        fields = set(args.getlist("fields"))
        found = (self._object(kind, row) for row in page)
        body = {kind: [_only(fields, each) for each in found]}
        if len(page) < len(rows):
            marker = f"{self._url()}/v2.0/lbaas/{kind}?marker={page[-1]['id']}"
            body[f"{kind}_links"] = [{"rel": "next", "href": f"{marker}&limit={size}"}]
        return body

    def _versions(self):
        links = [{"rel": "self", "href": f"{self._url()}/v2.0"}]
        return {"versions": [{"id": "v2.0", "status": "CURRENT", "links": links}]}

    def _rows(self, kind, args):
        found = self._store.find(kind, **_filters(args))
        return [row for row in found if row["provisioning_status"] != "DELETED"]

    def _object(self, kind, row):
        found = {**row, "admin_state_up": row.get("enabled", True), **self._times(kind, row["id"])}
        return {**found, **self._relations.get(kind, lambda _: {})(row)}

    @property
    def _relations(self):
        """What Octavia shows of an object beside its own columns."""
        return {
            "loadbalancers": lambda row: {
                children: self._ids(children, load_balancer_id=row["id"])
                for children in ("listeners", "pools")
            },
            "listeners": lambda row: {
                "loadbalancers": [{"id": row["load_balancer_id"]}],
                "l7policies": self._ids("l7policies", listener_id=row["id"]),
            },
            "l7policies": lambda row: {"rules": self._ids("l7rules", l7policy_id=row["id"])},
            "pools": self._of_pool,
            "healthmonitors": lambda row: {"pools": [{"id": row["pool_id"]}]},
        }

    def _of_pool(self, row):
        monitors = self._ids("healthmonitors", pool_id=row["id"])
        return {
            "loadbalancers": [{"id": row["load_balancer_id"]}],
            "members": self._ids("members", pool_id=row["id"]),
            # Else Octavia leaves it out.
            **({"healthmonitor_id": monitors[0]["id"]} if monitors else {}),
        }

    def _member(self, row):
        return {**row, "address": row["ip_address"], **self._times("members", row["id"])}

    def _ids(self, kind, **filters):
        return [{"id": row["id"]} for row in self._store.find(kind, **filters)]

    def _times(self, kind, row_id):
        """Octavia writes times in UTC, in seconds, and does not say so."""
        moment = datetime.datetime.fromtimestamp(
            self._store.changed_at(kind, row_id), datetime.timezone.utc
        )
        text = moment.replace(tzinfo=None).isoformat(timespec="seconds")
        return {"created_at": text, "updated_at": text}


def _filters(args):
    filters = {name: value for name, value in args.items() if name not in NOT_FILTERS}
    if "loadbalancer_id" in filters:
        filters["load_balancer_id"] = filters.pop("loadbalancer_id")
    return filters


def _only(fields, values):
    return {name: each for name, each in values.items() if not fields or name in fields}


def _answer(body, status=200):
    return Response(json.dumps(body), status, mimetype="application/json")
