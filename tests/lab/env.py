# SPDX-License-Identifier: Apache-2.0
"""Real OVSDB servers, configuration file and temporary directories."""

import configparser
import contextlib
import ctypes
import fcntl
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from tests.lab import ovsdb

SCHEMAS = pathlib.Path(os.environ.get("OVN_PREFIX") or "/usr") / "share/ovn"
OCTAVIA_RUN_DIR = pathlib.Path("/var/run/octavia")


def isolate_octavia_run_dir():
    """Give this process, and its children, a private, empty /var/run.

    Uses a mount namespace of its own, so a lab run cannot meet another run or
    a real octavia-driver-agent. Call it before any thread is started.
    """
    clone_newns, ms_rec, ms_private = 0x20000, 0x4000, 1 << 18
    libc = ctypes.CDLL(None, use_errno=True)
    # Not on the octavia directory itself: should another process remove that
    # one, the kernel would drop our mount with it.
    target = str(OCTAVIA_RUN_DIR.parent.resolve()).encode()
    for failed in (
        lambda: libc.unshare(clone_newns),
        lambda: libc.mount(b"none", b"/", None, ms_rec | ms_private, None),
        lambda: libc.mount(b"lab", target, b"tmpfs", 0, None),
    ):
        if failed():
            raise OSError(ctypes.get_errno(), "cannot isolate the run dir")


@contextlib.contextmanager
def hold_octavia_run_dir():
    """Own /var/run/octavia, or refuse when another process uses it."""
    OCTAVIA_RUN_DIR.mkdir(parents=True, exist_ok=True)
    with open(OCTAVIA_RUN_DIR / "lab.lock", "w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RuntimeError(
                "another lab run holds /var/run/octavia; wait for it, or use --isolate"
            ) from None
        for path in OCTAVIA_RUN_DIR.glob("*.sock"):
            if _accepts_connections(path):
                raise RuntimeError(f"{path} is served by another process")
        yield OCTAVIA_RUN_DIR


def _accepts_connections(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        try:
            sock.connect(str(path))
        except OSError:
            return False
        return True


def wait_until(predicate, timeout, interval=0.005):
    """Poll until predicate() is true; return the seconds it took, or None."""
    start = time.monotonic()
    while not predicate():
        if time.monotonic() - start > timeout:
            return None
        time.sleep(interval)
    return time.monotonic() - start


def stop_process(process, timeout=10):
    """Terminate a child process, by pid, and reap it."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class OvsdbServer:
    """One standalone ovsdb-server on a unix socket."""

    def __init__(self, directory, name, database, template=None):
        self.database = database
        self.path = directory / f"{name}.db"
        self.socket = directory / f"{name}.sock"
        self.control = directory / f"{name}.ctl"
        self._log = directory / f"{name}.log"
        self._process = None
        if template:
            shutil.copyfile(template, self.path)
        else:
            subprocess.run(
                ["ovsdb-tool", "create", self.path, SCHEMAS / f"ovn-{name}.ovsschema"], check=True
            )

    @property
    def remote(self):
        return f"unix:{self.socket}"

    @property
    def pid(self):
        return self._process.pid

    def start(self):
        self._process = subprocess.Popen(
            [
                "ovsdb-server",
                f"--remote=p{self.remote}",
                f"--unixctl={self.control}",
                f"--log-file={self._log}",
                "-vconsole:off",
                self.path,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        if wait_until(lambda: _accepts_connections(self.socket), 60) is None:
            raise RuntimeError(f"ovsdb-server did not start: {self._log}")

    def connect(self):
        return ovsdb.OvsdbClient(self.socket, self.database)

    def kill(self):
        """Have it gone at once; start() brings it back with what it has committed."""
        self._process.kill()
        self._process.wait()

    def stop(self):
        if self._process:
            stop_process(self._process)


class Env:
    """Temporary directory with NB and SB servers, optionally ovn-northd.

    :param nb_template: a prepared NB file to start from (see scale.py)
    :param northd: also run ovn-northd
    :param keep_logs: directory that gets the log files at the end
    """

    def __init__(self, nb_template=None, northd=False, keep_logs=None):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="ovn-lab-"))
        self.nb = OvsdbServer(self.directory, "nb", ovsdb.NORTHBOUND, nb_template)
        self.sb = OvsdbServer(self.directory, "sb", ovsdb.SOUTHBOUND)
        self._northd = northd
        self._northd_process = None
        self._keep_logs = keep_logs

    def __enter__(self):
        try:
            for server, table in ((self.nb, "NB_Global"), (self.sb, "SB_Global")):
                server.start()
                client = server.connect()
                if not client.select(table, columns=["_uuid"]):
                    client.transact(ovsdb.insert(table, {}))
                client.close()
            if self._northd:
                self._start_northd()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc_info):
        self.close()

    def close(self):
        if self._northd_process:
            stop_process(self._northd_process)
        self.nb.stop()
        self.sb.stop()
        if self._keep_logs:
            target = pathlib.Path(self._keep_logs, self.directory.name)
            target.mkdir(parents=True)
            for log in self.directory.glob("*.log"):
                shutil.copy(log, target)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _start_northd(self):
        self._northd_process = subprocess.Popen(
            [
                "ovn-northd",
                f"--ovnnb-db={self.nb.remote}",
                f"--ovnsb-db={self.sb.remote}",
                f"--unixctl={self.directory}/northd.ctl",
                "-vconsole:off",
                f"--log-file={self.directory}/northd.log",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def write_config(self, name, nb_remote, auth, neutron_url, extra=None):
        """Write an octavia.conf for the driver or the agent; return its path.

        :param nb_remote: how to reach the northbound database
        :param auth: Keystone options, for [service_auth] and [neutron]
        :param extra: {section: {option: value}} laid over the defaults
        """
        sections = {
            "ovn": {"ovn_nb_connection": nb_remote, "ovn_sb_connection": self.sb.remote},
            "service_auth": dict(auth),
            "neutron": dict(auth, endpoint_override=neutron_url),
        }
        for section, options in (extra or {}).items():
            sections.setdefault(section, {}).update(options)
        parser = configparser.ConfigParser(interpolation=None)
        parser.read_dict(sections)
        path = self.directory / name
        with open(path, "w", encoding="utf-8") as config:
            parser.write(config)
        return path


def process_memory(pid):
    """Resident set size of a process, in MiB."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    return 0.0


def process_cpu(pid):
    """User and system time that a process has used, in seconds."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def process_children(pid):
    path = f"/proc/{pid}/task/{pid}/children"
    with open(path, encoding="ascii") as children:
        return [int(child) for child in children.read().split()]


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))
