"""What a simulated market lists at a moment: by closed candles only, over gaps, and of every kind of file name."""

import numpy as np
import pytest

from livebot.adapters.state_files.file_layer import SystemFiles
from livebot.core.market import DAY_MS, MINUTE_MS, Timeframe
from livebot.errors import BadInput
from livebot.history.place import Place
from livebot.history.store import CandleStore
from livebot.history.table import CandleTable
from livebot.simulator.listings import SimulatedListings, listing_of
from livebot.simulator.replay import ReplayMarket, symbols_in
from livebot.simulator.synthetic import SyntheticMarket, SyntheticSettings, symbol_names

NOW = 1_767_225_600_000 + 5 * 60 * MINUTE_MS


async def test_a_synthetic_market_lists_all_with_every_fact() -> None:
    market = SyntheticMarket(symbol_names(12), SyntheticSettings(seed=3))
    source = SimulatedListings(market, lambda: NOW)
    found = await source.listings()
    assert source.name == "simulator"
    assert [each.symbol for each in found] == list(symbol_names(12))
    assert found == await SimulatedListings(market, lambda: NOW).listings()
    for each in found:
        candles = market.candles(each.symbol, NOW - DAY_MS, NOW)
        assert each.volume == pytest.approx(float(candles.close @ candles.volume))
        assert each.price == candles.close[-1]
        assert each.listed_ms < NOW
        assert 0 < each.spread < 0.001
        assert (each.quote, each.market, each.obstacle) == ("USDT", "perpetual", None)
    assert len({each.listed_ms for each in found}) > 6
    spot = SyntheticMarket(symbol_names(1, perpetual=False), SyntheticSettings())
    assert listing_of(spot, "BTC/USDT", NOW).market == "spot"


def folder_of(tmp_path, **minutes: list[int]):
    for name, present in minutes.items():
        ts_ms = NOW + np.array(present, dtype=np.int64) * MINUTE_MS
        values = np.full((5, len(ts_ms)), 2.0)
        table = CandleTable(ts_ms, values)
        store = CandleStore(tmp_path / "store", SystemFiles())
        place = Place("bybit", "perpetual", Timeframe.M1, f"{name}/USDT:USDT")
        with store.writing(place) as writer:
            writer.merge(table)
        target = tmp_path / "replay" / f"{name}USDT.parquet"
        target.parent.mkdir(exist_ok=True)
        store.path_of(place).rename(target)
    return tmp_path / "replay"


def test_a_replay_counts_the_day_before_over_its_gaps_and_nothing_later(tmp_path) -> None:
    present = [*range(-2000, -1000), *range(-900, -300), *range(-200, 50)]
    market = ReplayMarket(folder_of(tmp_path, BTC=present), ["BTC/USDT:USDT"])
    found = listing_of(market, "BTC/USDT:USDT", NOW)
    within = [minute for minute in present if -1440 <= minute < 0]
    assert found.volume == 4.0 * len(within)
    assert found.listed_ms == NOW - 2000 * MINUTE_MS
    assert found.price == 2.0
    early = listing_of(market, "BTC/USDT:USDT", NOW - 2000 * MINUTE_MS)
    assert early.volume == 0.0


def test_the_symbols_of_a_folder(tmp_path) -> None:
    for name in ("BTCUSDT", "ETH-USDT_USDT", "SOL-USDT", "USDT", "XRPUSDC"):
        (tmp_path / f"{name}.parquet").touch()
    assert symbols_in(tmp_path, "USDT", perpetual=True) == ("BTC/USDT:USDT", "ETH/USDT:USDT")
    assert symbols_in(tmp_path, "USDT", perpetual=False) == ("BTC/USDT", "SOL/USDT")
    with pytest.raises(BadInput, match="no candle files of perpetual symbols, such as BTCUSDT"):
        symbols_in(tmp_path / "empty", "USDT", perpetual=True)
