# SPDX-License-Identifier: Apache-2.0
"""Coroutines that run beside each other."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine


async def until_one_ends(*coroutines: Coroutine[object, object, object]) -> None:
    """Run coroutines until one has ended; the others are cancelled and have ended afterwards.

    :raises Exception: any error of the one that has ended
    """
    tasks = [asyncio.create_task(each) for each in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for each in done:
            each.result()
    finally:
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
