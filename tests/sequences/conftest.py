"""Fixtures of the sequences."""

from collections.abc import Iterator

import pytest
import structlog

from tests.simulation.run import quiet_logs


@pytest.fixture
def quiet() -> Iterator[None]:
    """No line is rendered."""
    quiet_logs()
    yield
    structlog.reset_defaults()
