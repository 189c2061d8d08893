# SPDX-License-Identifier: Apache-2.0

import pytest

from tests.adapters.probing.members import certificate


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A key and its certificate."""
    return certificate(tmp_path_factory.mktemp("tls"))
