# SPDX-License-Identifier: Apache-2.0
"""The keys that datagrams are signed with.

Controllers hold one master key. Each chassis is given only the key that follows from the master key
and its own name, so an attacker on a chassis can sign for that chassis and for no other.
"""

from __future__ import annotations

import hashlib
import hmac
import re

MIN_MASTER = 32
"""Characters of a master key at least; `openssl rand -hex 32` prints 64."""
_CHASSIS_KEY = re.compile("[0-9a-f]{64}")


def chassis_key(master: str, chassis: str) -> str:
    """Return the key of a chassis: HMAC-SHA256, as 64 hexadecimal digits.

    :param master: the master key
    :param chassis: the chassis's name, `external_ids:system-id` of its Open vSwitch
    """
    label = f"octavia-ovn-stats {chassis}"
    return hmac.new(master.encode(), label.encode(), hashlib.sha256).hexdigest()


def is_chassis_key(text: str) -> bool:
    """Whether a text has the form of a chassis's key."""
    return _CHASSIS_KEY.fullmatch(text) is not None
