"""The simulation's tests: logs are not rendered."""

from collections.abc import Iterator

import pytest
import structlog

from tests.simulation.run import quiet_logs


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    """Nothing is logged, and afterwards it is as it was."""
    before = structlog.get_config()
    quiet_logs()
    yield
    structlog.configure(**before)
