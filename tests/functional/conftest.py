"""Fixtures of the functional tests."""

from tests.functional.ovsdb_server import cluster, directory, server, tcp_server

__all__ = ["cluster", "directory", "server", "tcp_server"]
