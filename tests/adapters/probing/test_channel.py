# SPDX-License-Identifier: Apache-2.0
"""The connection of a chassis to an agent, which here is the test."""

import asyncio
import contextlib

import pytest

from octavia_ovn.adapters.probing import channel as channels
from octavia_ovn.adapters.probing.channel import Channel
from octavia_ovn.core.health import HealthState
from octavia_ovn.core.probing import messages
from octavia_ovn.core.probing.messages import Beat, Opener, Plan, Result, Results, Sealer
from octavia_ovn.core.statistics.keys import chassis_key
from octavia_ovn.errors import Unavailable
from tests.adapters.probing.members import free_port
from tests.core.probing.examples import probe

KEY = chassis_key("0123456789abcdef" * 2, "compute-17")
UP = Result("member-1", "0" * 16, HealthState.UP)


class Agent:
    """One connection of a chassis, from the agent's end."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer
        self.received = []

    async def greet(self, key=KEY):
        nonce = "ab" * 16
        self.writer.write(messages.greeting(nonce))
        own, name = messages.read_reply(await self.reader.readline())
        secret = messages.session_key(key, nonce, own)
        self.sealer = Sealer(secret, "agent")
        self.opener = Opener(secret, "chassis", messages.OF_CHASSIS)
        return name

    def send(self, message):
        self.writer.write(self.sealer.seal(message))

    async def read(self):
        line = await asyncio.wait_for(self.reader.readline(), 5)
        assert line, "the chassis closed it"
        return self.opener.open(line)

    async def read_results(self):
        while True:
            message = await self.read()
            if isinstance(message, Results):
                return message


class World:
    """A chassis, and the port of an agent."""

    def __init__(self, ports=None, key=KEY):
        self.port = free_port()
        self.plans = []
        self.results = []
        self.name = "compute-17"
        self.agents = asyncio.Queue()
        controllers = [("127.0.0.1", port) for port in (ports or [self.port])]
        self.channel = Channel(
            controllers, key, self.read_name, self.plans.append, lambda: self.results
        )

    async def read_name(self):
        if not self.name:
            raise Unavailable("Open vSwitch has no name yet")
        return self.name

    @contextlib.asynccontextmanager
    async def listening(self, port=None):
        made = []

        async def serve(reader, writer):
            made.append(writer)
            await self.agents.put(Agent(reader, writer))

        server = await asyncio.start_server(serve, "127.0.0.1", port or self.port)
        try:
            yield
        finally:
            server.close()
            for each in made:
                each.close()

    async def agent(self, key=KEY):
        """The next connection, greeted."""
        found = await asyncio.wait_for(self.agents.get(), 5)
        await found.greet(key)
        return found


@pytest.fixture(autouse=True)
def _fast(monkeypatch):
    monkeypatch.setattr(channels, "_FIRST_PAUSE", 0.05)
    monkeypatch.setattr(channels, "BEAT", 0.2)


def run(story, **settings):
    async def main():
        world = World(**settings)
        task = asyncio.create_task(world.channel.run())
        try:
            await story(world)
            assert not task.done()
        finally:
            task.cancel()

    asyncio.run(asyncio.wait_for(main(), 30))


async def until(condition):
    deadline = asyncio.get_running_loop().time() + 5
    while not condition():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.01)


def test_all_results_come_first_in_parts_of_which_the_last_says_so():
    async def story(world):
        world.results = [Result(f"m-{each}", "0" * 16, HealthState.UP) for each in range(250)]
        async with world.listening():
            agent = await world.agent()
            parts = [await agent.read() for _ in range(3)]
            assert [each.complete for each in parts] == [False, False, True]
            assert [row for each in parts for row in each.rows] == world.results

    run(story)


def test_without_probes_that_is_said_too():
    async def story(world):
        async with world.listening():
            agent = await world.agent()
            assert await agent.read() == Results((), complete=True)
            assert await agent.read() == Beat()

    run(story)


def test_plans_are_applied_and_changes_sent_at_once():
    async def story(world):
        async with world.listening():
            agent = await world.agent()
            plan = Plan((probe(),), ("member-9",))
            agent.send(plan)
            await until(lambda: world.plans)
            assert world.plans == [plan]
            assert world.channel.connected
            assert world.channel.first.is_set()
            await agent.read_results()
            world.channel.tell(UP)
            assert await agent.read_results() == Results((UP,))

    run(story)


def test_of_several_changes_of_one_probe_the_last_is_sent():
    async def story(world):
        async with world.listening():
            agent = await world.agent()
            await agent.read_results()
            down = Result("member-1", "0" * 16, HealthState.DOWN, "connection refused")
            world.channel.tell(UP)
            world.channel.tell(down)
            assert await agent.read_results() == Results((down,))

    run(story)


def test_signs_of_life():
    async def story(world):
        async with world.listening():
            agent = await world.agent()
            await agent.read_results()
            for _ in range(4):
                assert await agent.read() == Beat()

    run(story)


def test_a_new_agent_is_told_everything_again(caplog):
    caplog.set_level("INFO")

    async def story(world):
        async with world.listening():
            agent = await world.agent()
            agent.send(Beat())
            await until(lambda: world.channel.connected)
            agent.writer.close()
            await until(lambda: not world.channel.connected)
        world.results = [UP]
        world.channel.tell(UP)
        async with world.listening():
            agent = await world.agent()
            assert await agent.read() == Results((UP,), complete=True)
            # What changed while there was no agent is among them.
            assert await agent.read() == Beat()

    run(story)
    assert "The agent at 127.0.0.1 takes results of probes" in caplog.text
    assert "The connection to the agent at 127.0.0.1 ended: the agent closed it" in caplog.text


def test_a_silent_agent_is_left(monkeypatch, caplog):
    monkeypatch.setattr(channels, "SILENCE", 0.5)

    async def story(world):
        async with world.listening():
            agent = await world.agent()
            agent.send(Beat())
            await world.agent()

    run(story)
    assert "ended: it does not answer" in caplog.text


def test_whichever_controller_listens_is_found():
    ports = [free_port() for _ in range(3)]

    async def story(world):
        for port in (ports[2], ports[0]):
            async with world.listening(port):
                agent = await world.agent()
                agent.send(Beat())
                await until(lambda: world.channel.connected)

    run(story, ports=ports)


BAD = {
    "a line without end": b"x" * (messages.MAX_LINE + 10),
    "another protocol": b"HTTP/1.1 400 Bad Request\r\n",
    "an unsigned line": b"0" * 64 + b' {"kind":"beat"}\n',
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_line_that_is_not_understood_ends_the_connection(bad, caplog):
    async def story(world):
        async with world.listening():
            agent = await world.agent()
            agent.send(Beat())
            await until(lambda: world.channel.connected)
            agent.writer.write(bad)
            await world.agent()

    run(story)
    assert "The connection to the agent at 127.0.0.1 ended" in caplog.text


def test_a_plan_of_an_agent_with_another_key_is_not_applied():
    async def story(world):
        async with world.listening():
            agent = await world.agent("f" * 64)
            agent.send(Plan((probe(),)))
            await world.agent("f" * 64)
            assert world.plans == []
            assert not world.channel.connected

    run(story)


def test_that_no_agent_takes_results_is_logged_once_with_the_reasons(monkeypatch, caplog):
    monkeypatch.setattr(channels, "_ALONE", 0.3)
    monkeypatch.setattr(channels, "_LONGEST_PAUSE", 0.1)

    async def story(world):
        await asyncio.sleep(1.0)
        async with world.listening():
            agent = await world.agent()
            agent.send(Beat())
            await until(lambda: world.channel.connected)
            agent.writer.close()
        await asyncio.sleep(1.0)

    run(story)
    lines = [each for each in caplog.messages if each.startswith("No agent takes results")]
    assert len(lines) == 2
    assert "127.0.0.1: " in lines[0]
    assert "refused" in lines[0].lower() or "Connect call failed" in lines[0]


def test_probes_end_when_there_is_no_agent_for_long(monkeypatch):
    monkeypatch.setattr(channels, "_FORGOTTEN", 0.5)
    monkeypatch.setattr(channels, "_LONGEST_PAUSE", 0.1)

    async def story(world):
        world.results = [UP]
        await asyncio.sleep(0.2)
        assert world.plans == []
        await until(lambda: world.plans)
        assert world.plans[0] == Plan(drop=(UP.id,))

    run(story)


def test_a_chassis_without_a_name_waits_for_it():
    async def story(world):
        world.name = ""
        async with world.listening():
            await asyncio.sleep(0.3)
            assert world.agents.empty()
            world.name = "compute-17"
            await world.agent()

    run(story)


def test_an_agent_of_another_version_is_named(monkeypatch, caplog):
    monkeypatch.setattr(channels, "_ALONE", 0.3)

    async def story(world):
        async with world.listening():
            for _ in range(5):
                agent = await asyncio.wait_for(world.agents.get(), 5)
                agent.writer.write(b"octavia-ovn-probes 9 " + b"a" * 32 + b"\n")
                await agent.reader.read()

    run(story)
    assert "version 9 of the protocol" in caplog.text
