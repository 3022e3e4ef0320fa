"""The whole daemon in this process: from a config file to facts in a ledger, in lockstep with a simulated venue."""

import asyncio
import contextlib
import gc
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import structlog
import yaml

from livebot import bootstrap
from livebot.adapters.ledger import journal
from livebot.adapters.ledger.ledger_reader import LedgerReader
from livebot.adapters.log.log_writer import LineWriter
from livebot.adapters.state_files.root_lock import RootLock
from livebot.bootstrap.loading import load
from livebot.config.root import resolve
from livebot.core.facts import SignalClosed
from livebot.errors import BadInput, Fatal, Transient
from livebot.ops.control.client import ControlClient, DaemonNotReached
from livebot.reporting.figure import NotAvailable
from livebot.reporting.signals_report import Selection
from livebot.simulator.clock import VenueClock
from livebot.simulator.exchange import SimulatedExchange
from livebot.simulator.host import VenueHost
from livebot.simulator.synthetic import SyntheticMarket, SyntheticSettings
from livebot.simulator.venue import SimulatedVenue, VenueSettings
from tests.virtual_loop import REAL_WAIT_S

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
OFF = dict.fromkeys(("open_signals", "gross_exposure", "orders_per_minute", "daily_loss", "drawdown"))


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch):
    """What a daemon does to its process is undone; its log is JSON lines."""
    monkeypatch.setenv("LIVEBOT_LOG", "json")
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setattr(LineWriter.close, "__defaults__", (REAL_WAIT_S,))  # a busy machine writes the last lines later
    monkeypatch.setattr(journal, "CLOSE_SECONDS_MAX", REAL_WAIT_S)
    path = list(sys.path)
    yield
    sys.path[:] = path
    structlog.contextvars.clear_contextvars()
    gc.unfreeze()


class Log(list):
    """The lines that a daemon logged."""

    def told(self, event):
        return [line for line in self if line["event"] == event]


class Screen:
    """Keeps what it is shown."""

    def __init__(self):
        self.text = ""
        self.statuses = []
        self.closed = False

    def log_line(self, text):
        self.text += text + "\n"

    def show(self, status):
        self.statuses.append(status)

    def close(self):
        self.closed = True


@pytest.fixture
def run(capfd):
    """Runs a daemon to its end; its log."""

    def running(path: Path, *, seconds=None) -> Log:
        capfd.readouterr()
        assert bootstrap.run_daemon(path, None, seconds=seconds, screen=None) == 0
        return Log(json.loads(line) for line in capfd.readouterr().out.splitlines())

    return running


def config(**changes):
    """Two symbols, two busy strategies, limits that do not bind, as fast as possible for 20 minutes of the market."""
    simulator = {"speed": 0, "seed": 3, "volatility": 3, "minutes": 20, "wallet": 1_000_000}
    return {
        "system": "bootstrap-test",
        "market": "perpetual",
        "exchange": {"id": "simulator", "simulator": simulator | changes.pop("simulator", {})},
        "symbols": [BTC, ETH],
        "strategies": [
            {"class": "tests.process.strategies:Eager"},
            {"class": "tests.process.strategies:Resting"},
        ],
        "risk": {
            "sizing": {"kind": "fixed", "notional": 1000},
            "entry": {"minimum_stop_distance": 0.0001, "minimum_target_distance": 0.0001},
            "limits": OFF,
            "loss_limit": None,
            "win_rate": None,
        },
        "runtime": {"history": 60},
    } | changes


def root_of(folder: Path, **changes) -> Path:
    """A folder with a config in it; the config's path."""
    folder.mkdir(exist_ok=True)
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config(**changes)))
    return path


def facts(path: Path) -> list:
    with LedgerReader(path.parent / "state" / "ledger.sqlite") as reader:
        return list(reader.facts())


def write_candles(folder: Path, symbol: str, minutes: int) -> None:
    """A file as `livebot data` writes it, of real-looking candles."""
    series = SyntheticMarket((symbol,), SyntheticSettings(seed=5, volatility=3.0)).candles(
        symbol, 1_767_225_600_000, 1_767_225_600_000 + minutes * 60_000
    )
    folder.mkdir(exist_ok=True)
    columns = {name: getattr(series, name) for name in ("ts_ms", "open", "high", "low", "close", "volume")}
    columns["ts_ms"] = columns["ts_ms"].astype(np.int64)
    pq.write_table(pa.table(columns), folder / f"{symbol.replace('/', '-').replace(':', '_')}.parquet")


# ---------------------------------------------------------------- running


def test_a_run_trades_until_its_data_end_and_leaves_a_report(tmp_path, run):
    """Everything that an operator finds afterwards is there."""
    path = root_of(tmp_path)
    log = run(path)
    assert [line["cause"] for line in log.told("stop_requested")] == ["the data has ended"]
    found = facts(path)
    assert len(found) > 40
    for event in ("recovered", "ready", "signal_opened", "signal_closed"):
        assert log.told(event)
    opened = log.told("signal_opened")[0]
    assert {opened["symbol"], opened["strategy"]} <= {BTC, ETH, "eager", "resting"}
    assert opened["system"] == "bootstrap-test"
    assert "| CLOSED" in (tmp_path / "state" / "report.md").read_text()
    assert {file.name for file in (tmp_path / "signals" / "eager").iterdir()} == {
        "BTC-USDT_USDT.json",
        "ETH-USDT_USDT.json",
    }
    assert list((tmp_path / "state" / "journal").glob("*.jsonl"))
    assert not (tmp_path / "state" / "control.sock").exists()
    report = bootstrap.report(path, None, Selection())
    assert report.ledger.events == len(found)
    closes = [fact for fact in found if isinstance(fact, SignalClosed)]
    assert report.performance.pooled.trades.signals == len(closes) > 0


def test_a_screen_is_shown_the_log_and_the_status(tmp_path):
    """And given back at the end."""
    screen = Screen()
    path = root_of(tmp_path, simulator={"speed": 60, "minutes": None})
    bootstrap.run_daemon(path, None, seconds=1.2, screen=screen)
    assert "signal" in screen.text or "ready" in screen.text
    assert screen.statuses[-1].ready
    assert screen.closed


@pytest.mark.untraced
def test_two_runs_of_the_same_config_give_the_same_facts(tmp_path, run):
    """With real files, threads and a real event loop (I9)."""
    first, second = root_of(tmp_path / "first"), root_of(tmp_path / "second")
    run(first)
    run(second)
    assert facts(first) == facts(second)


def test_a_second_run_goes_on_where_the_first_stopped(tmp_path, run):
    """Files, ledger and venue are taken up; every fact is there once, in order."""
    path = root_of(tmp_path)
    run(path)
    before = facts(path)
    log = run(path)
    (recovered,) = log.told("recovered")
    assert recovered["states"] == 4
    after = facts(path)
    assert len(after) > len(before)
    assert {(each.strategy, each.symbol, each.sequence) for each in before} < {
        (each.strategy, each.symbol, each.sequence) for each in after
    }
    sequences: dict = {}
    for each in after:
        sequences.setdefault((each.strategy, each.symbol), []).append(each.sequence)
    assert all(found == list(range(1, len(found) + 1)) for found in sequences.values())


def test_it_stops_by_itself_after_so_many_seconds(tmp_path, run):
    """In order, with exit code 0."""
    path = root_of(tmp_path, simulator={"speed": 60, "minutes": None})
    begun = time.monotonic()
    log = run(path, seconds=1.5)
    assert 1.5 <= time.monotonic() - begun
    assert log.told("stop_requested")[0]["cause"] == "1.5 seconds have passed"


def test_an_operator_reaches_it_over_its_socket_and_a_signal_stops_it(tmp_path, run, monkeypatch):
    """Pause, status, and SIGTERM, from outside."""
    path = root_of(tmp_path, simulator={"speed": 60, "minutes": None})
    socket, said = bootstrap.control_socket(path, None), []

    def operate():
        client, deadline = ControlClient(socket), time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(DaemonNotReached):
                if client.status()["ready"]:
                    break
            time.sleep(0.02)
        said.append(client.command("pause", {"symbols": [BTC]}))
        said.append(client.status()["symbols"][0]["blocks"])

    def operator():
        try:
            operate()
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, lambda *_: None)  # should it come when the daemon has gone already
    helper = threading.Thread(target=operator)
    helper.start()
    log = run(path, seconds=90)
    helper.join()
    signal.signal(signal.SIGTERM, before)
    assert said == [f"paused {BTC}: nothing new opens there, open signals are managed on", ["paused"]]
    assert log.told("stop_requested")[0]["cause"] == "SIGTERM"
    assert '"pause"' in next((tmp_path / "state" / "journal").glob("*.jsonl")).read_text()


def test_a_strategy_of_ones_own_stands_beside_the_config(tmp_path, run):
    """A class in a file of the operator's folder."""
    (tmp_path / "my_own_strategy.py").write_text(
        "from tests.process.strategies import Eager\n\n\nclass Mine(Eager):\n    name = 'mine'\n"
    )
    path = root_of(tmp_path, strategies=[{"class": "my_own_strategy:Mine", "symbols": [BTC]}])
    run(path)
    assert {(each.strategy, each.symbol) for each in facts(path)} == {("mine", BTC)}


def test_a_strategy_may_look_at_a_symbol_that_nobody_trades(tmp_path, run):
    """The ratio of BTC to ETH; ETH has no strategy of its own."""
    ratio = {
        "name": "ratio",
        "symbols": [BTC],
        "params": {"other": ETH, "timeframe": "1m", "period": 10, "threshold": 1},
    }
    path = root_of(tmp_path, strategies=[ratio])
    log = run(path)
    assert {each.symbol for each in facts(path)} == {BTC}
    assert not log.told("entry_skipped")


def test_a_signal_of_a_strategy_that_was_taken_out_is_guarded_to_its_end(tmp_path, run):
    """The config no longer names it; its file does."""
    holder = {"class": "tests.process.strategies:Holder", "symbols": [BTC]}
    run(root_of(tmp_path, strategies=[holder]))
    path = root_of(tmp_path, strategies=[{"class": "tests.process.strategies:Eager", "symbols": [ETH]}])
    log = run(path)
    assert any("the config no longer runs it" in line["what"] for line in log.told("problem"))
    assert {each.symbol for each in facts(path) if each.strategy == "holder"} == {BTC}


def test_recorded_candles_are_replayed(tmp_path, run):
    """And symbols without a file are told and left out."""
    write_candles(tmp_path / "candles", BTC, 150)
    path = root_of(
        tmp_path,
        simulator={"candles": "candles", "minutes": None, "partial_fills": True, "start": "2026-01-01T02:00:00Z"},
    )
    assert bootstrap.check(path, None) == []
    log = run(path)
    assert {each.symbol for each in facts(path)} == {BTC}
    assert any(ETH in line["what"] and "is not traded" in line["what"] for line in log.told("problem"))


def test_a_venue_in_another_process_is_reached_over_its_socket(tmp_path):
    """Here it is another thread; when it goes, the daemon ends and says why."""
    socket = tmp_path / "venue.sock"
    venue = SimulatedVenue(SyntheticMarket((BTC, ETH), SyntheticSettings(seed=3, volatility=3.0)), VenueSettings())
    clock = VenueClock(venue, speed=300)
    ready, stop = threading.Event(), threading.Event()

    async def serve():
        host = VenueHost(venue, clock, SimulatedExchange(venue, clock))
        serving = asyncio.create_task(host.serve(socket, ready=ready.set))
        while not stop.is_set():
            await asyncio.sleep(0.02)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(REAL_WAIT_S)
    path = root_of(tmp_path, simulator={"socket": "venue.sock"}, runtime={"history": 60, "shutdown_seconds": 2})

    def end_it_when_something_has_happened():
        for _ in range(600):
            time.sleep(0.1)
            with contextlib.suppress(BadInput, Transient):  # there is no ledger yet
                if facts(path):
                    break
        stop.set()

    threading.Thread(target=end_it_when_something_has_happened).start()
    with pytest.raises(Fatal, match=r"the simulated venue at .*venue.sock is gone"):
        bootstrap.run_daemon(path, None, seconds=90, screen=None)
    thread.join()
    assert facts(path)
    assert (tmp_path / "state" / "report.md").exists()


# ---------------------------------------------------------------- refusing


def test_a_second_daemon_on_the_same_root_is_refused(tmp_path, run):
    """It exits with a clear message before it has done anything."""
    path = root_of(tmp_path, simulator={"speed": 60, "minutes": None})
    refused: list[Exception] = []

    def second():
        screen_free = resolve(load(path).config, path, None, {})
        deadline = time.monotonic() + REAL_WAIT_S
        while not screen_free.control_socket.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        try:
            with RootLock(screen_free.lock, screen_free.root):
                pass
        except Fatal as error:
            refused.append(error)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, lambda *_: None)  # should it come when the daemon has gone already
    helper = threading.Thread(target=second)
    helper.start()
    run(path, seconds=90)
    helper.join()
    signal.signal(signal.SIGTERM, before)
    assert len(refused) == 1


def test_a_damaged_portfolio_file_ends_the_start_with_the_mend(tmp_path, run):
    """A halt must not be lost by accident."""
    path = root_of(tmp_path, simulator={"minutes": 1})
    run(path)
    (tmp_path / "state" / "portfolio.json").write_text("{}")
    with pytest.raises(Fatal, match=r"portfolio.json is damaged"):
        bootstrap.run_daemon(path, None, seconds=None, screen=None)


def test_a_report_that_cannot_be_written_fails_nothing_else(tmp_path, run):
    """It is told."""
    path = root_of(tmp_path, simulator={"minutes": 2})
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "report.md").mkdir()
    log = run(path)
    assert log.told("report_not_written")


def test_a_report_takes_the_stores_candles_when_it_is_asked_to(tmp_path, run):
    """The finest there are of this venue; a file that cannot be used is a note in it."""
    path = root_of(tmp_path)
    run(path)
    elsewhere = tmp_path / "candles" / "bybit" / "perpetual" / "1m"
    elsewhere.mkdir(parents=True)
    write_candles(elsewhere, BTC, 300)
    without = bootstrap.report(path, None, Selection(), candles=True)
    assert (without.record.candles, len(without.record.notes)) == ({}, 2)
    store = tmp_path / "candles" / "simulator" / "perpetual"
    for timeframe in ("1h", "1m"):
        (store / timeframe).mkdir(parents=True)
    write_candles(store / "1m", BTC, 300)
    write_candles(store / "1h", BTC, 300)
    (store / "1m" / "ETH-USDT_USDT.parquet").write_bytes(b"no candles")
    assert bootstrap.report(path, None, Selection()).record.candles == {}
    made = bootstrap.report(path, None, Selection(), candles=True)
    assert list(made.record.candles) == [BTC]
    assert (np.diff(made.record.candles[BTC].ts_ms) == 60_000).all()
    (note,) = [note for note in made.record.notes if "were not used" in note]
    assert note.startswith(f"The candles of {ETH} were not used: ")
    assert not isinstance(made.performance.by_regime, NotAvailable)


def test_the_capital_of_a_report_is_what_the_account_had_then(tmp_path, run):
    """Worked back from the last day's start; without a memory of it nobody knows."""
    path = root_of(tmp_path)
    run(path)
    made = bootstrap.report(path, None, Selection()).performance
    assert made.pooled.equity.start_equity == 1_000_000
    half = (made.start_ms + made.end_ms) // 2
    later = bootstrap.report(path, None, Selection(since_ms=half)).performance
    before = sum(float(trade.pnl_net) for trade in made.trades if trade.closed_ms < half)
    assert later.pooled.equity.start_equity == pytest.approx(1_000_000 + before)
    (tmp_path / "state" / "portfolio.json").unlink()
    assert isinstance(bootstrap.report(path, None, Selection()).performance.pooled.equity.start_equity, NotAvailable)


def test_a_report_before_the_first_run_is_refused(tmp_path):
    """There is no ledger yet."""
    with pytest.raises(BadInput):
        bootstrap.report(root_of(tmp_path), None, Selection())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, None),
        ({"symbols": [BTC, BTC]}, "stands here twice"),
        ({"simulator": {"candles": "nowhere"}}, "nowhere"),
        ({"control": {"socket": "x" * 120}}, "a socket's path may have"),
    ],
)
def test_check_says_what_is_wrong_and_how_to_mend_it(tmp_path, changes, sentence):
    """Without running anything."""
    said = bootstrap.check(root_of(tmp_path, **changes), None)
    assert (said == []) is (sentence is None)
    assert sentence is None or any(sentence in line for line in said)
    assert not (tmp_path / "state").exists()


def test_a_config_that_is_not_there_is_told(tmp_path):
    """With the way to name another one."""
    (line, *_) = bootstrap.check(tmp_path / "none.yaml", None)
    assert "no such file" in line
