"""What stored candles tell of past times, and nothing that came after."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from livebot.adapters.state_files.file_layer import SystemFiles
from livebot.core.market import DAY_MS, MINUTE_MS, Timeframe
from livebot.core.universe_rules import Threshold, UniverseRules
from livebot.core.universe_spans import Span, universe_at
from livebot.errors import BadInput, Transient
from livebot.history.candle_file import read_candles
from livebot.history.place import Place
from livebot.history.store import CandleStore
from livebot.history.table import CandleTable
from livebot.history.universe_facts import StoredListings, candle_facts, past_universe
from tests.history.builders import START_MS, table

HOUR_MS = 60 * MINUTE_MS
BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"


def hours(count: int, *, begin: int = 0, close: float = 10.0, volume: float = 1.0) -> CandleTable:
    values = np.array([[close]] * 4 + [[volume]]).repeat(count, axis=1)
    return CandleTable(START_MS + (begin + np.arange(count, dtype=np.int64)) * HOUR_MS, values)


def times(*from_start: int) -> np.ndarray:
    return START_MS + np.array(from_start, dtype=np.int64) * HOUR_MS


def test_volume_is_of_the_day_before_and_price_the_last_close() -> None:
    facts = candle_facts({BTC: hours(72)}, Timeframe.H1, times(0, 1, 12, 24, 48, 72), "perpetual")
    assert facts.symbols == (BTC,)
    assert facts.volume[:, 0].tolist()[1:] == [10.0, 120.0, 240.0, 240.0, 240.0]
    assert np.isnan(facts.volume[0, 0])  # nothing has closed yet
    assert np.isnan(facts.price[0, 0])
    assert facts.price[1:, 0].tolist() == [10.0] * 5
    assert facts.listed_ms.tolist() == [START_MS]


def test_a_symbol_is_gone_a_day_after_its_last_candle() -> None:
    facts = candle_facts({BTC: hours(24)}, Timeframe.H1, times(24, 36, 47, 48), "perpetual")
    assert facts.volume[:3, 0].tolist() == [240.0, 120.0, 10.0]
    assert np.isnan(facts.price[3, 0])


def test_the_future_changes_nothing() -> None:
    when = times(1, 13, 29, 40)
    whole = table(60 * 60)
    cut = whole.between(0, int(when[-1]))
    one = candle_facts({BTC: whole}, Timeframe.M1, when, "perpetual")
    other = candle_facts({BTC: cut}, Timeframe.M1, when, "perpetual")
    assert np.array_equal(one.volume, other.volume)
    assert np.array_equal(one.price, other.price)


def test_an_empty_table_was_never_there_and_disordered_times_are_refused() -> None:
    empty = hours(0)
    facts = candle_facts({BTC: empty, ETH: hours(3)}, Timeframe.H1, times(2, 3), "perpetual")
    assert np.isnan(facts.price[:, 0]).all()
    assert np.isfinite(facts.price[:, 1]).all()
    with pytest.raises(BadInput, match="must increase"):
        candle_facts({BTC: empty}, Timeframe.H1, times(3, 2), "perpetual")


def test_from_candles_to_spans() -> None:
    candles = {BTC: hours(96, volume=5.0), ETH: hours(48, begin=48, volume=9.0)}
    facts = candle_facts(candles, Timeframe.H1, times(24, 48, 72, 96), "perpetual")
    spans = universe_at(UniverseRules(market="perpetual", top=1), facts)
    assert spans == {
        BTC: (Span(START_MS + DAY_MS, START_MS + 3 * DAY_MS),),
        ETH: (Span(START_MS + 3 * DAY_MS, START_MS + 4 * DAY_MS),),
    }


def test_the_universe_of_a_stretch_of_time() -> None:
    candles = {BTC: hours(96, volume=5.0), ETH: hours(48, begin=48, volume=9.0)}
    rules = UniverseRules(market="perpetual", top=1, maximum_spread=Threshold(0.1, 0.1))
    first, stop = START_MS + DAY_MS, START_MS + 4 * DAY_MS - HOUR_MS
    found = past_universe(rules, candles, Timeframe.H1, first, stop, DAY_MS // 2)
    assert found.spans == {
        BTC: (Span(first, START_MS + 5 * DAY_MS // 2 + DAY_MS // 2),),
        ETH: (Span(START_MS + 3 * DAY_MS, stop),),
    }
    assert found.notes == ("universe: candles do not tell the spread, so maximum_spread kept nobody out",)
    assert past_universe(replace(rules, maximum_spread=None), candles, Timeframe.H1, first, stop, DAY_MS).notes == ()
    with pytest.raises(BadInput, match="a beginning before its end"):
        past_universe(rules, candles, Timeframe.H1, stop, first, DAY_MS)


SPOT_1H = Path(__file__).resolve().parents[3] / "shared" / "data" / "spot_1h"


@pytest.mark.skipif(not SPOT_1H.is_dir(), reason="the folder shared/data/spot_1h is not there")
def test_the_universe_of_real_candles() -> None:
    files = sorted(SPOT_1H.glob("*USDT.parquet"))[:6]
    candles = {f"{path.stem.removesuffix('USDT')}/USDT": read_candles(path, Timeframe.H1) for path in files}
    stop = min(int(each.ts_ms[-1]) for each in candles.values())
    rules = UniverseRules(market="spot", top=2, rank_band=1, minimum_stay_ms=7 * DAY_MS)
    found = past_universe(rules, candles, Timeframe.H1, stop - 400 * DAY_MS, stop, DAY_MS)
    days = {symbol: sum(span.stop_ms - span.first_ms for span in spans) for symbol, spans in found.spans.items()}
    assert sum(days.values()) == 2 * 400 * DAY_MS
    ends = stop - 7 * DAY_MS
    assert all(
        span.stop_ms - span.first_ms >= 7 * DAY_MS
        for spans in found.spans.values()
        for span in spans
        if span.first_ms < ends
    )


async def test_listings_of_a_store_at_a_past_time(tmp_path) -> None:
    store = CandleStore(tmp_path, SystemFiles())
    places = [Place("bybit", "perpetual", Timeframe.H1, symbol) for symbol in (BTC, ETH)]
    for place, found in zip(places, (hours(48), hours(10, begin=40)), strict=True):
        with store.writing(place) as writer:
            writer.merge(found)
    (one,) = await StoredListings(store, places, int(times(30)[0])).listings()
    assert (one.symbol, one.base, one.quote, one.market, one.volume) == (BTC, "BTC", "USDT", "perpetual", 240.0)
    assert (one.price, one.listed_ms, one.spread) == (10.0, START_MS, None)
    both = StoredListings(store, places, int(times(45)[0]))
    assert [each.symbol for each in await both.listings()] == [BTC, ETH]
    with pytest.raises(Transient, match="no candles of that time"):
        await StoredListings(store, places, START_MS).listings()
    assert both.name == str(tmp_path)
