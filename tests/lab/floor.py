"""W0: how fast this machine's OVSDB and status socket can be at best."""

import json
import socket
import subprocess
import time

import ovs.db.idl
import ovs.poller
from octavia_lib.api.drivers import driver_lib

from tests.lab import env, ovsdb
from tests.lab.ovsdb import named, omap, oset

LB_ROW = {
    "name": "floor",
    "protocol": "tcp",
    "vips": {"10.0.0.5:80": "10.0.0.6:80,10.0.0.7:80"},
    "external_ids": {"neutron:vip": "10.0.0.5", "enabled": "True"},
}
SWITCH, ROUTER = "floor-ls", "floor-lr"


def measure(add, nb_server, count):
    """Time transactions like that of creating a load balancer.

    :param add: function(metric, milliseconds)
    """
    client = nb_server.connect()
    client.transact(
        ovsdb.insert("Logical_Switch", {"name": SWITCH}),
        ovsdb.insert("Logical_Router", {"name": ROUTER}),
    )
    for metric, insert in (
        ("raw JSON-RPC", lambda: _insert_raw(client)),
        ("python-ovs IDL", _idl_inserter(nb_server.remote)),
        ("ovn-nbctl daemon", _nbctl_inserter(nb_server)),
    ):
        for _ in range(count):
            start = time.perf_counter()
            insert()
            add(f"LB row on a switch and a router, {metric}", (time.perf_counter() - start) * 1000)
    _nbctl(nb_server, "exit")
    client.close()


def measure_status(add, run_dir, count):
    """Time one message on status.sock, by octavia_lib and by hand."""
    path = run_dir / "status.sock"
    library = driver_lib.DriverLibrary(status_socket=str(path))
    for _ in range(count):
        start = time.perf_counter()
        library.update_loadbalancer_status({})
        add("status message, octavia_lib", (time.perf_counter() - start) * 1000)
        start = time.perf_counter()
        _send_status(path)
        add("status message, plain socket", (time.perf_counter() - start) * 1000)


def _send_status(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.connect(str(path))
        sock.sendall(b"2\n{}")
        with sock.makefile("rb") as stream:
            json.loads(stream.read(int(stream.readline())))


def _insert_raw(client):
    client.transact(
        ovsdb.insert(
            "Load_Balancer",
            dict(LB_ROW, vips=omap(LB_ROW["vips"]), external_ids=omap(LB_ROW["external_ids"])),
            "lb",
        ),
        *(
            ovsdb.mutate(
                table, [["name", "==", name]], ["load_balancer", "insert", oset([named("lb")])]
            )
            for table, name in (("Logical_Switch", SWITCH), ("Logical_Router", ROUTER))
        ),
    )


def _idl_inserter(remote):
    helper = ovs.db.idl.SchemaHelper(str(env.SCHEMAS / "ovn-nb.ovsschema"))
    helper.register_columns("Load_Balancer", ["name", "protocol", "vips", "external_ids"])
    for table in ("Logical_Switch", "Logical_Router"):
        helper.register_columns(table, ["name", "load_balancer"])
    idl = ovs.db.idl.Idl(remote, helper)
    while not idl.has_ever_connected():
        _run(idl)
    parents = [
        row
        for table, name in (("Logical_Switch", SWITCH), ("Logical_Router", ROUTER))
        for row in idl.tables[table].rows.values()
        if row.name == name
    ]

    def insert():
        transaction = ovs.db.idl.Transaction(idl)
        row = transaction.insert(idl.tables["Load_Balancer"])
        for column, value in LB_ROW.items():
            setattr(row, column, value)
        for parent in parents:
            parent.addvalue("load_balancer", row)
        status = transaction.commit_block()
        assert status == ovs.db.idl.Transaction.SUCCESS, status

    return insert


def _run(idl):
    if not idl.run():
        poller = ovs.poller.Poller()
        idl.wait(poller)
        poller.block()


def _nbctl_inserter(server):
    subprocess.run(
        [
            "ovn-nbctl",
            f"--db={server.remote}",
            "--detach",
            "--no-chdir",
            f"--unixctl={_nbctl_socket(server)}",
            f"--log-file={server.path}.nbctl.log",
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return lambda: _nbctl(
        server,
        "run",
        "--",
        "--id=@lb",
        "create",
        "Load_Balancer",
        "name=floor",
        "protocol=tcp",
        'vips:"10.0.0.5:80"="10.0.0.6:80,10.0.0.7:80"',
        'external_ids:"neutron:vip"="10.0.0.5"',
        "external_ids:enabled=True",
        "--",
        "add",
        "Logical_Switch",
        SWITCH,
        "load_balancer",
        "@lb",
        "--",
        "add",
        "Logical_Router",
        ROUTER,
        "load_balancer",
        "@lb",
    )


def _nbctl_socket(server):
    return f"{server.path}.nbctl.ctl"


def _nbctl(server, method, *arguments):
    """Speak to the daemon as ovn-nbctl does, less the process start."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.connect(_nbctl_socket(server))
        sock.sendall(json.dumps({"id": 0, "method": method, "params": arguments}).encode())
        reply = b""
        while not reply.endswith(b"}"):
            chunk = sock.recv(65536)
            if not chunk:
                break
            reply += chunk
    if reply and json.loads(reply).get("error"):
        raise RuntimeError(reply.decode())
