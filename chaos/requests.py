# SPDX-License-Identifier: Apache-2.0
"""Random valid requests on random load balancers."""

import threading

PROTOCOLS = ("TCP", "TCP", "TCP", "UDP")
ALGORITHMS = ("SOURCE_IP_PORT", "SOURCE_IP", "ROUND_ROBIN")
MONITOR = {"type": "TCP", "delay": 5, "timeout": 3, "max_retries": 3}
PORTS = range(1000, 1012)
CLIENTS = ([], ["10.0.0.0/8"], ["192.0.2.0/24", "10.0.0.7/32"])
VMS = 12
MOST = 5  # load balancers of one client at a time


class Requests:
    """Generates requests that Octavia passes on to the driver in its present state.

    :param random: chooses them, one generator for each client
    """

    def __init__(self, octavia, tenant, random):
        self._octavia = octavia
        self._store = octavia.store
        self._tenant = tenant
        self._random = random
        self._lock = threading.Lock()
        self.lb_ids = []

    def next(self):
        """Return name, arguments and keyword arguments of a call of Octavia's API."""
        alive = [lb_id for lb_id in self.lb_ids if self._status(lb_id) not in (None, "DELETED")]
        if not alive or (len(alive) < MOST and self._random.random() < 0.15):
            return self._create()
        lb_id = self._random.choice(alive)
        choices = [self._update_lb, self._listener, self._pool, self._delete_lb]
        choices += [self._change_listener, self._change_pool] * 2
        choices += [self._member, self._change_member, self._batch, self._monitor] * 4
        self._random.shuffle(choices)
        for choice in choices:
            call = choice(lb_id)
            if call:
                return call
        return self._create()

    def _status(self, lb_id):
        row = self._store.get("loadbalancers", lb_id)
        return row and row["provisioning_status"]

    def _pick(self, table, **filters):
        rows = self._store.find(table, **filters)
        return self._random.choice(rows) if rows else None

    # Load balancers

    def _create(self):
        shape = self._random.choice([(0, 0, 0), (1, 1, 0), (1, 1, 2), (2, 2, 3)])
        listeners, pools, members = shape
        body = {
            "pools": [self._new_pool(f"pool-{number}", members) for number in range(pools)],
            "listeners": [
                {
                    "protocol": "TCP",
                    "protocol_port": 80 + number,
                    "default_pool": f"pool-{number}",
                }
                for number in range(listeners)
            ],
        }
        return "create_load_balancer", [self._tenant.subnet["id"]], body

    def _new_pool(self, name, members):
        pool = {"name": name, "protocol": "TCP", "lb_algorithm": self._random.choice(ALGORITHMS)}
        pool["members"] = [self._new_member(number) for number in range(members)]
        if members and self._random.random() < 0.5:
            pool["healthmonitor"] = MONITOR
        return pool

    def _update_lb(self, lb_id):
        if self._random.random() < 0.2:
            return "failover_load_balancer", [lb_id], {}
        return "update_load_balancer", [lb_id], {"admin_state_up": self._random.random() < 0.7}

    def _delete_lb(self, lb_id):
        if self._random.random() < 0.5:
            return None
        return "delete_load_balancer", [lb_id], {"cascade": True}

    # Listeners and pools

    def _listener(self, lb_id):
        protocol = self._random.choice(PROTOCOLS)
        body = {
            "protocol": protocol,
            "protocol_port": self._random.choice(PORTS),
            "allowed_cidrs": self._random.choice(CLIENTS),
        }
        pool = self._pick("pools", load_balancer_id=lb_id, protocol=protocol)
        if pool and self._random.random() < 0.3:
            body["default_pool_id"] = pool["id"]
        return "create_listener", [lb_id], body

    def _change_listener(self, lb_id):
        listener = self._pick("listeners", load_balancer_id=lb_id)
        if not listener:
            return None
        if self._random.random() < 0.3:
            return "delete_listener", [listener["id"]], {}
        body = {"admin_state_up": self._random.random() < 0.7}
        if self._random.random() < 0.5:
            body = {"allowed_cidrs": self._random.choice(CLIENTS)}
        return "update_listener", [listener["id"]], body

    def _pool(self, lb_id):
        body = {"lb_algorithm": self._random.choice(ALGORITHMS)}
        listener = self._pick("listeners", load_balancer_id=lb_id, default_pool_id=None)
        if listener:
            owner = {"listener_id": listener["id"], "protocol": listener["protocol"]}
        else:
            owner = {"lb_id": lb_id, "protocol": self._random.choice(PROTOCOLS)}
        return "create_pool", [], owner | body

    def _change_pool(self, lb_id):
        pool = self._pick("pools", load_balancer_id=lb_id)
        if not pool:
            return None
        if self._random.random() < 0.3:
            return "delete_pool", [pool["id"]], {}
        return "update_pool", [pool["id"]], {"lb_algorithm": self._random.choice(ALGORITHMS)}

    # Members and monitors

    def _new_member(self, number=None):
        number = self._random.randrange(VMS) if number is None else number
        return self._tenant.member(number, 8000) | {"weight": self._random.choice((1, 1, 2, 5))}

    def _member(self, lb_id):
        pool = self._pick("pools", load_balancer_id=lb_id)
        return pool and ("create_member", [pool["id"]], self._new_member())

    def _change_member(self, lb_id):
        pool = self._pick("pools", load_balancer_id=lb_id)
        member = pool and self._pick("members", pool_id=pool["id"])
        if not member:
            return None
        if self._random.random() < 0.3:
            return "delete_member", [member["id"]], {}
        if self._random.random() < 0.3:
            return "update_member", [member["id"]], {"admin_state_up": self._random.random() < 0.7}
        return "update_member", [member["id"]], {"weight": self._random.randrange(1, 9)}

    def _batch(self, lb_id):
        pool = self._pick("pools", load_balancer_id=lb_id)
        if not pool:
            return None
        numbers = self._random.sample(range(VMS), self._random.randrange(1, 5))
        members = [self._new_member(number) for number in numbers]
        more = {"additive_only": self._random.random() < 0.3}
        return "batch_update_members", [pool["id"], members], more

    def _monitor(self, lb_id):
        pool = self._pick("pools", load_balancer_id=lb_id, protocol="TCP")
        if not pool:
            return None
        monitor = self._pick("healthmonitors", pool_id=pool["id"])
        if not monitor:
            return "create_health_monitor", [pool["id"]], MONITOR
        if self._random.random() < 0.4:
            return "delete_health_monitor", [monitor["id"]], {}
        return "update_health_monitor", [monitor["id"]], {"delay": self._random.randrange(5, 20)}
