"""The whole daemon with a universe: at a simulated market, on real files, and composed over a local exchange."""

import gc
import json
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest
import structlog
import yaml

from livebot import bootstrap
from livebot.adapters.ledger.ledger_reader import LedgerReader
from livebot.adapters.state_files.durable_files import DurableFiles
from livebot.adapters.state_files.universe_store import FileUniverseStore
from livebot.bootstrap import real_venue
from livebot.bootstrap.choice import NEVER_MS, Choice
from livebot.bootstrap.real_venue import real_venue_of
from livebot.config.load import check
from livebot.config.root import resolve
from livebot.core.market import Timeframe
from livebot.core.universe_memory import UniverseMemory
from livebot.errors import Fatal
from livebot.simulator.listings import SimulatedListings
from livebot.simulator.synthetic import SyntheticMarket, SyntheticSettings
from tests.simulator.builders import BTC, ETH, flat
from tests.simulator.bybit.desk import local_bybit

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "perp_1m"
OFF = dict.fromkeys(("open_signals", "gross_exposure", "orders_per_minute", "daily_loss", "drawdown"))
MINUTES = 100
PRICE = 2560  # what ETH costs at first; it crosses that again and again


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch):
    monkeypatch.setenv("LIVEBOT_LOG", "json")
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    path = list(sys.path)
    yield
    sys.path[:] = path
    structlog.contextvars.clear_contextvars()
    gc.unfreeze()


def configured(folder: Path, simulator, universe) -> Path:
    config = {
        "system": "demo",
        "market": "perpetual",
        "exchange": {
            "id": "simulator",
            "simulator": {"speed": 0, "minutes": MINUTES, "seed": 3, "volatility": 3, "wallet": 1_000_000} | simulator,
        },
        "universe": {"refresh_minutes": 5, "hysteresis": {"price": 0, "minimum_stay_minutes": 0}} | universe,
        "strategies": [{"class": "tests.process.strategies:Resting"}],
        "risk": {"limits": OFF, "loss_limit": None, "win_rate": None, "sizing": {"kind": "fixed", "notional": 1000}}
        | {"entry": {"minimum_stop_distance": 0.0001, "minimum_target_distance": 0.0001}},
    }
    folder.mkdir(exist_ok=True)
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def facts_of(folder: Path):
    """Symbol by symbol: whose file is durable first is the disk's business, and so is the order among symbols."""
    with LedgerReader(folder / "state" / "ledger.sqlite") as reader:
        return sorted(reader.facts(), key=lambda fact: (fact.strategy, fact.symbol, fact.sequence))


def universes(text: str):
    return [line for line in map(json.loads, text.splitlines()) if line["event"] == "universe"]


@pytest.mark.untraced
def test_two_runs_at_full_speed_change_alike_and_are_the_same_fact_by_fact(tmp_path, capsys):
    runs = []
    for name in ("first", "second"):
        path = configured(tmp_path / name, {"symbols": 3}, {"minimum_price": PRICE})
        assert bootstrap.run_daemon(path, None, seconds=None, screen=None) == 0
        runs.append((facts_of(tmp_path / name), [{**each, "ts": ""} for each in universes(capsys.readouterr().out)]))
    (first, changes), (second, same) = runs
    assert first == second
    assert changes == same
    assert len(changes) >= 2
    assert {fact.symbol for fact in first} == {BTC, ETH}


@pytest.mark.skipif(not DATA.is_dir(), reason="the folder shared/data/perp_1m is not there")
def test_real_candles_are_chosen_from_a_folder(tmp_path, capsys):
    path = configured(
        tmp_path / "real",
        {"candles": str(DATA), "minutes": 60},
        {"top": 3, "minimum_volume": 1_000_000, "deny": ["ETH"]},
    )
    assert bootstrap.run_daemon(path, None, seconds=None, screen=None) == 0
    members = [
        symbol for symbol, _ in json.loads((tmp_path / "real" / "state" / "universe.json").read_text())["members"]
    ]
    assert len(members) == 3
    assert "ETH/USDT:USDT" not in members
    assert {fact.symbol for fact in facts_of(tmp_path / "real")} >= set(members[:1])
    capsys.readouterr()


def test_a_universe_without_symbols_is_refused_with_what_to_do(tmp_path, capsys):
    path = configured(tmp_path / "none", {"symbols": 3}, {"minimum_volume": 10**15})
    with pytest.raises(Fatal, match="see which and why with: livebot universe --explain"):
        bootstrap.run_daemon(path, None, seconds=None, screen=None)
    capsys.readouterr()


TEXT = """
system: demo
market: perpetual
mode: {mode}
exchange: {{id: bybit, loopback: {{port: {port}, ca_file: ca.pem, control_port: {control}}}}}
universe: {{top: 1, maximum_spread: 0.01}}
strategies: [{{name: ema_cross}}]
"""


@pytest.mark.parametrize("mode", ["live", "paper"])
async def test_a_symbol_that_was_not_chosen_can_be_admitted_later(tmp_path, monkeypatch, mode):
    monkeypatch.setenv("LIVEBOT_API_KEY", "key")
    monkeypatch.setenv("LIVEBOT_API_SECRET", "secret")
    monkeypatch.setattr(real_venue, "_BACKOFF_S", 0.01)
    candles = {BTC: [flat(200.0)] * 30, ETH: [flat(100.0)] * 30}
    async with local_bybit(tmp_path, candles) as desk, AsyncExitStack() as opened:
        await desk.step(5)
        path = tmp_path / "config.yaml"
        path.write_text(TEXT.format(mode=mode, port=desk.server.port, control=desk.server.control_port))
        loaded = check(path.read_text(), str(path))
        paths = resolve(loaded.config, path, None, {})
        files = DurableFiles()
        opened.push_async_callback(files.close)
        choice = Choice(loaded, paths, files, lambda source, text: None)
        assert choice.wants_spreads
        venue = await real_venue_of(loaded, paths, opened, choice)
        assert venue.symbols == (BTC,)
        parts = choice.parts(venue.admit)
        assert parts is not None
        assert parts.memory.symbols == (BTC,)
        assert parts.strategies(ETH) == ("ema_cross",)
        assert parts.watched(ETH) == frozenset()
        await parts.admit(ETH)
        assert set(await venue.exchange.instruments((ETH,))) == {ETH}
        assert len(await parts.source.listings()) == 2
        if mode == "paper":
            history = await venue.feed.history(ETH, Timeframe.M1, 3)
            assert len(history) == 3


async def test_symbols_of_a_config_are_watched_at_a_venue_that_may_take_them_off(tmp_path):
    async with (
        local_bybit(tmp_path, {BTC: [flat(200.0)] * 30, ETH: [flat(100.0)] * 30}) as desk,
        AsyncExitStack() as opened,
    ):
        await desk.step(5)
        path = tmp_path / "config.yaml"
        text = TEXT.replace("universe: {{top: 1, maximum_spread: 0.01}}", "symbols: [BTC/USDT:USDT, X/USDT:USDT]")
        path.write_text(text.format(mode="paper", port=desk.server.port, control=desk.server.control_port))
        loaded = check(path.read_text(), str(path))
        paths = resolve(loaded.config, path, None, {})
        choice = Choice(loaded, paths, DurableFiles(), lambda source, text: None)
        venue = await real_venue_of(loaded, paths, opened, choice)
        parts = choice.parts(venue.admit)
        assert parts.fixed
        assert parts.rules.always == parts.memory.symbols == (BTC,)
        assert {each.symbol for each in await parts.source.listings()} == {BTC, ETH}
        assert not (tmp_path / "state" / "universe.json").exists()


async def test_a_start_with_more_to_look_after_than_members(tmp_path):
    """Who departed before still has something open."""
    text = "system: demo\nmarket: perpetual\nuniverse: {top: 1}\nstrategies: [{name: ema_cross}]\n"
    loaded = check(text, "config.yaml")
    paths = resolve(loaded.config, tmp_path / "config.yaml", None, {})
    files = DurableFiles()
    store = FileUniverseStore(paths.state, "demo", files)
    await store.save(UniverseMemory(members=((ETH, 0),), departing=(("SOL/USDT:USDT", 0),)))
    choice = Choice(loaded, paths, files, lambda source, text: None)
    market = SyntheticMarket((BTC, ETH), SyntheticSettings(seed=3))
    clock = SimpleNamespace(now_ms=lambda: 1_767_225_600_000)
    assert len(await choice.symbols(lambda: SimulatedListings(market, clock.now_ms), clock)) >= 2
    parts = choice.parts(None)
    assert len(parts.memory.members) == 1
    assert "SOL/USDT:USDT" in dict(parts.memory.departing)
    assert (parts.rules.top, parts.fixed) == (1, False)
    await files.close()


async def test_fixed_symbols_ask_nobody_and_never_change(tmp_path):
    text = "system: demo\nmarket: perpetual\nsymbols: [BTC/USDT:USDT]\nstrategies: [{name: ema_cross}]\n"
    loaded = check(text, "config.yaml")
    paths = resolve(loaded.config, tmp_path / "config.yaml", None, {})
    choice = Choice(loaded, paths, DurableFiles(), lambda source, text: None)

    def nobody() -> SimulatedListings:
        raise AssertionError

    assert await choice.symbols(nobody, None) == (BTC,)
    parts = choice.parts(None, [BTC])
    assert (parts.fixed, parts.memory.symbols, parts.memory.asked_ms + parts.refresh_ms) == (True, (BTC,), NEVER_MS)
    assert await parts.source.listings() == ()
    assert not choice.wants_spreads
