"""The real command line against real servers."""

import pytest

pytest.register_assert_rewrite("tests.integration.agent")
