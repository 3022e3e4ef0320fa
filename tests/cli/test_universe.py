"""`livebot universe`, and what other commands make of a config that has one."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from livebot import bootstrap
from livebot.adapters.ccxt_venue.connection import Connection
from livebot.adapters.state_files.durable_files import DurableFiles
from livebot.adapters.state_files.file_layer import SystemFiles
from livebot.adapters.state_files.universe_store import FileUniverseStore
from livebot.cli.app import app
from livebot.core.market import MINUTE_MS, Timeframe
from livebot.core.universe_memory import UniverseMemory
from livebot.errors import Transient
from livebot.history.place import Place
from livebot.history.store import CandleStore
from livebot.history.table import CandleTable
from livebot.rehearsal.scratch import rehearsed
from tests.adapters.ccxt_venue.feed_desk import LOCAL
from tests.simulator.builders import BTC, ETH

START_MS = 1_767_225_600_000
CONFIG = """\
system: demo
market: perpetual
exchange: {id: simulator, simulator: {symbols: 8, seed: 3}}
universe: {top: 3, deny: [SOL], always: ["BTC/USDT:USDT"], hysteresis: {rank: 0, minimum_stay_minutes: 0}}
strategies: [{name: ema_cross}]
"""


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(monkeypatch, tmp_path):
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(CONFIG)


def call(*arguments, code=0):
    result = CliRunner().invoke(app, ["universe", *arguments])
    assert result.exit_code == code, result.output
    return result.output


def remember(tmp_path, **memory):
    async def save():
        files = DurableFiles()
        await FileUniverseStore(tmp_path / "state", "demo", files).save(UniverseMemory(**memory))
        await files.close()

    import asyncio

    asyncio.run(save())


def test_who_is_in():
    lines = call().splitlines()
    assert lines[0] == "3 of 8 symbols of the simulated market are in, as of 2026-01-01 00:00:00 UTC"
    assert len(lines) == 4
    assert "is always in" in next(line for line in lines if line.startswith("BTC/USDT:USDT"))


def test_why():
    lines = call("--explain").splitlines()
    assert len(lines) == 9
    assert [line[:3] for line in lines[1:]] == ["in "] * 3 + ["out"] * 5
    assert any(line.split(maxsplit=2)[1:] == ["SOL/USDT:USDT", "deny: is denied by SOL"] for line in lines)


def test_one_symbol_with_all_its_filters():
    text = CONFIG.replace("top: 3", "top: 3, minimum_volume: 1, maximum_price: 5")
    Path("config.yaml").write_text(text)
    lines = call("--symbol", "ETH/USDT:USDT").splitlines()
    assert "out  ETH/USDT:USDT  maximum_price: has a price of" in lines[1]
    assert "minimum_volume (passed): has a 24 h volume of" in lines[2]
    assert "maximum_price (not passed): has a price of" in lines[3]
    assert "does not list X/Y" in call("--symbol", "X/Y", code=2)


def test_what_would_change(tmp_path):
    members = tuple((symbol, START_MS) for symbol in ("BTC/USDT:USDT", "SOL/USDT:USDT"))
    remember(tmp_path, asked_ms=START_MS + MINUTE_MS, members=members, departing=(("XRP/USDT:USDT", START_MS),))
    before = (tmp_path / "state" / "universe.json").read_bytes()
    lines = call().splitlines()
    assert lines[0].endswith("as of 2026-01-01 00:01:00 UTC")
    assert "the daemon chose last 2026-01-01 00:01:00 UTC: " in lines[1]
    assert "would enter; SOL/USDT:USDT would leave" in lines[1]
    assert lines[-1] == "left, and managed to their close: XRP/USDT:USDT"
    found = json.loads(call("--json"))
    assert found["leaves"] == ["SOL/USDT:USDT"]
    assert found["departing"] == ["XRP/USDT:USDT"]
    assert found["chosen_ms"] == START_MS + MINUTE_MS
    assert len(found["symbols"]) == 8
    assert {"symbol", "in", "was_in", "decided_by", "why", "place", "checks"} == set(found["symbols"][0])
    assert (tmp_path / "state" / "universe.json").read_bytes() == before


def test_nothing_would_change(tmp_path):
    first = json.loads(call("--json"))
    assert (first["chosen_ms"], first["departing"]) == (None, [])
    remember(tmp_path, asked_ms=START_MS, members=tuple((symbol, START_MS) for symbol in first["members"]))
    assert "nothing would change" in call()


def test_a_past_time_of_the_simulated_market():
    assert "as of 2026-02-03 00:00:00 UTC" in call("--at", "2026-02-03")


def test_a_config_that_lists_its_symbols():
    Path("config.yaml").write_text(
        "system: demo\nmarket: perpetual\nsymbols: [BTC/USDT:USDT]\nstrategies: [{name: ema_cross}]\n"
    )
    assert "the symbols are listed under symbols; a universe would find them" in call(code=2)


def stored(tmp_path, symbol: str, frame: Timeframe, volume: float) -> None:
    ts_ms = START_MS + np.arange(30, dtype=np.int64) * frame.ms
    values = np.array([[10.0]] * 4 + [[volume]]).repeat(30, axis=1)
    with CandleStore(tmp_path / "candles", SystemFiles()).writing(Place("bybit", "perpetual", frame, symbol)) as writer:
        writer.merge(CandleTable(ts_ms, values))


def test_a_past_time_of_a_venue_is_looked_up_in_the_candle_store(tmp_path):
    Path("config.yaml").write_text(CONFIG.replace("id: simulator, simulator: {symbols: 8, seed: 3}", "id: bybit"))
    assert "has no candles of bybit perpetual; livebot data fetch gets them" in call("--at", "2026-01-02", code=2)
    for place, base in enumerate(("BTC", "ETH", "ADA", "XRP")):
        stored(tmp_path, f"{base}/USDT:USDT", Timeframe.H1, 5.0 - place)
    stored(tmp_path, "DOT/USDT:USDT", Timeframe.M1, 9.0)
    lines = call("--at", "2026-01-02", "--explain").splitlines()
    assert lines[0].startswith("3 of 4 symbols of the candle store ")
    assert lines[-1] == "out  XRP/USDT:USDT  top: is number 4 by volume (480), outside the top 3"


def test_a_venue_is_asked_without_keys(tmp_path, monkeypatch):
    """Through the real client, at a local Bybit."""
    import asyncio
    import threading

    ready, over, where = threading.Event(), threading.Event(), {}

    async def serve():
        rows = [(100.0, 101.0, 99.0, 100.5)] * 30
        async with LOCAL["bybit"](tmp_path, {BTC: rows, ETH: rows}) as desk:
            await desk.step()
            where.update(port=desk.server.port, ca_file=str(desk.ca_file))
            ready.set()
            while not over.is_set():
                await asyncio.sleep(0.01)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(90)
        loopback = f"loopback: {{port: {where['port']}, ca_file: {where['ca_file']}}}"
        Path("config.yaml").write_text(
            CONFIG.replace("id: simulator, simulator: {symbols: 8, seed: 3}", f"id: bybit, {loopback}")
        )
        lines = call().splitlines()
    finally:
        over.set()
        thread.join()
    assert lines[0].startswith("2 of 2 symbols of bybit are in, as of 20")


def test_a_venue_that_is_not_reached_is_one_sentence(monkeypatch):
    async def opened(*_, **__):
        raise Transient("bybit: its clock could not be read: it cannot be reached")

    monkeypatch.setattr(Connection, "open", opened)
    monkeypatch.setattr("livebot.bootstrap.real_venue._BACKOFF_S", 0.0)
    Path("config.yaml").write_text(CONFIG.replace("id: simulator, simulator: {symbols: 8, seed: 3}", "id: bybit"))
    assert "cannot be reached" in call(code=3)


def test_check_takes_a_universe_and_a_folder_without_candles_is_told(tmp_path):
    assert bootstrap.check(tmp_path / "config.yaml", None) == []
    (tmp_path / "empty").mkdir()
    (tmp_path / "config.yaml").write_text(CONFIG.replace("seed: 3", "seed: 3, candles: empty"))
    (problem,) = bootstrap.check(tmp_path / "config.yaml", None)
    assert "no candle files of perpetual symbols" in problem


def test_candles_are_fetched_of_what_the_daemon_chose(tmp_path):
    Path("config.yaml").write_text(CONFIG.replace("id: simulator, simulator: {symbols: 8, seed: 3}", "id: bybit"))
    result = CliRunner().invoke(app, ["data", "fetch", "--since", "2026-01-01"])
    assert result.exit_code == 2
    assert "the daemon has not chosen any yet; say --symbols" in result.output
    remember(tmp_path, asked_ms=START_MS, members=(("BTC/USDT", START_MS),))
    result = CliRunner().invoke(app, ["data", "fetch", "--since", "2026-01-01"])
    assert "'BTC/USDT' is no symbol of a perpetual market" in result.output


def test_a_rehearsal_takes_some_symbols_for_those_that_would_be_found(tmp_path):
    found = rehearsed(tmp_path / "config.yaml")
    assert found.market.symbols == ("BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT")
    assert found.system.keys == tuple(("ema_cross", symbol) for symbol in found.market.symbols)
