"""From the start of the process to "ready" over what a daemon of five hundred symbols left: files, ledger and venue.

Half of the symbols have an open position with a stop and a target at the venue, the other half are idle and the facts of
their last signal still stand in their file.
"""

import json
import shutil
import sys
from pathlib import Path

from livebot import bootstrap
from tests.benchmarks.configs import write_config
from tests.benchmarks.frame import Benchmark, Measured, ask_child, over_runs, scratch_folder
from tests.benchmarks.processes import ready_daemon

RUNS = 3
SYMBOLS = 500
HALF = {"class": "tests.benchmarks.strategies:Half"}
_MINUTES = 8  # one close, and enough for half of them to be out again


def measure() -> Measured:
    """Each time on a copy of the same root."""
    with scratch_folder() as folder:
        before = folder / "before"
        before.mkdir()
        kinds = ask_child("tests.benchmarks.start_with_files", before)["kinds"]
        measured = over_runs([{"ready_s": _run(before, folder / f"run{number}"), **kinds} for number in range(RUNS)])
    if not measured.values["files_open"] or not measured.values["files_idle_with_outbox"]:
        raise RuntimeError(f"the files are not what they should be: {kinds}")
    return measured


def _run(before: Path, folder: Path) -> float:
    shutil.copytree(before, folder)
    config = write_config(folder, SYMBOLS, HALF, speed=60)
    with ready_daemon(config) as daemon:
        return daemon.ready_s


def main(folder: Path) -> None:
    """Leave the root of a daemon that has traded, and what its files hold."""
    config = write_config(folder, SYMBOLS, HALF, speed=0, latency_ms=0, minutes=_MINUTES)
    bootstrap.run_daemon(config, folder, seconds=None, screen=None, log_level="error")
    states = [json.loads(file.read_bytes()) for file in folder.glob("signals/*/*.json")]
    kinds = {
        "files": len(states),
        "files_open": sum(state["signal"]["type"] == "Open" for state in states),
        "files_idle_with_outbox": sum(state["signal"]["type"] == "Idle" and state["outbox"] != [] for state in states),
    }
    (folder / "result.json").write_text(json.dumps({"kinds": kinds}))


BENCHMARK = Benchmark(name="start_with_files", unit="s", target={"ready_s": 4}, measure=measure)

if __name__ == "__main__":
    main(Path(sys.argv[1]))
