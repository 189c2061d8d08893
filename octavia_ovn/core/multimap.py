# SPDX-License-Identifier: Apache-2.0
"""Items and values by keys that several may share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Item = TypeVar("Item", bound=Hashable)
Value = TypeVar("Value")


class MultiMap(Generic[Key, Item]):
    """The items that belong to each key; a key without items is removed.

    Index rows of a database by other columns than their UUID with it, even where such a column
    seems unique: when a row is replaced, the new one may arrive before the old one is deleted.
    """

    def __init__(self) -> None:
        self._items: dict[Key, Item | dict[Item, None]] = {}
        """Most keys have one item, which needs no dict: there are hundreds of thousands."""

    def add(self, key: Key, item: Item) -> None:
        """Add an item to a key; no error if it is there already."""
        held = self._items.setdefault(key, item)
        if isinstance(held, dict):
            held[item] = None
        elif held != item:
            self._items[key] = {held: None, item: None}

    def discard(self, key: Key, item: Item) -> None:
        """Remove an item from a key; no error if it is not there."""
        held = self._items.get(key)
        if isinstance(held, dict):
            held.pop(item, None)
        if held in ({}, item):
            self._items.pop(key, None)

    def of(self, key: Key) -> Iterable[Item]:
        """Return the items of a key, those first that have been added first."""
        held = self._items.get(key)
        if isinstance(held, dict):
            return held.keys()
        return () if held is None else (held,)

    def first(self, key: Key) -> Item | None:
        """Return the item of a key that has been added first; None when it has none."""
        return next(iter(self.of(key)), None)

    def __contains__(self, key: object) -> bool:
        return key in self._items

    def __iter__(self) -> Iterator[Key]:
        return iter(self._items)


class Indexed(Generic[Key, Value]):
    """Values by an identity, such as the UUID of a row, and by keys that several may share.

    :param keys: returns the keys of a value
    """

    def __init__(self, keys: Callable[[Value], Iterable[Key]]) -> None:
        self._keys = keys
        self._values: dict[Hashable, Value] = {}
        self._by_key: MultiMap[Key, Hashable] = MultiMap()

    def put(self, identity: Hashable, value: Value | None) -> tuple[Value, ...]:
        """Replace a value, or remove it with None.

        :returns: the values before and after, where there is one; nothing if they are equal
        """
        before = self._values.get(identity)
        if before == value:
            return ()
        if before is not None:
            del self._values[identity]
            for key in self._keys(before):
                self._by_key.discard(key, identity)
        if value is not None:
            self._values[identity] = value
            for key in self._keys(value):
                self._by_key.add(key, identity)
        return tuple(each for each in (before, value) if each is not None)

    def of(self, key: Key) -> list[Value]:
        """Return the values that have a key, those first that have been put first."""
        return [self._values[each] for each in self._by_key.of(key)]

    def first(self, key: Key) -> Value | None:
        """Return the value with a key that has been put first; None when there is none."""
        return next(iter(self.of(key)), None)

    def values(self) -> Collection[Value]:
        """Return all values."""
        return self._values.values()

    def __contains__(self, key: object) -> bool:
        return key in self._by_key
