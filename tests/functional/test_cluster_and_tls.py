# SPDX-License-Identifier: Apache-2.0
"""A Northbound database of three servers, and databases behind TLS, from end to end."""

import concurrent.futures
import contextlib
import socket
import ssl
import threading
import time
from pathlib import Path

import pytest

from tests.functional.ovsdb.server import Cluster, free_ports, make_tls
from tests.functional.test_outages import (
    CONFIG,
    MONITOR,
    TIMEOUT,
    ends,
    is_well,
    new_tenant,
    serve,
    vip_ports,
)
from tests.lab.cluster import ClusterLab
from tests.lab.env import wait_until
from tests.lab.errors import ApiError
from tests.lab.mortal import MortalLab
from tests.lab.ovsdb import insert

pytestmark = pytest.mark.slow

# A cluster


def test_the_leader_of_a_cluster_is_killed_under_load(own_run_dir, cluster: Cluster):
    config = CONFIG | {"ovn": CONFIG["ovn"] | {"ovsdb_connection_timeout": "10"}}
    with ClusterLab(cluster, workers=2, config=config) as lab:
        tenant = new_tenant(lab)
        pools = dict(serve(lab, tenant) for _ in range(3))
        deadline = time.monotonic() + 9

        def work(pool_id):
            slowest = refused = accepted = 0
            while time.monotonic() < deadline:
                began = time.monotonic()
                try:
                    operation = lab.octavia.update_pool(
                        pool_id, lb_algorithm=("SOURCE_IP", "SOURCE_IP_PORT")[accepted % 2]
                    )
                except ApiError:
                    refused += 1
                else:
                    slowest = max(slowest, time.monotonic() - began)
                    ends(lab, operation, 20)
                    accepted += 1
            return accepted, refused, slowest

        with concurrent.futures.ThreadPoolExecutor(3) as clients:
            working = [clients.submit(work, pool_id) for pool_id in pools.values()]
            for _ in range(2):
                time.sleep(1.5)
                leader = cluster.leader()
                leader.kill()
                time.sleep(2.5)
                leader.start()
            results = [each.result() for each in working]
        is_well(lab, *pools)
        assert all(accepted > 10 for accepted, _, _ in results), results
        assert not any(refused for _, refused, _ in results), results
        assert all(slowest < 11 for _, _, slowest in results), results


# TLS


class TlsFront:
    """Speaks TLS on TCP in front of a unix socket; clients need a certificate of its CA."""

    def __init__(self, path, tls):
        self._path = path
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(tls.certificate, tls.private_key)
        self._context.load_verify_locations(tls.ca_cert)
        self._context.verify_mode = ssl.CERT_REQUIRED
        (port,) = free_ports(1)
        self.remote = f"ssl:127.0.0.1:{port}"
        self._listener = socket.create_server(("127.0.0.1", port))
        self._start(self._accept)

    @staticmethod
    def _start(function, *args):
        threading.Thread(target=function, args=args, daemon=True).start()

    def _accept(self):
        while True:
            client, _ = self._listener.accept()
            self._start(self._serve, client)

    def _serve(self, client):
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as server:
            secure = self._context.wrap_socket(client, server_side=True)
            server.connect(str(self._path))
            self._start(self._copy, server, secure)
            self._copy(secure, server)

    @staticmethod
    def _copy(source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


class TlsLab(MortalLab):
    """A laboratory whose two databases have each a CA of its own.

    :param directory: for keys and certificates
    :param wrong_ca: give the API's workers the CA of the other database
    """

    def __init__(self, directory, *args, wrong_ca=False, **options):
        super().__init__(*args, **options)
        self._tls = {name: make_tls(directory / name) for name in ("nb", "sb")}
        self._wrong_ca = wrong_ca
        self._fronts = {}

    def _write_config(self, name, nb):
        for each, server in (("nb", self.env.nb), ("sb", self.env.sb)):
            if each not in self._fronts:
                self._fronts[each] = TlsFront(server.socket, self._tls[each])
        options = {"ovn_sb_connection": self._fronts["sb"].remote}
        for each, tls in self._tls.items():
            options[f"ovn_{each}_private_key"] = tls.private_key
            options[f"ovn_{each}_certificate"] = tls.certificate
            options[f"ovn_{each}_ca_cert"] = tls.ca_cert
        if self._wrong_ca and name == "api.conf":
            options["ovn_nb_ca_cert"] = self._tls["sb"].ca_cert
        self._config["ovn"] |= options
        return super()._write_config(name, self._fronts["nb"])


@pytest.fixture
def keys(directory):
    path = Path(directory, "keys")
    path.mkdir()
    return path


def test_tls_with_a_ca_for_each_database(own_run_dir, keys):
    with TlsLab(keys, config=CONFIG) as lab:
        tenant = new_tenant(lab)
        lb_id, pool_id = serve(lab, tenant)
        ends(lab, lab.octavia.create_health_monitor(pool_id, **MONITOR))
        member = lab.octavia.store.find("members", pool_id=pool_id)[0]
        port = next(
            port["id"]
            for port in lab.neutron.ports.values()
            if port["fixed_ips"][0]["ip_address"] == member["ip_address"]
        )
        lab.sb.transact(
            insert(
                "Service_Monitor",
                {
                    "ip": member["ip_address"],
                    "port": member["protocol_port"],
                    "protocol": "tcp",
                    "logical_port": port,
                    "status": "offline",
                },
            )
        )
        assert (
            wait_until(
                lambda: lab.octavia.row("members", member["id"])["operating_status"] == "ERROR", 10
            )
            is not None
        )
        is_well(lab, lb_id)


def test_tls_with_the_wrong_ca_is_said_clearly(own_run_dir, keys):
    with TlsLab(keys, wrong_ca=True, agent=False, config=CONFIG) as lab:
        began = time.monotonic()
        with pytest.raises(ApiError, match="service that the provider needs") as caught:
            new_tenant(lab).create_lb()
        assert "certificate" in caught.value.trace.lower()
        assert time.monotonic() - began < TIMEOUT + 8
        assert not vip_ports(lab)


def test_certificates_that_cannot_be_used_are_said_once_and_tried_again(own_run_dir, keys):
    with TlsLab(keys, agent=False, config=CONFIG) as lab:
        certificate = keys / "sb" / "cert.pem"
        good = certificate.read_text()
        certificate.write_text("nonsense")
        lab.start_agent()
        assert (
            wait_until(lambda: "Health checks are not followed" in lab.agent_log(), 20) is not None
        )
        time.sleep(3)
        assert lab.agent_log().count("Health checks are not followed") == 1

        certificate.write_text(good)
        assert wait_until(lambda: "Health checks are followed" in lab.agent_log(), 30) is not None
