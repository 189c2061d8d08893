# SPDX-License-Identifier: Apache-2.0
"""How places for probes are divided between projects."""

import asyncio

import pytest

from octavia_ovn.adapters.probing.slots import Slots
from tests.adapters.probing.simulated import run


class World:
    """Places, and who has got some, in that order."""

    def __init__(self, number):
        self.slots = Slots(number)
        self.got = []
        self.tasks = []

    async def _one(self, project):
        await self.slots.take(project)
        self.got.append(project)

    async def ask(self, project, times=1):
        for _ in range(times):
            self.tasks.append(asyncio.create_task(self._one(project)))
        await asyncio.sleep(0.1)

    async def give(self, project):
        self.slots.give(project)
        await asyncio.sleep(0.1)


def simulated(story):
    def test():
        async def main():
            world = World(8)
            await story(world)
            for each in world.tasks:
                each.cancel()

        run(main(), 60)

    test.__name__ = story.__name__
    return test


@simulated
async def test_a_project_alone_gets_half(world):
    await world.ask("a", 10)
    assert world.got == ["a"] * 4


@simulated
async def test_others_find_places_beside_one_that_waits(world):
    await world.ask("a", 10)
    await world.ask("b", 10)
    await world.ask("c", 10)
    assert world.got == ["a"] * 4 + ["b"] * 2 + ["c"]


@simulated
async def test_what_is_given_back_goes_to_the_project_with_the_fewest(world):
    await world.ask("a", 10)
    await world.ask("b", 10)
    world.got.clear()
    await world.give("a")
    assert world.got == ["b"]
    await world.give("a")
    await world.give("b")
    assert world.got == ["b", "a", "b"]


@simulated
async def test_a_project_waits_in_order(world):
    await world.ask("a", 5)
    await world.give("a")
    await world.give("a")
    # One is free for it, and none waits.
    await world.ask("a")
    assert world.got == ["a"] * 6
    assert not world.slots._waiting


@simulated
async def test_who_gives_up_takes_no_place(world):
    await world.ask("a", 6)
    world.tasks[4].cancel()
    await asyncio.sleep(0.1)
    await world.give("a")
    assert world.got == ["a"] * 5
    assert not world.slots._waiting
    for _ in range(4):
        await world.give("a")
    assert world.slots._free == 8
    assert not world.slots._taken


@simulated
async def test_who_gives_up_at_its_turn_gives_it_back(world):
    await world.ask("a", 5)
    world.slots.give("a")
    world.tasks[4].cancel()
    with pytest.raises(asyncio.CancelledError):
        await world.tasks[4]
    assert world.slots._taken == {"a": 3}
    assert world.slots._free == 5
