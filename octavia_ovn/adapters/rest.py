# SPDX-License-Identifier: Apache-2.0
"""JSON over HTTP to an OpenStack service; every failure becomes one of :mod:`octavia_ovn.errors`.

Bare keystoneauth rather than openstacksdk: the same requests without its discovery of versions,
without 15 MB in every API worker, and statuses and bodies stay visible.

Two features of keystoneauth are not used. `connect_retries` repeats requests that have timed out,
too, after half a second or more, while a user waits. An endpoint filter with a version discovers
versions by another request; without one, URLs in a catalog that name a version get it twice.
"""

from __future__ import annotations

import contextlib
import email.utils
import http
import itertools
import logging
import re
import threading
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from keystoneauth1 import exceptions, loading

from octavia_ovn.adapters import rest_errors
from octavia_ovn.adapters.rest_errors import Meaning
from octavia_ovn.errors import BadConfiguration, Conflict, NotFound, Refused, Unavailable
from octavia_ovn.observer import SILENT, Observer

if TYPE_CHECKING:
    from octavia_ovn.config.services import Service

Query = Mapping[str, str | Sequence[str]]

LOG = logging.getLogger(__name__)
_CREDENTIALS = {http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN}
# Endpoints may name a version or not.
_VERSION = re.compile(r"(/v\d+(\.\d+)?)?/*$")
_REFUSALS = {
    Meaning.FORBIDDEN: Refused,
    Meaning.MISSING: NotFound,
    Meaning.TAKEN: Conflict,
    Meaning.REFUSED: Refused,
}


class _Answer(dict[str, Any]):
    """The object in an answer; a missing key means that it comes from a proxy.

    :param what: the request and the service that answered, for messages
    """

    def __init__(self, values: Mapping[str, Any], what: str) -> None:
        super().__init__(values)
        self._what = what

    def __missing__(self, key: str) -> Any:
        raise Unavailable(f"{self._what} without {key}")


class Rest:
    """A client of one service; safe to share between threads. It connects with the first request.

    :param service: how to reach the service
    :param service_type: its type in Keystone's catalog
    :param name: its name in messages
    :param version: the path of its API, like `/v2.0`
    :param page: how many items of a collection are asked for in one request
    """

    def __init__(  # noqa: PLR0913 - each says something else about the service
        self,
        service: Service,
        service_type: str,
        name: str,
        version: str,
        *,
        page: int = 1000,
        observer: Observer = SILENT,
    ) -> None:
        self._service = service
        self._type = service_type
        self._name = name
        self._version = version
        self._reader = rest_errors.READERS[service_type]
        self._page = page
        self._observer = observer
        self._lock = threading.Lock()
        self._session: Any = None
        self.date: float | None = None
        """When the service has answered last, in seconds since 1970 by its clock, not by that of
        this host; None as long as its answers have no date."""

    def get(self, path: str, query: Query | None = None) -> Any:
        """Return the JSON at a path.

        :param path: below the version, like `/ports`
        :raises NotFound: when there is nothing
        :raises Unavailable, Refused: when the service cannot or will not answer
        """
        return self._request("GET", path, query=query)

    def pages(
        self, path: str, key: str, query: Query | None = None
    ) -> Iterator[list[dict[str, Any]]]:
        """Yield the items of a collection by page; after an error they are not all.

        :param key: the name of the collection in the answers
        :raises Unavailable, Refused: when the service cannot or will not answer
        """
        params: Query | None = {**(query or {}), "limit": str(self._page)}
        while params is not None:
            answer = self.get(path, params)
            if answer is None:
                raise Unavailable(f"{self._name} did not answer with {key} to GET {path}")
            items: list[dict[str, Any]] = answer[key]
            yield items
            # Behind a proxy the host in a link may be wrong, so only its query is used.
            page = _next_page(answer.get(f"{key}_links", ())) if items else None
            # Octavia's links say where the next page begins, but not what was asked for.
            params = {**(query or {}), **page} if page is not None else None

    def list(self, path: str, key: str, query: Query | None = None) -> list[dict[str, Any]]:
        """Return all items of a collection, see :meth:`pages`."""
        return list(itertools.chain.from_iterable(self.pages(path, key, query)))

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Create something and return it. After :class:`Unavailable` it may exist nevertheless.

        :raises Conflict: when something else holds what was asked for
        :raises Unavailable, Refused: when the service cannot or will not do it
        """
        return self._request("POST", path, body)

    def put(self, path: str, body: Mapping[str, Any]) -> Any:
        """Update something and return it.

        :raises NotFound: when it does not exist
        :raises Unavailable, Refused: when the service cannot or will not do it
        """
        return self._request("PUT", path, body)

    def delete(self, path: str) -> None:
        """Delete something; it is fine when it does not exist.

        :raises Unavailable, Refused: when the service cannot or will not do it
        """
        with contextlib.suppress(NotFound):
            self._request("DELETE", path)

    def _request(
        self, method: str, path: str, body: object = None, query: Query | None = None
    ) -> Any:
        with self._observer.calls(self._name.lower(), method):
            return self._ask(method, path, body, query)

    def project(self) -> str:
        """Return the id of the project that the account is scoped to; empty without Keystone.

        :raises Unavailable: when Keystone does not answer
        """
        with self._translated("its account's project"), self._asking_keystone():
            return self._connected().get_project_id() or ""

    def _ask(self, method: str, path: str, body: object, query: Query | None) -> Any:
        path = self._version + path
        with self._translated(f"{method} {path}"):
            response = self._send(method, path, json=body, params=query)
        self.date = _date(response)
        return self._answer(method, path, response)

    @contextlib.contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        """Translate errors of keystoneauth.

        :param what: what was asked for
        """
        try:
            yield
        except (exceptions.HttpError, exceptions.AuthorizationFailure) as error:
            raise self._keystone_error(error) from error
        except exceptions.CatalogException as error:
            raise self._no_endpoint() from error
        except (exceptions.AuthPluginException, exceptions.OptionError) as error:
            raise BadConfiguration(f"{self._sections} cannot be used: {error}") from error
        except exceptions.ClientException as error:
            raise Unavailable(f"{self._name} did not answer {what}: {error}") from error
        except OSError as error:
            msg = f"The TLS files in {self._sections} cannot be used: {error}"
            raise BadConfiguration(msg) from error

    def _answer(self, method: str, path: str, response: Any) -> _Answer | None:
        if not response.ok:
            raise self._error(method, path, response)
        if not response.content:
            return None
        body = _body(response)
        if body is None:
            raise Unavailable(f"{self._name} did not answer in a JSON object to {method} {path}")
        return _Answer(body, f"{self._name} answered {method} {path}")

    def _send(self, method: str, path: str, **kwargs: Any) -> Any:
        session = self._connected()
        kwargs.update(
            headers={"Accept": "application/json"}, user_agent="octavia-ovn", raise_exc=False
        )
        with self._asking_keystone():
            url = self._endpoint(session) + path
        try:
            return session.request(url, method, **kwargs)
        except exceptions.ConnectTimeout:
            raise
        except exceptions.ConnectFailure:
            # The server may close an idle connection at the very moment of the request.
            if method == "POST":
                raise
            return session.request(url, method, **kwargs)

    def _connected(self) -> Any:
        with self._lock:
            if self._session is None:
                self._session = self._build_session()
            return self._session

    def _build_session(self) -> Any:
        service = self._service
        if not service.auth_type:
            raise BadConfiguration(f"{self._sections}: auth_type is not set")
        loader = loading.get_plugin_loader(service.auth_type)
        return loading.session.Session().load_from_options(
            auth=loader.load_from_options(**service.auth),
            insecure=service.insecure,
            cacert=service.cafile,
            cert=service.certfile,
            key=service.keyfile,
            timeout=service.timeout,
        )

    @contextlib.contextmanager
    def _asking_keystone(self) -> Iterator[None]:
        """Name Keystone, not the service, where the session asks it for a token and a catalog."""
        try:
            yield
        except exceptions.ConnectionError as error:
            raise Unavailable(
                f"Keystone did not answer {self._name}'s client; see auth_url in {self._sections}:"
                f" {error}"
            ) from error

    def _endpoint(self, session: Any) -> str:
        endpoint = self._service.endpoint_override or session.get_endpoint(
            service_type=self._type,
            interface=list(self._service.interfaces) or None,
            region_name=self._service.region_name,
        )
        if not endpoint:
            raise self._no_endpoint()
        return _VERSION.sub("", str(endpoint))

    @property
    def _sections(self) -> str:
        others = {self._service.section, "service_auth"}
        return " or ".join(f"[{section}]" for section in sorted(others))

    def _no_endpoint(self) -> Unavailable:
        service = self._service
        return Unavailable(
            f"Keystone's catalog has no endpoint of type {self._type} for the region"
            f" {service.region_name or '(any)'} and interfaces"
            f" {', '.join(service.interfaces) or 'public'}: see region_name, valid_interfaces and"
            f" endpoint_override in [{service.section}]"
        )

    def _keystone_error(self, error: Exception) -> Unavailable:
        """Return the error for an HTTP error of Keystone: those of the service are responses."""
        if getattr(error, "http_status", None) in _CREDENTIALS:
            return Unavailable(
                f"Keystone does not accept the credentials in {self._sections}: {error}"
            )
        return Unavailable(
            f"Keystone does not serve {self._name}'s client; see {self._sections}: {error}"
        )

    def _error(self, method: str, path: str, response: Any) -> Unavailable | Refused:
        body = _body(response) or {}
        fault = self._reader(body)
        meaning = rest_errors.meaning(response.status_code, fault)
        answer = f"{self._name} answered {response.status_code} to {method} {path}"
        message = fault.message if fault is not None else _sentence(body)
        detail = f"{answer}: {message}" if message else answer
        if meaning is Meaning.FORBIDDEN:
            LOG.warning("%s: see the account in %s and its roles", detail, self._sections)
        if meaning in _REFUSALS:
            # Of what cannot be helped by trying again, the user reads the service's own sentence.
            return _REFUSALS[meaning](message or answer)
        if meaning is Meaning.ACCOUNT:
            return Unavailable(f"{detail}: see the account in {self._sections}")
        if meaning is Meaning.FOREIGN:
            return Unavailable(f"{detail}, in a format that is not {self._name}'s")
        return Unavailable(detail)


def _date(response: Any) -> float | None:
    """Return when a response was sent, in seconds since 1970; None if it does not say so."""
    try:
        return email.utils.parsedate_to_datetime(response.headers["Date"]).timestamp()
    except (KeyError, TypeError, ValueError):
        return None


def _next_page(links: Sequence[Mapping[str, str]]) -> Query | None:
    """Return the query of the next page, None when there is none."""
    for link in links:
        if link.get("rel") == "next":
            return urllib.parse.parse_qs(urllib.parse.urlsplit(link["href"]).query)
    return None


def _body(response: Any) -> Mapping[str, Any] | None:
    """Return the JSON object in the body of a response; None if there is none."""
    try:
        body = response.json()
    except ValueError:
        return None
    return body if isinstance(body, Mapping) else None


def _sentence(body: Mapping[str, object]) -> str:
    """Return what the body of middleware's or a proxy's error says, as far as it is known."""
    for value in body.values():
        if isinstance(value, Mapping):
            return str(value.get("message", ""))
        if isinstance(value, str):
            return value
    return ""
