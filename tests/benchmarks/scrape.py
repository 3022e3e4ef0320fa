"""What a scrape and a status of five hundred symbols take, and what asking for both does to the daemon.

Half of the symbols hold a position, and all have series of their own.  Metrics are asked for far more often than Prometheus
does: the text is made anew once a second, which is one scrape of ten or twenty, so that `scrape_p99_ms` is what that takes.
A status is made anew each time; it comes over the control socket, as `livebot status` asks for it.
"""

import socket
from typing import Any

import yaml

from tests.benchmarks.configs import write_config
from tests.benchmarks.frame import Benchmark, Measured, Numbers, ask_child, over_runs, quantile, scratch_folder

RUNS = 3
SYMBOLS = 500
STAYS: dict[str, Any] = {"class": "tests.benchmarks.scrape_process:Stays", "params": {"timeframe": "1m"}}


def measure() -> Measured:
    """A new daemon each time."""
    return over_runs([_run() for _ in range(RUNS)])


def _run() -> Numbers:
    with scratch_folder() as folder:
        config = write_config(folder, SYMBOLS, STAYS, speed=6)
        settings = yaml.safe_load(config.read_text())
        settings["control"] = {"metrics_port": _free_port(), "metrics_symbols": SYMBOLS}
        config.write_text(yaml.safe_dump(settings, sort_keys=False))
        answer = ask_child("tests.benchmarks.scrape_process", folder, str(config))
    took, status = answer["took_ms"], answer["status_ms"]
    return {
        "scrape_p50_ms": quantile(took, 0.5),
        "scrape_p99_ms": quantile(took, 0.99),
        "status_p50_ms": quantile(status, 0.5),
        "status_p99_ms": quantile(status, 0.99),
        "made_cpu_ms": answer["made_cpu_ms"],
        "status_cpu_ms": answer["status_cpu_ms"],
        "lag_p99_ms": answer["lag_p99_ms"],
        "lag_maximum_ms": answer["lag_maximum_ms"],
        "lag_without_p99_ms": answer["lag_without_p99_ms"],
        "scrapes_per_s": len(took) / answer["seconds"],
        "text_kb": answer["text_kb"],
        "status_kb": answer["status_kb"],
        "positions": answer["positions"],
    }


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


BENCHMARK = Benchmark(
    name="scrape", unit="ms", target={"scrape_p99_ms": 50, "status_p99_ms": 50, "lag_p99_ms": 20}, measure=measure
)
