# SPDX-License-Identifier: Apache-2.0
"""eventlet, which the `ovs` library imports where it is installed, and which nothing here uses."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "module", ["octavia_ovn.agent", "octavia_ovn.cli.main", "octavia_ovn.collector"]
)
def test_eventlet_is_not_loaded(module):
    assert loaded(f"import {module}") == "False\n"


def test_eventlet_that_is_loaded_already_stays():
    assert loaded("import eventlet, octavia_ovn.agent") == "True\n"


def test_eventlet_can_be_loaded_afterwards():
    assert loaded("import octavia_ovn.agent, eventlet.patcher") == "True\n"


def loaded(imports):
    program = f"{imports}; import sys; print('eventlet' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return done.stdout
