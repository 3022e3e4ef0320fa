"""Thousands of requests made from the served description, by schemathesis, against a real server.

`python -m tests.ops.fuzz [REQUESTS]` prints one JSON object: how many requests there were, by status, and what was wrong;
it exits with 1 if anything was.  The server is the one that the daemon has; behind it is a control without a system, so
that what a request changed can be counted.  schemathesis runs as a process of its own, for its plugin and its settings
are not this suite's.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from http import HTTPStatus
from pathlib import Path
from typing import Any

from aiohttp import web

from livebot.errors import Rejected
from livebot.ops.control.answers import Handler
from livebot.ops.control.events import EventSettings
from livebot.ops.control.guard import GuardSettings
from tests.ops.fake_control import FakeControl, a_crowd, a_status
from tests.ops.metrics.samples import page
from tests.ops.served import TOKEN, ServedPort

REQUESTS = 20_000
FIRST_SEED = 5
VARIED_ROUTES = 14  # those whose requests can differ
COVERAGE_FROM = 1_000  # the phase of corner cases alone makes some six hundred
LINE_SHOWN = 400
NOTHING_BEGAN = range(400, 600)
BEGUN = (HTTPStatus.CONFLICT, HTTPStatus.GATEWAY_TIMEOUT)  # the control was asked, and said so
CHECKOUT = Path(__file__).resolve().parents[2]
# 413: what the description allows may still be more than a body may have; 422: a key that was another command's
SETTINGS = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "401", "403", "404", "409", "413", "422"]
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "409", "413", "415", "422"]
"""


class Picky(FakeControl):
    """Refuses symbols that it does not know, as the daemon does, and then has changed nothing."""

    async def _do(self, name: str, argument: Any) -> str:
        symbols = argument[0] if isinstance(argument, tuple) else argument
        if isinstance(symbols, list) and not all(self.knows(each) for each in symbols):
            raise Rejected("not a symbol of this system")
        return await super()._do(name, argument)


class Watched(ServedPort):
    """Counts what is answered, and which refusals changed something all the same."""

    def made(self, **options):
        self.answered: Counter[int] = Counter()
        self.wrong: list[str] = []
        port = super().made(
            guard=GuardSettings(delay_s=0, attempts=10**9, waiting=1000),
            events=EventSettings(lifetime_s=0.02),
            metrics=page(self.control).answer,
            **options,
        )
        port._server._runner.app.middlewares.insert(0, self._watch)
        return port

    @web.middleware
    async def _watch(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        before, audited = len(self.control.asked), len(self.audited)
        response = await handler(request)
        self.answered[response.status] += 1
        refused = response.status in NOTHING_BEGAN and response.status not in BEGUN
        if refused and (len(self.control.asked), len(self.audited)) != (before, audited):
            self.wrong.append(f"{request.method} {request.path_qs[:100]} was refused and changed something")
        if len(self.control.asked) > before and request.method != "POST":
            self.wrong.append(f"{request.method} {request.path_qs[:100]} changed something")
        if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self.wrong.append(f"{request.method} {request.path_qs[:100]} was answered {response.status}")
        return response


def fuzz(requests: int) -> dict[str, Any]:
    """Have at least so many requests made; what came of them."""
    control = Picky(present=a_status(symbols=a_crowd(20)))
    with Watched(control) as served, tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "schemathesis.toml").write_text(SETTINGS)
        seed, examples = FIRST_SEED, max(requests // VARIED_ROUTES, 1)
        phases = "examples,coverage,fuzzing" if requests >= COVERAGE_FROM else "fuzzing"
        while served.answered.total() < requests and not served.wrong:
            _run(served, Path(folder), ["--max-examples", str(examples), "--seed", str(seed), "--phases", phases])
            seed, phases = seed + 1, "fuzzing"
    return {
        "requests": served.answered.total(),
        "by_status": dict(sorted(served.answered.items())),
        "commands": len(control.asked),
        "runs": seed - FIRST_SEED,
        "wrong": served.wrong,
    }


def _run(served: Watched, folder: Path, options: list[str]) -> None:
    url = f"http://127.0.0.1:{served.server.port}/openapi.json"
    command = [sys.executable, "-m", "schemathesis.cli", "--no-color", "run", url, "--checks", "all"]
    command += ["--header", f"Authorization: Bearer {TOKEN}", "--workers", "1", "--continue-on-failure"]
    run = subprocess.run(
        [*command, "--generation-database", "none", *options],
        cwd=folder,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "tests.ops.fuzz_hooks", "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        served.wrong.append("\n".join(line[:LINE_SHOWN] for line in (run.stdout + run.stderr).splitlines()))


if __name__ == "__main__":
    found = fuzz(int(sys.argv[1]) if len(sys.argv) > 1 else REQUESTS)
    print(json.dumps(found, indent=1))
    sys.exit(bool(found["wrong"]))
