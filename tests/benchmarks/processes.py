"""Daemons as an operator starts them, each in a process of its own, timed from outside.

`python -m tests.benchmarks.processes MODULES_FILE run ...` is `python -m livebot run ...`, and at its end it leaves in a
file the names of all modules that were imported.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from livebot import cli
from tests.benchmarks.frame import CHECKOUT, CHILD_S, environment

_POLL_S = 0.002
_READY = b'"event":"ready"'


@dataclass(frozen=True, slots=True)
class Daemon:
    """A running one, and how long it took from the start of its process until it said that it was ready."""

    process: psutil.Process
    ready_s: float

    @property
    def resident_kb(self) -> float:
        """Memory that is really there."""
        resident: int = self.process.memory_info().rss
        return resident / 1024


@contextmanager
def ready_daemon(config: Path, *, modules: Path | None = None) -> Iterator[Daemon]:
    """A daemon that has become ready; it is stopped as an operator would stop it.

    Raises:
        RuntimeError: it did not become ready, or did not end well.

    """
    module = ["livebot"] if modules is None else ["tests.benchmarks.processes", str(modules)]
    log = config.with_name("daemon.log")
    with log.open("wb") as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", *module, "run", "--config", str(config)],
            cwd=CHECKOUT,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        _wait_until_ready(process, log)
        yield Daemon(psutil.Process(process.pid), time.perf_counter() - began)
        process.terminate()
        if process.wait(CHILD_S) != 0:
            raise RuntimeError(f"the daemon ended with {process.returncode}: {_tail(log)}")
    finally:
        process.kill()
        process.wait()


def _wait_until_ready(process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + CHILD_S
    while _READY not in log.read_bytes():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the daemon does not become ready: {_tail(log)}")
        time.sleep(_POLL_S)


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:]


def main(arguments: Sequence[str]) -> None:
    """See above."""
    modules, sys.argv = Path(arguments[0]), ["livebot", *arguments[1:]]
    try:
        cli.main()
    finally:
        modules.write_text(json.dumps(sorted(sys.modules)))


if __name__ == "__main__":
    main(sys.argv[1:])
