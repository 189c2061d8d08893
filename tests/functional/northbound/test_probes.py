# SPDX-License-Identifier: Apache-2.0
"""What probes need of the Northbound database, against a real server."""

from octavia_ovn.core.codec.keys import PROBES_MARK
from octavia_ovn.core.codec.neutron import HM_OWNER
from octavia_ovn.core.desired import access_control
from octavia_ovn.core.desired.access_control import Access
from octavia_ovn.core.probing.plan import Target
from octavia_ovn.core.rows import Announce, IncrementNumber
from tests.core.builders import facts, web
from tests.core.probing.examples import probe
from tests.functional.northbound.test_replica import followed, insert, write

__all__ = ["followed", "write"]

MAC = "fa:16:3e:00:00:07"


def port(name, address, owner="compute:nova", **ids):
    found = {
        "neutron:network_name": "neutron-net1",
        "neutron:device_owner": owner,
        "neutron:cidrs": f"{address}/24",
        "neutron:project_id": "service",
        **{f"neutron:{key}": each for key, each in ids.items()},
    }
    columns = {"name": name, "addresses": f"{MAC} {address}"}
    return insert("Logical_Switch_Port", **columns, external_ids=["map", list(found.items())]) | {
        "uuid-name": name.replace("-", "_")
    }


def switch(*ports):
    names = [["named-uuid", each["uuid-name"]] for each in ports]
    return [*ports, insert("Logical_Switch", name="neutron-net1", ports=["set", names])]


def leads(followed):
    followed.until(lambda: followed.nb.replica.has_lock and followed.nb.replica.synced)
    return followed.nb


def test_the_global_row(followed, write):
    nb = leads(followed)
    assert (nb.global_number(), nb.announces(PROBES_MARK)) == (0, False)

    write([insert("NB_Global", external_ids=["map", [["other", "1"]]])])
    followed.until(lambda: nb.replica.rows("NB_Global"))
    for expected in (1, 2):
        assert nb.commit(lambda: [IncrementNumber()])
        assert nb.global_number() == expected
    nb.commit(lambda: [Announce(PROBES_MARK, True)])
    assert nb.announces(PROBES_MARK)
    (row,) = nb.replica.rows("NB_Global")
    assert row.external_ids == {"other": "1", "octavia-ovn-probes": "true"}
    nb.commit(lambda: [Announce(PROBES_MARK, False)])
    assert not nb.announces(PROBES_MARK)


def test_the_port_that_chassis_probe_from(followed, write):
    source = {
        "port_name": "ovn-lb-probe-sub1",
        "device_id": "ovn-lb-hm-probe-sub1",
    }
    write(switch(port("source", "10.0.0.7", HM_OWNER, **source), port("one", "10.0.0.1")))
    nb = leads(followed)
    followed.until(lambda: nb.switch_ports("neutron-net1"))
    ports = nb.switch_ports("neutron-net1")

    found = ports.probe_source("sub1", "service")
    assert (found.name, found.mac, found.addresses) == ("source", MAC, ("10.0.0.7",))
    assert ports.probe_source("sub1", "tenant") is None
    assert ports.probe_source("sub2", "service") is None
    assert ports.monitor_source("sub1", ["service"]) is None
    assert ports.at("10.0.0.7") is None

    followed.reported.clear()
    where = [["name", "==", "source"]]
    write(
        [
            {
                "op": "update",
                "table": "Logical_Switch_Port",
                "where": where,
                "row": {"addresses": ["set", []]},
            }
        ]
    )
    followed.until(lambda: nb.switch_ports("neutron-net1").probe_source("sub1", "service") is None)
    assert ("probed", "sub1") in followed.reported


def test_the_port_group_has_the_ports_of_the_members(followed, write):
    write(switch(port("one", "10.0.0.1"), port("two", "10.0.0.2")))
    nb = leads(followed)
    followed.until(lambda: nb.switch_ports("neutron-net1"))
    targets = tuple(Target(name, probe(id=f"m-{name}")) for name in ("one", "two"))
    wanted = access_control.wanted(web(), facts(targets=targets))

    assert nb.commit(lambda: access_control.difference(nb.access("lb1"), wanted))
    assert not nb.commit(lambda: access_control.difference(nb.access("lb1"), wanted))
    (group,) = nb.access("lb1").groups
    assert group.ports == {"one", "two"}
    assert nb.names() == {"lb1"}

    assert nb.commit(lambda: access_control.difference(nb.access("lb1"), Access()))
    assert nb.access("lb1") == Access()
