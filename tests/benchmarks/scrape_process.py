"""A real daemon that is scraped: `python -m tests.benchmarks.scrape_process FOLDER CONFIG`.

Everything is what `livebot run` runs; a probe on its loop says how late it is before and while another process scrapes
the port of its metrics and asks for its status: `python -m tests.benchmarks.scrape_process PORT SECONDS SOCKET`.
"""

import asyncio
import json
import socket
import sys
import time
import urllib.request
from pathlib import Path
from statistics import median
from typing import ClassVar

import yaml
from aiohttp import web

from livebot import bootstrap
from livebot.bootstrap import daemon, metrics
from livebot.core.entry import Entry
from livebot.core.market import MINUTE_MS, Side
from livebot.ops.control import app as control_app
from livebot.ops.control.reads import Reads
from livebot.ops.metrics.page import MetricsPage
from livebot.runtime.operator.status import status_of
from livebot.runtime.shutdown import Shutdown
from livebot.runtime.system import System
from livebot.strategies.ema_cross import EmaCross
from livebot.strategies.interface import View
from tests.benchmarks.frame import CHECKOUT, LagProbe, environment

SECONDS = 15.0
SETTLED_S = 2.0  # after the last position has opened
PATIENCE_S = 60.0
PAUSE_S = 0.05  # between two scrapes; Prometheus leaves 15 s


class Stays(EmaCross):
    """Symbols with an even number open at their first close and stay for days."""

    name = "stays"

    def decide(self, view: View) -> Entry | None:
        super().decide(view)
        if int(view.symbol[1:4]) % 2:
            return None
        return Entry(
            side=Side.LONG,
            stop_loss=view.close * 0.8,
            take_profit=view.close * 1.4,
            lifetime_ms=10_000 * MINUTE_MS,
            reason="the benchmark wants it",
        )


class Made(MetricsPage):
    """Notes what the processor took for each text, the rest of the daemon's work meanwhile included."""

    cpu_ms: ClassVar[list[float]] = []

    async def _make(self) -> bytes:
        began = time.thread_time()
        text = await super()._make()
        self.cpu_ms.append((time.thread_time() - began) * 1000)
        return text


class Told(Reads):
    """Notes what the processor took for each status, likewise."""

    cpu_ms: ClassVar[list[float]] = []

    async def status(self, request: web.Request) -> web.Response:
        began = time.thread_time()
        answer = await super().status(request)
        self.cpu_ms.append((time.thread_time() - began) * 1000)
        return answer


class Scraped(System):
    """Runs as ever, is measured beside that, and stops when it has been."""

    folder: Path
    port: int
    socket: Path

    async def run(self, shutdown: Shutdown) -> None:
        measuring = asyncio.create_task(self._measure(shutdown))
        try:
            await super().run(shutdown)
        finally:
            await measuring

    async def _measure(self, shutdown: Shutdown) -> None:
        wanted = len(self.parts.strategies) // 2
        async with asyncio.timeout(PATIENCE_S):
            await self.ready.wait()
            while self.portfolio.counts()["opened"] < wanted:
                await asyncio.sleep(0.05)
        await asyncio.sleep(SETTLED_S)
        probe = LagProbe()
        probing = asyncio.create_task(probe.run())
        await asyncio.sleep(SECONDS)
        without_ms = probe.p99_ms
        scraper = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.benchmarks.scrape_process", str(self.port), str(SECONDS), str(self.socket)),
            stdout=asyncio.subprocess.PIPE,
            cwd=CHECKOUT,
            env=environment(),
        )
        assert scraper.stdout is not None
        await scraper.stdout.readline()  # it begins
        probe.forget()
        output, _ = await scraper.communicate()
        probing.cancel()
        status = status_of(self)
        answer = {
            **json.loads(output),
            "seconds": SECONDS,
            "lag_p99_ms": probe.p99_ms,
            "lag_maximum_ms": probe.maximum_ms,
            "lag_without_p99_ms": without_ms,
            "made_cpu_ms": median(Made.cpu_ms),
            "status_cpu_ms": median(Told.cpu_ms),
            "positions": sum(signal.state == "Open" for symbol in status.symbols for signal in symbol.signals),
        }
        (self.folder / "result.json").write_text(json.dumps(answer))
        shutdown.request("it has been measured")


def scrape(port: int, seconds: float, control: Path) -> None:
    """Print what each of many scrapes took, and each status between them."""
    sys.stdout.write("begins\n")
    sys.stdout.flush()
    took: list[float] = []
    status_ms: list[float] = []
    size = status_size = 0
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.perf_counter()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            size = len(answer.read())
        took.append((time.perf_counter() - began) * 1000)
        time.sleep(PAUSE_S / 2)
        began = time.perf_counter()
        status_size = len(status_of_daemon(control))
        status_ms.append((time.perf_counter() - began) * 1000)
        time.sleep(PAUSE_S / 2)
    told = {"took_ms": took, "text_kb": size / 1024, "status_ms": status_ms, "status_kb": status_size / 1024}
    sys.stdout.write(json.dumps(told))


def status_of_daemon(control: Path) -> bytes:
    """The bytes of its answer, without reading them: what the daemon takes is measured."""
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(control))
        caller.sendall(b"GET /v1/status HTTP/1.1\r\nHost: livebot\r\n\r\n")
        pieces = []
        while piece := caller.recv(1 << 20):
            pieces.append(piece)
    answer = b"".join(pieces)
    assert answer.startswith(b"HTTP/1.1 200"), answer[:200]
    return answer


def main(folder: Path, config: Path) -> None:
    """See above."""
    settings = yaml.safe_load(config.read_text())
    Scraped.folder, Scraped.port = folder, settings["control"]["metrics_port"]
    Scraped.socket = folder / "state" / "control.sock"
    vars(daemon)["System"] = Scraped
    vars(metrics)["MetricsPage"] = Made
    vars(control_app)["Reads"] = Told
    bootstrap.run_daemon(config, folder, seconds=None, screen=None, log_level="warning")


if __name__ == "__main__":
    if sys.argv[1].isdigit():
        scrape(int(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3]))
    else:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
