# SPDX-License-Identifier: Apache-2.0
"""Reading the row format; unreadable parts become problems, not exceptions."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict, TypeVar

from octavia_ovn.core import flavors, ip, model
from octavia_ovn.core.codec import keys as k
from octavia_ovn.core.codec import legacy
from octavia_ovn.core.codec.attributes import (
    UNREADABLE,
    listener_with_attributes,
    pool_with_attributes,
    texts,
)
from octavia_ovn.core.pending import Final, Kind, Pending
from octavia_ovn.core.rows import Row

T = TypeVar("T")
C = TypeVar("C", model.Listener, model.Pool)


@dataclass(frozen=True, slots=True)
class Decoded:
    """The content of a load balancer's rows; `problems` are sentences about unreadable parts."""

    lb: model.LoadBalancer
    pending: Pending | None
    member_status: Mapping[str, str]
    problems: tuple[str, ...]


class Undecodable(ValueError):
    """No row names a VIP."""


def decode(rows: Iterable[Row]) -> Decoded:
    """Read the rows of one load balancer.

    Unreadable parts are left out and named in `problems`.

    :raises Undecodable: when no row names a VIP
    """
    ordered = sorted(rows, key=lambda row: (k.VIP not in row.external_ids, row.uuid))
    if not ordered or k.VIP not in ordered[0].external_ids:
        msg = "no row names a VIP"
        raise Undecodable(msg)
    reader = _Reader(ordered)
    return Decoded(
        lb=reader.load_balancer(),
        pending=reader.pending(),
        member_status=reader.member_status(),
        problems=tuple(reader.problems),
    )


def pending(rows: Iterable[Row]) -> Pending | None:
    """Return the pending objects of rows, also of rows without an intent; None for none."""
    return _Reader(list(rows)).pending()


def children(rows: Iterable[Row]) -> frozenset[str] | None:
    """Return the ids of the listeners and pools that rows have keys of, without reading the values.

    :returns: None when no row names a VIP
    """
    keys = {key for row in rows for key in row.external_ids}
    if k.VIP not in keys:
        return None
    return frozenset(
        _split_key(key, prefix)[0]
        for prefix in (k.LISTENER, k.POOL)
        for key in keys
        if key.startswith(prefix)
    )


class _Reader:
    """Reads rows piece by piece and remembers what it could not read."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows
        self.problems: list[str] = []

    def load_balancer(self) -> model.LoadBalancer:
        main = self._rows[0]
        attributes = self._object(main, k.LOAD_BALANCER) or {}
        try:
            model.check_id(main.name)
            vips = _vips(main.external_ids, attributes)
        except UNREADABLE as error:
            msg = f"the VIP cannot be read: {error}"
            raise Undecodable(msg) from error
        listeners = self._each(k.LISTENER, self._listener)
        pools = self._each(k.POOL, self._pool)
        project_id = attributes.get("project_id")
        return model.LoadBalancer(
            id=main.name,
            vips=vips,
            project_id=project_id if isinstance(project_id, str) else None,
            enabled=main.external_ids.get(k.ENABLED, "True") != "False",
            listeners=tuple(sorted(listeners, key=lambda each: each.id)),
            pools=tuple(sorted(pools, key=lambda each: each.id)),
            flavor=self._flavor(),
            security_groups=vip_groups(self._rows),
        )

    def _each(self, prefix: str, read: Callable[[Row, str], C]) -> Collection[C]:
        """Return what the keys with a prefix say, of each id what the first row says."""
        found: dict[str, C] = {}
        for row in self._rows:
            for key in sorted(each for each in row.external_ids if each.startswith(prefix)):
                child = self._read(key, functools.partial(read, row, key))
                if child is not None:
                    found.setdefault(child.id, child)
        return found.values()

    def pending(self) -> Pending | None:
        merged: Pending | None = None
        for row in self._rows:
            text = row.external_ids.get(k.PENDING)
            one = text and self._read(k.PENDING, functools.partial(_pending, text))
            if one:
                merged = merged.merge(one) if merged else one
        return merged

    def _flavor(self) -> model.Flavor:
        """Return what any row says: a flavor never changes, so none can be out of date."""
        found: dict[str, object] = {}
        for key in (k.FLAVOR, k.FLAVOR_MORE):
            parts = (self._object(row, key) for row in self._rows)
            if key == k.FLAVOR_MORE:
                parts = (flavors.known(each or {}) for each in parts)
            readable = (each for each in parts if each and self._flavor_of(key, each))
            found |= next(readable, {})
        return self._flavor_of(k.FLAVOR, found) or model.Flavor()

    def _flavor_of(self, key: str, values: Mapping[str, object]) -> model.Flavor | None:
        return self._read(key, functools.partial(flavors.read, values))

    def member_status(self) -> dict[str, str]:
        statuses: dict[str, str] = {}
        for row in self._rows:
            statuses.update(texts(self._object(row, k.MEMBER_STATUS) or {}))
        return statuses

    def _listener(self, row: Row, key: str) -> model.Listener:
        bare = _listener(row, key)
        text = row.external_ids.get(k.LISTENER_ATTRIBUTES + bare.id)
        # It may restrict clients: if it is unreadable, the listener is not served at all.
        return bare if text is None else listener_with_attributes(bare, json.loads(text))

    def _pool(self, row: Row, key: str) -> model.Pool:
        pool_id, enabled = _split_key(key, k.POOL)
        tokens = [token for token in row.external_ids[key].split(",") if token]
        members = [self._read(token, functools.partial(_member, token)) for token in tokens]
        bare = model.Pool(
            id=pool_id,
            protocol=model.Protocol(row.protocol),
            algorithm=model.Algorithm.SOURCE_IP_PORT,
            enabled=enabled,
            members=tuple(member for member in members if member is not None),
        )
        attributes = self._object(row, k.POOL_ATTRIBUTES + pool_id)
        if attributes is None:
            statuses = texts(self._object(row, k.MEMBER_STATUS) or {})
            return legacy.complete(bare, row, statuses)
        return pool_with_attributes(bare, attributes)

    def _read(self, what: str, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except UNREADABLE as error:
            self.problems.append(f"{what!r} cannot be read: {error}")
            return None

    def _object(self, row: Row, key: str) -> Mapping[str, object] | None:
        """Return the JSON object behind a key; None when there is none or it is unreadable."""
        text = row.external_ids.get(key)
        if text is None:
            return None
        found = self._read(key, functools.partial(json.loads, text))
        if isinstance(found, dict):
            return found
        self.problems.append(f"{key!r} holds no JSON object")
        return None


def _split_key(key: str, prefix: str) -> tuple[str, bool]:
    """Return the id in a listener's or pool's key, and whether the object is enabled."""
    object_id = key[len(prefix) :]
    enabled = not object_id.endswith(k.DISABLED)
    return object_id.removesuffix(k.DISABLED), enabled


def _listener(row: Row, key: str) -> model.Listener:
    listener_id, enabled = _split_key(key, k.LISTENER)
    port, _, pool = row.external_ids[key].partition(":")
    pool_id = pool.removesuffix(k.DISABLED).removeprefix(k.POOL)
    return model.Listener(
        id=listener_id,
        protocol=model.Protocol(row.protocol),
        port=int(port),
        pool_id=pool_id or None,
        enabled=enabled,
    )


def listeners_by_port(external_ids: Mapping[str, str]) -> dict[int, str]:
    """Return the ids of a row's listeners, disabled ones included, by port.

    Unreadable keys are left out; the agent repairs them.
    """
    found = {}
    for key, value in external_ids.items():
        port = value.partition(":")[0]
        if key.startswith(k.LISTENER) and port.isdecimal():
            found[int(port)] = _split_key(key, k.LISTENER)[0]
    return found


def _member(token: str) -> model.Member:
    kind, member_id, endpoint, *subnet = token.split("_")
    if f"{kind}_" != k.MEMBER or len(subnet) > 1:
        msg = "it is no member"
        raise ValueError(msg)
    address, _, port = endpoint.rpartition(":")
    return model.Member(
        id=member_id,
        address=ip.canonical_address(address.strip("[]")),
        port=int(port),
        subnet_id=(subnet[0] if subnet else "") or None,
    )


def _vips(keys: Mapping[str, str], attributes: Mapping[str, object]) -> tuple[model.Vip, ...]:
    addresses = [keys[k.VIP], *_words(keys.get(k.ADDITIONAL_VIPS, ""))]
    ports = [keys.get(k.VIP_PORT, ""), *keys.get(k.ADDITIONAL_PORTS, "").split(",")]
    known = attributes.get("vips")
    details = known if isinstance(known, list) and len(known) == len(addresses) else []
    return tuple(
        model.Vip(
            address=ip.canonical_address(address),
            port_id=(ports[index] if index < len(ports) else "") or None,
            **(_vip_details(details[index]) if details else {}),
        )
        for index, address in enumerate(addresses)
    )


class _Details(TypedDict, total=False):
    subnet_id: str
    network_id: str
    cidr: str
    user_port: bool
    replaces: str


def _vip_details(value: object) -> _Details:
    found = value if isinstance(value, dict) else {}
    details = _Details()
    for key in ("subnet_id", "network_id", "cidr", "replaces"):
        if isinstance(found.get(key), str):
            details[key] = found[key]
    if isinstance(found.get("brought"), bool):
        details["user_port"] = found["brought"]
    return details


def vip_groups(rows: Iterable[Row]) -> frozenset[str]:
    """Return the ids of the VIP's security groups, as any of a load balancer's rows names them.

    A version that does not know them makes rows without them. What is no id stays: no group has it,
    so it lets no client in. Nor does a key that names none.
    """
    found = (row.external_ids.get(k.VIP_GROUPS) for row in rows)
    text = next((each for each in found if each is not None), None)
    return frozenset() if text is None else frozenset(_words(text) or [text])


def vips(external_ids: Mapping[str, str]) -> tuple[model.Vip, ...]:
    """Return the VIPs that a single row names; none when it names none, or they are unreadable."""
    try:
        attributes = json.loads(external_ids.get(k.LOAD_BALANCER, "{}"))
        return _vips(external_ids, attributes)
    except UNREADABLE:
        return ()


def _words(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


@functools.lru_cache(maxsize=64)  # each reconciliation reads it several times
def _pending(text: str) -> Pending:
    value = json.loads(text)
    objects = value["objects"]
    requests = value["requests"]
    if not isinstance(objects, dict) or not isinstance(requests, list):
        msg = "objects and requests are missing"
        raise TypeError(msg)
    return Pending(
        requests=tuple(map(str, requests)),
        objects={
            (Kind(kind), object_id): Final(final)
            for kind, finals in objects.items()
            for object_id, final in finals.items()
        },
        created=value.get("created") is True,
        resync=value.get("resync") is True,
        orphaned=value.get("orphaned") is True,
        groups=value.get("groups") is True,
    )
