# SPDX-License-Identifier: Apache-2.0
"""What a reconciliation asks for besides operations, recorded while it is planned.

A plan may be made twice, when the transaction is retried, or never be committed. So it only reads
results of background calls; what it starts, forgets, counts and logs happens after the commit.
Questions to Octavia that change nothing, and whose answers stay true, start beside the commit.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from octavia_ovn.controller.tasks import Done, Tasks

T = TypeVar("T")
Effect = Callable[[], object]


class Effects:
    """Background calls as a plan sees them, and the effects of the plan.

    :param tasks: the background calls
    """

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._effects: list[Effect] = []
        self._questions: list[Effect] = []
        self._forgotten: set[Hashable] = set()

    def begin(self) -> None:
        """Begin a plan; the effects of one that was not completed are dropped."""
        self._effects, self._questions, self._forgotten = [], [], set()

    def questions(self) -> tuple[Effect, ...]:
        """Return the questions of the plan."""
        return tuple(self._questions)

    def end(self) -> tuple[Effect, ...]:
        """Return the effects of the plan, in order."""
        return tuple(self._effects)

    def later(self, function: Callable[..., object], *args: object, **kwargs: object) -> None:
        """Record an effect."""
        self._effects.append(functools.partial(function, *args, **kwargs))

    def get(self, key: Hashable, work: Callable[[], T], waiter: str) -> Done[T] | None:
        """Return the result of a call; see :meth:`Tasks.get`."""
        self.later(self._tasks.get, key, work, waiter)
        return None if key in self._forgotten else self._tasks.peek(key)  # type: ignore[return-value]

    def known(self, key: Hashable) -> Done[Any] | None:
        """Return the result of a call if it is known; nothing is started."""
        return self._tasks.peek(key)

    def ask(self, key: Hashable, question: Callable[[], T], waiter: str) -> Done[T] | None:
        """Return the result of a call that need not wait for the commit; see :meth:`Tasks.get`."""
        self._questions.append(functools.partial(self._tasks.get, key, question, waiter))
        return self._tasks.peek(key)  # type: ignore[return-value]

    def forget(self, key: Hashable) -> None:
        """Forget the result of a call; see :meth:`Tasks.forget`."""
        self._forgotten.add(key)
        self.later(self._tasks.forget, key)

    def is_running(self, key: Hashable, waiter: str) -> bool:
        """Whether a call is under way; see :meth:`Tasks.is_running`."""
        self.later(self._tasks.is_running, key, waiter)
        return self._tasks.is_running(key)

    def is_first_attempt(self, key: Hashable, waiter: str) -> bool:
        """Whether the first attempt at a call is under way; see :meth:`Tasks.is_first_attempt`."""
        return not self._tasks.has_failed(key) and self.is_running(key, waiter)

    def failing_for(self, key: Hashable) -> float:
        """Return the seconds since the first failure of a call; see :meth:`Tasks.failing_for`."""
        return self._tasks.failing_for(key)
