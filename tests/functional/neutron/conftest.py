# SPDX-License-Identifier: Apache-2.0
"""A fake Neutron with its Keystone, and clients of them."""

import dataclasses
import tempfile
from pathlib import Path

import pytest
from oslo_config import cfg

from octavia_ovn.adapters.neutron.client import Neutron
from octavia_ovn.config import octavia
from tests.functional.neutron.calls import PATIENCE
from tests.lab import env, ovsdb
from tests.lab.cloud import FakeNeutron
from tests.lab.keystone import CREDENTIALS, FakeKeystone


@pytest.fixture(scope="package")
def northbound():
    with tempfile.TemporaryDirectory() as directory:
        server = env.OvsdbServer(Path(directory), "nb", ovsdb.NORTHBOUND)
        server.start()
        client = server.connect()
        client.transact(ovsdb.insert("NB_Global", {}))
        yield client
        client.close()
        server.stop()


@pytest.fixture
def cloud(northbound):
    with FakeNeutron(northbound) as fake:
        yield fake


@pytest.fixture
def keystone(cloud):
    with FakeKeystone(lambda: {"network": cloud.http.url}) as fake:
        yield fake


@pytest.fixture
def service(keystone):
    auth = dict(CREDENTIALS, auth_url=f"{keystone.http.url}/v3")
    auth_type, region = auth.pop("auth_type"), auth.pop("region_name")
    default = octavia.load(cfg.ConfigOpts()).neutron
    return dataclasses.replace(
        default, auth_type=auth_type, auth=auth, region_name=region, timeout=PATIENCE
    )


@pytest.fixture
def client(service):
    return Neutron(service)


@pytest.fixture
def subnet(cloud):
    return cloud.add_subnet(cloud.add_network()["id"], "10.0.0.0/24")
