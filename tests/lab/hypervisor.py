# SPDX-License-Identifier: Apache-2.0
"""Has machines' ports the way a hypervisor's ovn-controller has them."""

from tests.lab import ovsdb
from tests.lab.env import wait_until
from tests.lab.ovsdb import insert, named, oset, ref, update

_PATIENCE = 10


class Hypervisor:
    """Makes ports up and down.

    :param nb: a client of the northbound database
    :param sb: a client of the southbound database that northd fills; None where no northd runs
    """

    def __init__(self, nb, sb=None):
        self._nb, self._sb = nb, sb
        if sb is not None:
            encap = {"type": "geneve", "ip": "192.0.2.1", "chassis_name": "lab"}
            chassis = {"name": "lab", "encaps": oset([named("encap")])}
            made = sb.transact(
                insert("Encap", encap, "encap"), insert("Chassis", chassis, "chassis")
            )
            self._chassis = ref(made[1]["uuid"][1])

    def plug(self, name, *, up=True):
        """Take a switch port, or let go of it; return when the northbound database says so."""
        here = [["name", "==", name]]
        if self._sb is None:
            self._nb.transact(update("Logical_Switch_Port", here, {"up": up}))
            return
        bound = [["logical_port", "==", name]]
        columns = {"chassis": self._chassis if up else oset([]), "up": up}
        _await(lambda: self._sb.select("Port_Binding", bound), f"a binding of port {name}")
        self._sb.transact(update("Port_Binding", bound, columns))
        _await(lambda: self._is_up(here) is up, f"port {name} to be {'up' if up else 'down'}")

    def _is_up(self, here):
        rows = self._nb.select("Logical_Switch_Port", here, ["up"])
        return ovsdb.as_list(rows[0]["up"]) == [True]


def _await(condition, what):
    assert wait_until(condition, _PATIENCE) is not None, f"northd has not made {what}"
