"""Logs of the runtime's tests are kept in memory: rendering the tracebacks of failures made on purpose takes long."""

from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs


@pytest.fixture(autouse=True)
def logs() -> Iterator[list]:
    """What was logged during the test."""
    with capture_logs() as entries:
        yield entries
