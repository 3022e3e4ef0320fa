"""The simulation's tests: logs are not rendered, and lines that other tests cover are not traced while seeds run."""

import sys
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


@pytest.fixture
def untraced() -> Iterator[None]:
    """Measuring coverage would treble the time of a run."""
    before = sys.gettrace()
    sys.settrace(None)
    yield
    sys.settrace(before)
