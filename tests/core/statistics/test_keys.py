# SPDX-License-Identifier: Apache-2.0

import hashlib
import hmac

from octavia_ovn.core.statistics.keys import chassis_key, is_chassis_key

MASTER = "0123456789abcdef" * 2


def test_a_key_follows_from_the_master_key_and_the_name():
    # What `printf 'octavia-ovn-stats %s' NAME | openssl dgst -sha256 -hmac MASTER` prints.
    expected = hmac.new(MASTER.encode(), b"octavia-ovn-stats compute-1", hashlib.sha256)

    assert chassis_key(MASTER, "compute-1") == expected.hexdigest()
    assert chassis_key(MASTER, "compute-2") != expected.hexdigest()
    assert chassis_key(MASTER + "0", "compute-1") != expected.hexdigest()


def test_the_form_of_a_key():
    assert is_chassis_key(chassis_key(MASTER, "compute-1"))
    for text in ("", "secret", "0" * 63, "0" * 65, "G" * 64, "0" * 64 + "\n"):
        assert not is_chassis_key(text)
