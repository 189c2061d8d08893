# SPDX-License-Identifier: Apache-2.0
"""`octavia-ovn trace` names what is wrong, and packets agree with it; `show` shows it."""

from __future__ import annotations

import json
import re
import tarfile
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from octavia_ovn.cli.main import main
from sandbox import shell
from tests.sandbox.broken import FAULTS, Fault, Shop
from tests.sandbox.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.sandbox.scenery import Scenery


@pytest.fixture(autouse=True)
def _no_load_balancers() -> None:
    """Let the shop live as long as the tests of this file."""


@pytest.fixture(scope="module")
def shop(scenery: Scenery) -> Iterator[Shop]:
    """Open the shop for all tests."""
    shop = Shop.build(scenery)
    yield shop
    scenery.delete_load_balancers()
    guests = scenery.stack.guests
    guests.remove("castaway", scenery.cloud)
    scenery.cloud.delete("network", f"/v2.0/networks/{shop.island['network_id']}")


def _client(shop: Shop, name: str) -> str:
    """Return what `--from` takes: the port of a guest, or the address of one outside."""
    guest = shop.scenery.stack.guests.get(name)
    return guest.port_id or guest.address()


@pytest.mark.parametrize("client", ["near", "far"])
def test_packets_get_through_and_trace_says_so(shop: Shop, client: str) -> None:
    assert shop.gets_through(client)

    status, answer = shop.trace(_client(shop, client))
    assert (status, answer["verdict"]) == (0, "ok")
    # A port may be named as well, or found by its address.
    assert shop.trace(client)[1] == answer
    address = shop.scenery.stack.guests.get(client).address()
    assert shop.trace(address)[1] == answer


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_the_fault_is_named_and_packets_agree(shop: Shop, fault: Fault) -> None:
    with fault.broken(shop):
        until(lambda: not shop.gets_through(fault.client))
        status, answer = shop.trace(_client(shop, fault.client))

    assert status == 1
    assert [each["check"] for each in _faults(answer)][:1] == [fault.check]
    assert all(
        fault.words in each["sentence"] for each in _faults(answer) if each["check"] == fault.check
    )
    # An agent that was away starts anew first.
    until(lambda: shop.gets_through("near") and shop.gets_through("far"), seconds=60)


@pytest.fixture
def floating(shop: Shop) -> Iterator[str]:
    """Give the VIP a floating IP for a while."""
    cloud = shop.scenery.cloud
    yield shop.scenery.floating_ip(shop.lb)
    for found in cloud.neutron("floatingips"):
        cloud.delete("network", f"/v2.0/floatingips/{found['id']}")


def test_a_client_outside_comes_in_by_the_floating_ip(shop: Shop, floating: str) -> None:
    until(lambda: shop.gets_through("outside", floating))
    status, answer = shop.trace("172.24.4.200")

    assert (status, answer["destination"], answer["verdict"]) == (0, floating, "ok")


def test_one_dead_member_of_two_is_a_warning(shop: Shop) -> None:
    one, two = shop.usual()
    shop.members(one, {**two, "address": "10.0.0.223"})
    status, answer = shop.trace("far")
    shop.members(one, two)

    assert (status, answer["verdict"]) == (0, "warning")
    (warning,) = [each for each in answer["findings"] if each["verdict"] == "warning"]
    assert "10.0.0.223" in warning["sentence"]


def test_show_and_its_pictures(shop: Shop, tmp_path: Path) -> None:
    conf = str(shop.scenery.stack.settings.etc / "octavia.conf")
    files = [tmp_path / "lb.svg", tmp_path / "lb.html"]
    words = ["show", "test", "--svg", str(files[0]), "--html", str(files[1])]
    done = CliRunner().invoke(main, [*words, "--json", "--config-file", conf])

    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert answer["load_balancer"]["id"] == shop.lb["id"]
    assert {each["label"] for each in answer["places"] if each["attached"]} >= {"web", "office"}
    assert ElementTree.parse(files[0]).getroot().tag.endswith("svg")
    assert "web" in files[1].read_text()


def test_a_bundle(shop: Shop, tmp_path: Path) -> None:
    conf, path = shop.scenery.stack.settings.etc / "octavia.conf", tmp_path / "case.tar.gz"
    # In a process of its own: other tests may have loaded Octavia here, with their databases.
    command = [str(shop.scenery.stack.settings.bin / "octavia-ovn"), "bundle", "test"]
    options = ["--from", "near", "--output", str(path), "--config-file", str(conf)]
    shell.run([*command, *options], env=shop.scenery.stack.settings.base_environment)

    with tarfile.open(path) as archive:
        files = {each.name: archive.extractfile(each).read().decode() for each in archive}
    read = {name.partition("/")[2]: json.loads(text) for name, text in files.items()}
    folder = f"load-balancers/{shop.lb['id']}"
    assert read["check.json"]["summary"] == {"right": 1}
    assert read[f"{folder}/show.json"]["load_balancer"]["id"] == shop.lb["id"]
    assert all(each["gets_through"] for each in read[f"{folder}/trace-1.json"]["paths"])
    assert read[f"{folder}/northbound.json"]["Load_Balancer"][0]["name"] == shop.lb["id"]
    assert read["versions.json"]["databases"]["OVN_Northbound"]["northd"]
    assert read["manifest.json"]["left_out"] == []
    secrets = re.findall(r"^(?:password|master_key) = (\S+)$", conf.read_text(), re.MULTILINE)
    assert secrets
    # The sandbox's passwords are words that occur elsewhere.
    assert not [each for each in secrets if f'"{each}"' in "".join(files.values())]


def _faults(answer: dict[str, Any]) -> list[dict[str, str]]:
    return [each for each in answer["findings"] if each["verdict"] == "fault"]
