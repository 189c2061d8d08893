# SPDX-License-Identifier: Apache-2.0
"""Measure health checks on a chassis: processor time and memory of one process.

    python -m bench.probes 2000 TCP,HTTP

It needs root: the probes run from a network namespace, over a pair of virtual Ethernet devices, to
a server in another process. Over TLS, its key is on the curve P-256. `dead` in place of the types
probes addresses that do not exist.
"""

from __future__ import annotations

import asyncio
import pathlib
import subprocess
import sys
import tempfile
import time
import uuid

from octavia_ovn import collector  # noqa: F401 - what the program has loaded beside health checks
from octavia_ovn.adapters.probing import sources as probe_sources
from octavia_ovn.adapters.probing.prober import Prober
from octavia_ovn.adapters.probing.sources import Sources, clean
from octavia_ovn.core.model import MonitorType
from octavia_ovn.core.probing.counters import Counters
from octavia_ovn.core.probing.messages import Plan, in_parts
from octavia_ovn.core.probing.spec import Probe, Source

NAMESPACE = "bench-probes"
PORT, TLS_PORT = 18080, 18443
OVER_TLS = {MonitorType.HTTPS, MonitorType.TLS_HELLO}
SETTLE, MEASURE = 8.0, 15.0
SERVER = f"""
import asyncio, resource, ssl, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
async def serve(reader, writer):
    try:
        await reader.readuntil(b"\\r\\n\\r\\n")
        writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
        await writer.drain()
    except (OSError, EOFError):
        pass
    writer.close()
async def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1])
    for port, tls in (({PORT}, None), ({TLS_PORT}, context)):
        await asyncio.start_server(serve, "0.0.0.0", port, backlog=4000, ssl=tls)
    await asyncio.Event().wait()
asyncio.run(main())
"""


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def certificate(path: str) -> None:
    """Write a key on the curve P-256, and a certificate that it has signed itself."""
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    words = ["openssl", "req", "-x509", *curve, "-nodes", "-subj", "/CN=bench"]
    subprocess.run([*words, "-keyout", path, "-out", f"{path}.crt"], check=True)
    with pathlib.Path(path).open("a") as file:
        file.write(pathlib.Path(f"{path}.crt").read_text())


class Ports:
    """The switch: a pair of devices, whose other end has the members' addresses."""

    def __init__(self) -> None:
        self.devices: list[str] = []

    def ensure(self, device: str, port_id: str, mac: str) -> None:  # noqa: ARG002 - as the real one
        ip("link", "add", device, "type", "veth", "peer", "name", "e0", "netns", NAMESPACE)
        ip("-n", NAMESPACE, "link", "set", "e0", "up")
        for last in range(2, 252):
            ip("-n", NAMESPACE, "address", "add", f"10.9.0.{last}/16", "dev", "e0")
        self.devices.append(device)

    def remove(self, device: str) -> None:
        self.devices.remove(device)

    def names(self) -> list[str]:
        return list(self.devices)

    def error(self, device: str) -> str:  # noqa: ARG002 - as the real one
        return ""


def resident() -> int:
    """Return megabytes."""
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * 4 // 1024


def port_of(kind: MonitorType) -> int:
    if kind is MonitorType.PING:
        return 0
    return TLS_PORT if kind in OVER_TLS else PORT


def probes(count: int, types: str) -> list[Probe]:
    source = Source(str(uuid.uuid4()), "fa:16:3e:00:00:07", "10.9.0.1/16")
    third = "1" if types == "dead" else "0"
    kinds = [MonitorType(each) for each in ("TCP" if types == "dead" else types).split(",")]
    return [
        Probe(
            id=str(uuid.uuid4()),
            source=source,
            address=f"10.9.{third}.{number % 250 + 2}",
            port=port_of(kind),
            type=kind,
            delay=5,
            timeout=3,
            rise=2,
            fall=3,
        )
        for number in range(count)
        for kind in [kinds[number % len(kinds)]]
    ]


async def measure(count: int, types: str, ports: Ports) -> None:
    counters = Counters()
    sources = Sources(ports)
    prober = Prober(sources, lambda _: None, counters, rate=500)
    print(f"{resident()} MB before")
    for part in in_parts(probes(count, types)):
        prober.apply(Plan(part))
    await asyncio.sleep(SETTLE)
    before, used, began = sum(counters.endings.values()), time.process_time(), time.monotonic()
    await asyncio.sleep(MEASURE)
    seconds = time.monotonic() - began
    share = (time.process_time() - used) / seconds
    rate = (sum(counters.endings.values()) - before) / seconds
    each = f"{share / rate * 1e6:.0f} µs each"
    print(f"{rate:.0f} probes/s, {share:.1%} of a core ({each}), {resident()} MB")
    print(prober.states())
    print(dict(counters.endings))
    prober.close()
    sources.close()


def main() -> None:
    # A program that runs on this machine keeps its namespaces.
    probe_sources.PREFIX = "bench-probe-"
    ports = Ports()
    ip("netns", "add", NAMESPACE)
    folder = tempfile.TemporaryDirectory()
    key = f"{folder.name}/key.pem"
    certificate(key)
    argv = ["ip", "netns", "exec", NAMESPACE, sys.executable, "-c", SERVER, key]
    server = subprocess.Popen(argv)
    try:
        time.sleep(1)
        asyncio.run(measure(int(sys.argv[1]), sys.argv[2], ports))
    finally:
        server.kill()
        server.wait()
        folder.cleanup()
        clean(ports)
        ip("netns", "delete", NAMESPACE)


if __name__ == "__main__":
    main()
