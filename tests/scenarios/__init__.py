# SPDX-License-Identifier: Apache-2.0
"""What operators met, seen from outside: API calls in; rows, ports and statuses out."""

import pytest

pytest.register_assert_rewrite("tests.scenarios.steps")
