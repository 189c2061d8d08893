# SPDX-License-Identifier: Apache-2.0
"""A northbound database of three servers, any of which can be separated from the others."""

import contextlib
import signal
import time

from tests.functional.ovsdb.server import Cluster, wait_for
from tests.lab.mortal import Client, MortalLab, PointedTap
from tests.lab.ovsdb import NORTHBOUND, OvsdbClient, OvsdbError, insert
from tests.lab.tap import OvsdbTap

ELECTION = 30.0  # seconds that the members have to elect a leader on a busy machine


class SplitCluster(Cluster):
    """Three servers that replicate through taps, so that the network between them can fail.

    Each server resolves the relative address of a peer in its own directory, where a tap listens
    that passes the messages on to the peer.
    """

    def __init__(self, directory):
        super().__init__(directory)
        self._raft = [f"unix:raft{number}" for number in range(len(self.servers))]
        self._links = {
            (source, target): OvsdbTap(
                source.directory / f"raft{number}", target.directory / f"raft{number}"
            )
            for source in self.servers
            for number, target in enumerate(self.servers)
            if source is not target
        }
        self.separated = set()

    def __enter__(self):
        for member in self.servers:
            member.directory.mkdir()
        for link in self._links.values():
            link.up()
        return super().__enter__()

    def __exit__(self, *exc_info):
        super().__exit__(*exc_info)
        for link in self._links.values():
            link.down()

    def links(self, member):
        """The network between a member and the others."""
        return Taps([link for ends, link in self._links.items() if member in ends])

    def followers(self):
        """The members that do not lead now."""
        leader = self.leader()
        return [member for member in self.servers if member is not leader]

    def is_whole(self):
        """Whether one member leads and the others follow it."""
        roles = sorted(self._role(member) for member in self.servers)
        return roles == ["follower", "follower", "leader"]

    def _role(self, member):
        return "" if member in self.separated else super()._role(member)


class Taps:
    """Several taps with the faults of one."""

    def __init__(self, taps):
        self.taps = taps

    @property
    def remote(self):
        return ",".join(tap.remote for tap in self.taps)

    def __enter__(self):
        self.up()
        return self

    def __exit__(self, *exc_info):
        self.down()

    def up(self):
        for tap in self.taps:
            tap.up()

    def down(self):
        for tap in self.taps:
            tap.down()

    def stall(self):
        for tap in self.taps:
            tap.stall()

    def resume(self):
        for tap in self.taps:
            tap.resume()


class ClusterClient(Client):
    """Neutron's connection: to any member that is not separated from the others."""

    def __init__(self, cluster):
        self._cluster = cluster
        self._member = cluster.servers[0]
        self.database = NORTHBOUND
        OvsdbClient.__init__(self, self._member.socket, NORTHBOUND)

    def _call(self, method, params):
        for _ in range(100):
            if self._member not in getattr(self._cluster, "separated", ()):
                with contextlib.suppress(OSError, OvsdbError):
                    return OvsdbClient._call(self, method, params)
                time.sleep(0.1)
            self._reconnect()
        raise OvsdbError("no member of the cluster answers")

    def _reconnect(self):
        with contextlib.suppress(OSError, AssertionError):
            member = self._cluster.leader()
            fresh = OvsdbClient(member.socket, self.database)
            self._sock.close()
            self._sock, self._reader, self._member = fresh._sock, fresh._reader, member


class ClusterLab(MortalLab):
    """A laboratory whose northbound database is kept by three servers.

    Workers and the agent reach each server through a tap of their own.
    """

    def __init__(self, cluster, *args, **options):
        super().__init__(*args, **options)
        self.cluster = cluster

    def _connect(self, stack, server):
        if server is not self.env.nb:
            return MortalLab._connect(stack, server)
        client = stack.enter_context(contextlib.closing(ClusterClient(self.cluster)))
        if not client.select("NB_Global"):
            client.transact(insert("NB_Global", {}))
        return client

    def _tap(self, name, server):
        points = self.worker_points if name == "worker" else self.agent_points
        return Taps(
            [
                PointedTap(self.env.directory / f"{name}-tap{number}.sock", member.socket, points)
                for number, member in enumerate(self.cluster.servers)
            ]
        )

    def tap_of(self, taps, member):
        """The connection of one client to one member."""
        return taps.taps[self.cluster.servers.index(member)]

    @contextlib.contextmanager
    def without(self, member, leave, join):
        """Separate a member from the others meanwhile.

        Neutron, whose transactions would be lost with a leader, waits for elections.
        """
        with self.neutron.locked():
            leave()
            self.cluster.separated.add(member)
            wait_for(self.cluster.leader, ELECTION)
        try:
            yield
        finally:
            with self.neutron.locked():
                join()
                self.cluster.separated.discard(member)
                wait_for(self.cluster.is_whole, ELECTION)

    def restart_member(self, member):
        """Kill a server of the cluster, and start it again when the others have a leader."""
        with self.without(member, member.kill, member.start):
            pass

    def paused(self, member):
        """A member that stands still, and believes afterwards what it believed before."""
        return self.without(
            member,
            lambda: member.signal(signal.SIGSTOP),
            lambda: member.signal(signal.SIGCONT),
        )

    def isolated(self, member):
        """A member that answers clients while its messages do not reach the others."""
        links = self.cluster.links(member)
        return self.without(member, links.stall, links.resume)
