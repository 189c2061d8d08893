# SPDX-License-Identifier: Apache-2.0
"""Items by a key that several may share."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Item = TypeVar("Item", bound=Hashable)


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
