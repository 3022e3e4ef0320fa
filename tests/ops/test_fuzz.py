"""A few hundred requests made from the served description; `make fuzz` makes twenty thousand."""

import json
import subprocess
import sys

import pytest

from tests.ops.fuzz import CHECKOUT

REQUESTS = 80


@pytest.mark.slow
@pytest.mark.untraced
@pytest.mark.timeout(600)
def test_requests_made_from_the_description_are_answered_as_it_says():
    """No 5xx, every answer as described, and nothing that was refused has changed anything."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.ops.fuzz", str(REQUESTS)],
        cwd=CHECKOUT,
        check=False,
        capture_output=True,
        text=True,
        timeout=580,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    found = json.loads(run.stdout[run.stdout.index("{\n") :])
    assert (found["wrong"], found["requests"] >= REQUESTS, found["commands"] > 0) == ([], True, True)
    assert {"200", "400", "401"} <= found["by_status"].keys()
