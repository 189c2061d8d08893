# SPDX-License-Identifier: Apache-2.0
"""Framing and encoding shared by the lab and the processes it drives.

Imported by the processes of the venv under test too, so it needs nothing but
the standard library and octavia_lib.
"""

import json
import struct

from octavia_lib.api.drivers import data_models

MODELS = {
    model.__name__: model
    for model in (
        data_models.LoadBalancer,
        data_models.Listener,
        data_models.Pool,
        data_models.Member,
        data_models.HealthMonitor,
        data_models.L7Policy,
        data_models.L7Rule,
    )
}


def send(sock, message):
    data = json.dumps(message).encode()
    sock.sendall(struct.pack(">I", len(data)) + data)


def receive(sock):
    """Return the next message, or None at the end of the stream."""
    header = _receive_exactly(sock, 4)
    if not header:
        return None
    return json.loads(_receive_exactly(sock, struct.unpack(">I", header)[0]))


def _receive_exactly(sock, size):
    data = bytearray()
    while len(data) < size:
        chunk = sock.recv(size - len(data))
        if not chunk:
            return b""
        data += chunk
    return bytes(data)


def encode(value):
    """Make octavia_lib objects JSON-able; fields that are Unset are left out."""
    if isinstance(value, data_models.BaseDataModel):
        fields = {
            name: encode(field)
            for name, field in vars(value).items()
            if not isinstance(field, data_models.UnsetType)
        }
        return {"__model__": type(value).__name__, "fields": fields}
    if isinstance(value, dict):
        return {key: encode(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in value]
    return value


def decode(value):
    if isinstance(value, dict):
        if "__model__" in value:
            return MODELS[value["__model__"]].from_dict(decode(value["fields"]))
        return {key: decode(item) for key, item in value.items()}
    if isinstance(value, list):
        return [decode(item) for item in value]
    return value
