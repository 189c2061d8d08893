# SPDX-License-Identifier: Apache-2.0
"""What drains: connections of a backend through one entry of `vips`."""

from __future__ import annotations

from typing import NamedTuple


class Flow(NamedTuple):
    """The connections of one backend through one entry of `vips`.

    :param vip: the key in `vips`, as `10.0.0.5:80`
    :param backend: address and port, as `10.0.0.9:8080`
    """

    protocol: str
    vip: str
    backend: str
