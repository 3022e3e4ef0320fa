"""Real processes for tests: daemons, simulated venues, and the launcher that starts daemons quickly.

Whatever is started here is ended here: each is a context manager, or is closed by the fixture that made it.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import yaml

CHECKOUT = Path(__file__).resolve().parents[2]
SYMBOLS = ("BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT", "XRP/USDT:USDT")
PATIENCE_S = 90.0  # for anything that a sound daemon does within a second or two, on a machine that is busy
_POLL_S = 0.003


def environment(*, measured: bool = True, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a child sees: this one's environment without what would change a daemon; not `measured`: no coverage."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LIVEBOT_", "STATE_DIRECTORY"))}
    if not measured:
        kept = {name: value for name, value in kept.items() if not name.startswith("COVERAGE_")}
    kept.update(PYTHONPATH=str(CHECKOUT), OPENBLAS_NUM_THREADS="1", PYTHONUNBUFFERED="1")
    kept.update(extra or {})
    return kept


def config_of(**changes: Any) -> dict[str, Any]:
    """A config of four symbols that never stops trading because of a limit; `changes` replace whole sections."""
    config: dict[str, Any] = {
        "system": "process-test",
        "market": "perpetual",
        "exchange": {"id": "simulator", "simulator": {"speed": 600, "seed": 3, "volatility": 3, "wallet": 1_000_000}},
        "symbols": list(SYMBOLS),
        "strategies": [{"class": "tests.process.strategies:Eager"}],
        "risk": {
            "sizing": {"kind": "fixed", "notional": 1000},
            "entry": {"minimum_stop_distance": 0.0001, "minimum_target_distance": 0.0001},
            "limits": {
                "open_signals": None,
                "gross_exposure": None,
                "orders_per_minute": None,
                "daily_loss": None,
                "drawdown": None,
            },
            "loss_limit": None,
            "win_rate": None,
        },
        "runtime": {"history": 60},
    }
    return config | changes


class Root:
    """A folder with a config in it: what one daemon runs in."""

    def __init__(self, folder: Path, config: Mapping[str, Any] | str) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.config = folder / "config.yaml"
        self.log = folder / "daemon.log"
        self.configure(config)

    def configure(self, config: Mapping[str, Any] | str) -> None:
        """Write the config anew."""
        text = config if isinstance(config, str) else yaml.safe_dump(dict(config), sort_keys=False)
        self.config.write_text(text)

    @property
    def ledger(self) -> Path:
        return self.folder / "state" / "ledger.sqlite"

    @property
    def report(self) -> Path:
        return self.folder / "state" / "report.md"

    def signal_file(self, strategy: str, symbol: str) -> Path:
        return self.folder / "signals" / strategy / f"{symbol.replace('/', '-').replace(':', '_')}.json"


class Running(Protocol):
    """A process that was started and not yet seen to end."""

    pid: int

    def poll(self) -> int | None:
        """The exit code (negative: the signal), None as long as it runs."""


class Daemon:
    """One run of `livebot run`: its process and its log from where the run began."""

    def __init__(self, process: Running, log: Path, log_start: int) -> None:
        self._process = process
        self._log = log
        self._read_to = log_start
        self._rest = b""
        self.events: list[dict[str, Any]] = []
        self.code: int | None = None

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        if self.code is None:
            self.code = self._process.poll()
        return self.code is None

    def send(self, number: signal.Signals) -> None:
        """An OS signal, if it still runs."""
        if self.running:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.send(signal.SIGKILL)
        self.wait()

    def wait(self, seconds: float = PATIENCE_S) -> int:
        """Its exit code.  Raises AssertionError, with the log, if it still runs then."""
        deadline = time.monotonic() + seconds
        while self.running:
            assert time.monotonic() < deadline, f"still runs after {seconds} s\n{self.tail()}"
            time.sleep(_POLL_S)
        assert self.code is not None
        return self.code

    def look(self) -> list[dict[str, Any]]:
        """All log lines so far."""
        with self._log.open("rb") as file:
            file.seek(self._read_to)
            text = file.read()
        self._read_to += len(text)
        *lines, self._rest = (self._rest + text).split(b"\n")
        for line in lines:
            try:
                self.events.append(json.loads(line))
            except ValueError:  # a line that was cut when it was killed, or one that is not of the log
                self.events.append({"event": "not_a_log_line", "text": line.decode("utf-8", "replace")})
        return self.events

    def happened(self, event: str) -> list[dict[str, Any]]:
        """The log lines of this name so far."""
        return [line for line in self.look() if line["event"] == event]

    def wait_for(self, event: str, seconds: float = PATIENCE_S) -> dict[str, Any]:
        """The first log line of this name.  Raises AssertionError if the daemon ends or does not say it in time."""
        deadline = time.monotonic() + seconds
        while True:
            running = self.running
            if found := self.happened(event):
                return found[0]
            assert running, f"ended with {self.code} before {event!r}\n{self.tail()}"
            assert time.monotonic() < deadline, f"no {event!r} within {seconds} s\n{self.tail()}"
            time.sleep(_POLL_S)

    def until_ready(self, seconds: float = PATIENCE_S) -> Self:
        """Wait until it says that it is ready."""
        self.wait_for("ready", seconds)
        return self

    def tail(self) -> str:
        """The end of the whole log, for a failed test's message."""
        return self._log.read_text(errors="replace")[-4000:]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.running:
            self.kill()


def start(root: Root, *arguments: str, extra: Mapping[str, str] | None = None, measured: bool = True) -> Daemon:
    """`python -m livebot run` on this root."""
    command = [sys.executable, "-m", "livebot", "run", "--config", str(root.config), *arguments]
    with root.log.open("ab") as log:
        begun = log.tell()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=root.folder,
            env=environment(measured=measured, extra=extra),
        )
    return Daemon(process, root.log, begun)


def problems(root: Path) -> list[str]:
    """What the daemon that runs there has on its screen."""
    from livebot.ops.control.client import ControlClient  # here: conftest loads this file

    found: list[str] = ControlClient(root / "state" / "control.sock").status()["problems"]
    return found


def until_no_problem(root: Path) -> None:
    """One of a moment passes, such as a stop that is not at the venue yet; nothing else may be told."""
    deadline = time.monotonic() + PATIENCE_S
    while told := problems(root):
        assert time.monotonic() < deadline, told
        time.sleep(0.02)


def livebot(
    *arguments: str, cwd: Path, extra: Mapping[str, str] | None = None, seconds: float = PATIENCE_S
) -> "subprocess.CompletedProcess[str]":
    """Any livebot command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "livebot", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment(extra=extra),
        timeout=seconds,
        check=False,
    )


class VenueProcess:
    """`python -m livebot.simulator.host`: a simulated venue that outlives the daemons."""

    def __init__(self, folder: Path, *options: str, symbols: Sequence[str] = SYMBOLS) -> None:
        folder.mkdir(exist_ok=True)
        self.socket = folder / "venue.sock"
        self.memory = folder / "memory"
        self._log = folder / "venue.log"
        command = [sys.executable, "-m", "livebot.simulator.host", "--socket", str(self.socket)]
        command += ["--memory", str(self.memory), "--symbols", ",".join(symbols), *options]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment(measured=False)
            )

    def until_ready(self) -> Self:
        """Wait until clients may connect."""
        deadline = time.monotonic() + PATIENCE_S
        while b"ready" not in self._log.read_bytes():
            assert self.running, self._log.read_text()
            assert time.monotonic() < deadline, "the venue does not come up"
            time.sleep(0.01)
        return self

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def freeze(self) -> None:
        """It takes what is sent, and answers nothing, until it is thawed."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on."""
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End it."""
        self.thaw()
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self.until_ready()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Forked:
    """A daemon that the launcher forked."""

    def __init__(self, launcher: "Launcher", pid: int) -> None:
        self._launcher = launcher
        self.pid = pid
        self._code: int | None = None

    def poll(self) -> int | None:
        if self._code is None:
            self._code = self._launcher.ask({"do": "poll", "pid": self.pid})["code"]
        return self._code


class Launcher:
    """Starts daemons without the second that imports take; see `tests.process.launcher`."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.process.launcher"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=CHECKOUT,
            env=environment(measured=False),
        )
        self._answer()

    def ask(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """Give an order and have the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        return self._answer()

    def start(
        self, root: Root, *arguments: str, sabotage: str | None = None, death: Mapping[str, Any] | None = None
    ) -> Daemon:
        """A daemon on this root; `sabotage` names what is broken in it, `death` says where it kills itself."""
        begun = root.log.stat().st_size if root.log.exists() else 0
        root.log.touch()
        argv = ["run", "--config", str(root.config), *arguments]
        order = {"do": "start", "argv": argv, "log": str(root.log), "sabotage": sabotage, "death": death}
        answer = self.ask(order)
        return Daemon(_Forked(self, answer["pid"]), root.log, begun)

    def close(self) -> None:
        """End it and whatever it still runs."""
        self._process.communicate(timeout=PATIENCE_S)

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the launcher has ended"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
