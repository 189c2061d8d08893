# SPDX-License-Identifier: Apache-2.0
"""Members that chassis probe: the real agent, real databases with ovn-northd, chassis over TCP.

Two chassis are in the Southbound database; the programs on them say what a test wants.
"""

import contextlib
import json

import pytest

from octavia_ovn.core.health import HealthState
from tests.functional.chassis_program import ChassisProgram
from tests.functional.ovsdb.server import free_ports
from tests.lab.env import wait_until
from tests.lab.ovsdb import as_list, delete, insert, named, oset, ref, update
from tests.lab.tenant import Tenant

MASTER = "0123456789abcdef0123456789abcdef"
UP, DOWN = HealthState.UP, HealthState.DOWN
HTTP = {"type": "HTTP", "delay": 5, "timeout": 3, "max_retries": 2, "url_path": "/up"}
TCP = {"type": "TCP", "delay": 5, "timeout": 3, "max_retries": 2}
PATIENCE = 20


class World:
    """A laboratory with two chassis, and a load balancer of two members, one on each."""

    def __init__(self, lab, port):
        self.lab = lab
        self.tenant = Tenant(lab, "probes")
        self._ports = [port]
        self._programs = []
        self.chassis = {name: self._add_chassis(name) for name in ("hv-1", "hv-2")}
        for number, name in enumerate(self.chassis):
            self.moves(number, name)

    def _add_chassis(self, name):
        encap = {"type": "geneve", "ip": f"192.0.2.1{name[-1]}", "chassis_name": name}
        private = {"name": name, "chassis": named("chassis")}
        made = self.lab.sb.transact(
            insert("Encap", encap, "encap"),
            insert("Chassis", {"name": name, "encaps": oset([named("encap")])}, "chassis"),
            insert("Chassis_Private", private),
        )
        return ref(made[1]["uuid"][1])

    def moves(self, number, name, *more):
        """Have a machine move to a chassis.

        :param more: the one where it will be after a live migration that has begun
        """
        port = self.tenant.vm_port(number)["id"]
        where = [["logical_port", "==", port]]
        self.until(lambda: self.lab.sb.select("Port_Binding", where))
        additional = oset([self.chassis[each] for each in more])
        columns = {"chassis": self.chassis[name], "up": True, "additional_chassis": additional}
        self.lab.sb.transact(update("Port_Binding", where, columns))

    def program(self, name, *more_ports):
        found = ChassisProgram(name, MASTER, [*self._ports, *more_ports])
        self._programs.append(found)
        return found

    def connected(self):
        found = [self.program(each) for each in self.chassis]
        self.until(lambda: all(each.connected for each in found))
        return found

    def probing(self):
        """Return both chassis, with a load balancer whose members they are to probe."""
        one, two = self.connected()
        self.until(self.is_announced)
        self.load_balancer(HTTP)
        self.until(lambda: one.probes and two.probes)
        return one, two

    def load_balancer(self, monitor):
        """Make one whose second member is on the second chassis."""
        operation = self.lab.octavia.create_load_balancer(
            self.tenant.subnet["id"],
            listeners=[{"protocol": "TCP", "protocol_port": 80, "default_pool": "pool"}],
            pools=[
                {
                    "name": "pool",
                    "protocol": "TCP",
                    "lb_algorithm": "SOURCE_IP_PORT",
                    "members": [self.tenant.member(0), self.tenant.member(1)],
                    "healthmonitor": monitor,
                }
            ],
        )
        self.lab.octavia.wait_active(operation.id, PATIENCE)
        return operation.id

    def rows(self):
        return self.lab.nb.select("Load_Balancer")

    def serving(self):
        """The members that the VIP leads to, by number."""
        (row,) = self.rows()
        (backends,) = row["vips"].values()
        numbers = {f"{self.tenant.vm(each)}:80": each for each in (0, 1)}
        return {numbers[each] for each in backends.split(",") if each}

    def members(self):
        """The ids of the members, by number."""
        found = {each["ip_address"]: each for each in self.lab.octavia.store.find("members")}
        return [found[self.tenant.vm(number)]["id"] for number in (0, 1)]

    def operating(self):
        rows = {each["id"]: each for each in self.lab.octavia.store.find("members")}
        return [rows[each]["operating_status"] for each in self.members()]

    def global_row(self):
        (row,) = self.lab.nb.select("NB_Global")
        return row

    def is_announced(self):
        return self.global_row()["external_ids"].get("octavia-ovn-probes") == "true"

    def follow(self, *names):
        """Have hypervisors do what ovn-controller does: they copy nb_cfg."""
        number = self.global_row()["nb_cfg"]
        for name in names:
            where = [["name", "==", name]]
            self.lab.sb.transact(update("Chassis_Private", where, {"nb_cfg": number}))

    def until(self, condition, timeout=PATIENCE):
        assert wait_until(condition, timeout, 0.05) is not None, self.lab.agent_log()[-3000:]

    def stop(self):
        for each in self._programs:
            with contextlib.suppress(AssertionError):
                each.kill()


def config(port, *, enabled=True):
    return {
        "ovn_health": {"enabled": str(enabled), "chassis_timeout": "3"},
        "ovn_statistics": {"master_key": MASTER, "bind_host": "127.0.0.1", "bind_port": str(port)},
    }


@pytest.fixture
def world(make_lab):
    (port,) = free_ports(1)
    with make_lab(northd=True, config=config(port)) as lab:
        found = World(lab, port)
        yield found
        found.stop()


def test_from_the_request_to_the_rows(world):
    world.until(lambda: not world.is_announced())
    one, two = world.probing()
    (first,), (second,) = one.probes.values(), two.probes.values()
    assert [first.id, second.id] == world.members()
    assert (first.url_path, first.address, first.port) == ("/up", world.tenant.vm(0), 80)
    (row,) = world.rows()
    assert as_list(row["health_check"]) == []
    assert row["ip_port_mappings"] == {}
    assert world.serving() == {0, 1}

    one.finds(UP)
    world.until(lambda: world.serving() == {0})
    two.finds(UP)
    world.until(lambda: world.serving() == {0, 1})
    world.until(lambda: world.operating() == ["ONLINE", "ONLINE"])
    one.finds(DOWN)
    world.until(lambda: world.serving() == {1})
    world.until(lambda: world.operating() == ["ERROR", "ONLINE"])

    source = world.lab.neutron.ports[first.source.port]
    assert source["device_owner"] == "ovn-lb-hm:distributed"
    assert source["name"] == f"ovn-lb-probe-{world.tenant.subnet['id']}"
    assert first.source.mac == source["mac_address"]
    (group,) = world.lab.nb.select("Port_Group", [["name", "!=", "neutron_pg_drop"]])
    assert len(as_list(group["ports"])) == 2
    (acl,) = [each for each in world.lab.nb.select("ACL") if "_probes" in each["match"]]
    assert (acl["direction"], acl["action"]) == ("to-lport", "allow-related")

    world.moves(0, "hv-2")
    world.until(lambda: not one.probes and len(two.probes) == 2)
    assert world.serving() == {1}
    two.finds(UP)
    world.until(lambda: world.serving() == {0, 1})

    (lb,) = world.lab.octavia.store.find("loadbalancers")
    world.lab.octavia.finish(world.lab.octavia.delete_load_balancer(lb["id"], cascade=True), 15)
    world.until(lambda: not two.probes)
    world.until(lambda: source["id"] not in world.lab.neutron.ports)
    assert [each for each in world.lab.nb.select("ACL") if "_probes" in each["match"]] == []


def test_both_chassis_of_a_machine_that_migrates_probe_it(world):
    one, two = world.probing()
    one.finds(UP)
    world.until(lambda: world.serving() == {0})
    world.moves(0, "hv-1", "hv-2")
    world.until(lambda: len(two.probes) == 2)
    assert len(one.probes) == 1
    moving, _ = world.members()
    two.finds(UP)
    one.finds(DOWN)
    world.until(lambda: world.serving() == {0, 1})
    world.moves(0, "hv-2")
    world.until(lambda: not one.probes)
    assert two.probes[moving].rise == HTTP["max_retries"]
    assert world.serving() == {0, 1}
    assert world.operating() == ["ONLINE", "ONLINE"]
    two.finds(DOWN, moving)
    world.until(lambda: world.serving() == {1})


def test_another_agent_takes_over_and_nothing_changes(world):
    one, two = world.probing()
    two.finds(UP)
    one.finds(DOWN)
    world.until(lambda: world.operating() == ["ERROR", "ONLINE"])
    before, plans = world.rows(), one.plans

    pid = world.lab.agent.kill()
    world.until(lambda: world.lab.agent.pid not in (None, pid))
    world.until(lambda: one.connected and two.connected)
    two.finds(DOWN)
    world.until(lambda: world.operating() == ["ERROR", "ERROR"])
    assert [each["_uuid"] for each in world.rows()] == [each["_uuid"] for each in before]
    assert one.plans == plans
    assert world.serving() == set()


def test_an_agent_on_another_controller_takes_over(world):
    """The chassis find it by themselves; of two agents only the active one listens."""
    (other,) = free_ports(1)
    one, two = (world.program(name, other) for name in world.chassis)
    world.until(world.is_announced)
    world.load_balancer(HTTP)
    world.until(lambda: one.probes and two.probes)
    one.finds(UP)
    two.finds(DOWN)
    world.until(lambda: world.operating() == ["ONLINE", "ERROR"])
    before = world.serving(), one.plans

    lab = world.lab
    lab._config["ovn_statistics"]["bind_port"] = str(other)
    path = lab.env.write_config(
        "other.conf",
        lab.env.nb.remote,
        lab.keystone.auth_options(),
        lab.agent_neutron.url,
        lab._config,
    )
    successor = lab.new_agent(path)
    world.until(lambda: "agent has started" in successor.log_file.read_text(encoding="utf-8"))
    lab.agent.kill_all()
    try:
        world.until(lambda: one.connected and two.connected)
        world.until(lambda: f"TCP port {other}" in lab.agent_log())
        two.finds(UP)
        world.until(lambda: world.serving() == {0, 1})
        assert before == ({0}, one.plans)
    finally:
        successor.stop()


def test_a_dead_program_evicts_no_one_and_a_dead_hypervisor_does(world):
    one, two = world.probing()
    one.finds(UP)
    two.finds(UP)
    world.until(lambda: world.operating() == ["ONLINE", "ONLINE"])

    number = world.global_row()["nb_cfg"]
    one.kill()
    world.until(lambda: world.global_row()["nb_cfg"] > number)
    world.follow("hv-1", "hv-2")
    world.until(lambda: world.global_row()["nb_cfg"] > number + 1)
    assert world.serving() == {0, 1}

    world.follow("hv-2")
    world.until(lambda: world.serving() == {1})
    world.until(lambda: world.operating() == ["ERROR", "ONLINE"])

    # It was not dead: ovn-controller follows again, and only the program is away.
    world.follow("hv-1", "hv-2")
    world.until(lambda: world.serving() == {0, 1})
    world.until(lambda: world.operating() == ["NO_MONITOR", "ONLINE"])

    again = world.program("hv-1")
    world.until(lambda: again.probes)
    again.finds(UP)
    world.until(lambda: world.serving() == {0, 1})


def rows_of(world):
    """The rows of load balancers, without what differs by chance."""
    rows = [{key: each for key, each in row.items() if key[0] != "_"} for row in world.rows()]
    return json.dumps(rows, sort_keys=True)


def test_switched_on_and_off_in_a_running_cloud(world):
    lab = world.lab
    lab.stop_agent()

    def restart(*, enabled):
        lab._config["ovn_health"]["enabled"] = str(enabled)
        lab.agent_neutron.stop()
        lab.agent_config = lab._write_config("agent.conf", lab.agent_tap)
        lab.start_agent()

    restart(enabled=False)
    lb_id = world.load_balancer(TCP)
    for number in (0, 1):
        where = [["ip", "==", world.tenant.vm(number)]]
        world.until(lambda where=where: lab.sb.select("Service_Monitor", where))
        lab.sb.transact(update("Service_Monitor", where, {"status": "online"}))
    world.until(lambda: world.operating() == ["ONLINE", "ONLINE"])
    world.until(lambda: "OFFLINE" not in rows_of(world))
    by_ovn = rows_of(world)
    assert as_list(world.rows()[0]["health_check"])

    lab.stop_agent()
    restart(enabled=True)
    one, two = world.connected()
    world.until(lambda: one.probes and two.probes)
    one.finds(UP)
    world.until(world.is_announced)
    assert rows_of(world) == by_ovn
    two.finds(UP)
    world.until(lambda: not as_list(world.rows()[0]["health_check"]))
    assert world.rows()[0]["ip_port_mappings"] == {}
    assert world.serving() == {0, 1}
    world.until(lambda: world.operating() == ["ONLINE", "ONLINE"])

    lab.stop_agent()
    restart(enabled=False)
    world.until(lambda: as_list(world.rows()[0]["health_check"]))
    world.until(lambda: not world.is_announced())
    (row,) = world.rows()
    assert set(row["ip_port_mappings"]) == {world.tenant.vm(0), world.tenant.vm(1)}
    assert world.serving() == {0, 1}
    assert lab.octavia.row("loadbalancers", lb_id)["provisioning_status"] == "ACTIVE"


def test_a_chassis_that_ovn_removes_leaves_its_members_unreachable(world):
    """ovn-controller stops in good order: its ports are down, and members there get nothing."""
    one, two = world.probing()
    one.finds(UP)
    two.finds(UP)
    world.until(lambda: world.operating() == ["ONLINE", "ONLINE"])
    port = world.tenant.vm_port(0)["id"]
    world.lab.sb.transact(
        update("Port_Binding", [["logical_port", "==", port]], {"up": False}),
        delete("Chassis", [["name", "==", "hv-1"]]),
        delete("Chassis_Private", [["name", "==", "hv-1"]]),
    )
    world.until(lambda: world.serving() == {1})
    world.until(lambda: not one.probes)
