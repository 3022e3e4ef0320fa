"""The synthetic market is a function of (seed, symbol, minute), and looks like a market."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livebot.core.market import MINUTE_MS, decimal_of
from livebot.errors import BadInput
from livebot.simulator.market import instrument_for, parts_of
from livebot.simulator.synthetic import BLOCK, SyntheticMarket, SyntheticSettings, symbol_names

START_MS = 1_735_689_600_000
COLUMNS = ("ts_ms", "open", "high", "low", "close", "volume")
YEAR = 525_600


def made(*symbols: str, **settings: Any) -> SyntheticMarket:
    return SyntheticMarket(symbols or symbol_names(5), SyntheticSettings(**settings))


def same(left, right) -> bool:
    return all(np.array_equal(getattr(left, name), getattr(right, name)) for name in COLUMNS)


MARKET = made()
MONTH = {symbol: MARKET.candles(symbol, START_MS, START_MS + 30 * 1440 * MINUTE_MS) for symbol in MARKET.symbols}


@given(st.sampled_from(MARKET.symbols), st.integers(0, 30 * 1440 - 1), st.integers(1, 5 * BLOCK))
def test_a_minute_is_the_same_however_it_is_asked_for(symbol, start, count):
    """Alone, in a part, or in a month; from a fresh market or a used one."""
    month = MONTH[symbol]
    stop = min(start + count, len(month))
    part = MARKET.candles(symbol, START_MS + start * MINUTE_MS, START_MS + stop * MINUTE_MS)
    assert same(part, month.part(start, stop))
    alone = made(symbol).candle(symbol, START_MS + start * MINUTE_MS)
    assert (alone.ts_ms, alone.open, alone.high, alone.low, alone.close, alone.volume) == tuple(
        getattr(month, name)[start] for name in COLUMNS
    )
    assert MARKET.price(symbol, START_MS + start * MINUTE_MS) == alone.open


def test_pushed_candles_are_those_of_the_history():
    market = made()
    for index in range(2 * BLOCK + 5):
        for symbol in market.symbols:
            pushed = market.candle(symbol, START_MS + index * MINUTE_MS)
            assert pushed.close == MONTH[symbol].close[index]


def test_candles_are_possible_and_join():
    for symbol, month in MONTH.items():
        assert np.array_equal(month.open[1:], month.close[:-1])
        assert np.all(month.high >= np.maximum(month.open, month.close))
        assert np.all(month.low <= np.minimum(month.open, month.close))
        assert np.all(month.low > 0)
        assert np.all(month.volume >= 0)
        instrument = MARKET.instrument(symbol)
        for value in (*month.close[:50].tolist(), *month.high[:50].tolist()):
            assert decimal_of(value) % instrument.tick_size == 0
        for value in month.volume[:50].tolist():
            assert decimal_of(value) % instrument.lot_step == 0


def test_another_seed_or_symbol_is_another_path():
    closes = [MONTH[symbol].close / MONTH[symbol].close[0] for symbol in MARKET.symbols]
    closes.append(made(seed=2).candles(MARKET.symbols[0], START_MS, START_MS + 43_200 * MINUTE_MS).close)
    for index, one in enumerate(closes):
        for other in closes[index + 1 :]:
            assert not np.array_equal(one, other)


def test_a_decade_stays_near_the_base_price_and_moves():
    market = made("BTC/USDT:USDT", "ODD/USDT:USDT", volatility=4.0)
    for symbol in market.symbols:
        days = np.array([market.price(symbol, START_MS + day * 1440 * MINUTE_MS) for day in range(0, 3650, 7)])
        assert days.max() / days.min() < 12
        assert days.max() / days.min() > 1.3
    assert 15_000 < made().price("BTC/USDT:USDT", START_MS) < 240_000


def test_volatility_regimes_jumps_and_correlation():
    returns = {symbol: np.diff(np.log(month.close)) for symbol, month in MONTH.items()}
    for each in returns.values():
        assert 0.0002 < each.std() < 0.004
        assert np.mean(((each - each.mean()) / each.std()) ** 4) > 4  # tails fatter than the normal's 3
        size = np.abs(each)
        assert np.corrcoef(size[1:], size[:-1])[0, 1] > 0.1  # wild minutes come together
    matrix = np.corrcoef(list(returns.values()))
    assert 0.2 < matrix[np.triu_indices(len(matrix), 1)].mean() < 0.6
    wild = made(volatility=5.0).candles(MARKET.symbols[0], START_MS, START_MS + 1440 * MINUTE_MS)
    assert np.diff(np.log(wild.close)).std() > 3 * returns[MARKET.symbols[0]][:1440].std()


def test_uncorrelated_symbols():
    market = made(correlation=0.0)
    first, second = (
        np.diff(np.log(market.candles(symbol, START_MS, START_MS + 14_400 * MINUTE_MS).close))
        for symbol in market.symbols[:2]
    )
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.05


def test_five_hundred_symbols_hold_little_memory():
    market = SyntheticMarket(symbol_names(500), SyntheticSettings())
    for symbol in market.symbols:
        market.price(symbol, START_MS)
        market.candles(symbol, START_MS, START_MS + 500 * MINUTE_MS)
    held = sum(values.nbytes for _, values in market._blocks.values())
    assert len(market._blocks) == 500
    assert held / 500 <= 12 * 1024
    assert market._market_moves.cache_info().maxsize == 4


def test_names():
    assert symbol_names(2) == ("BTC/USDT:USDT", "ETH/USDT:USDT")
    assert symbol_names(1, quote="USDC", perpetual=False) == ("BTC/USDC",)
    assert len(set(symbol_names(500))) == 500


@pytest.mark.parametrize("symbol", ["BTCUSDT", "BTC/", "/USDT", "BTC/USDT:", ""])
def test_a_symbol_of_unknown_form_is_refused(symbol):
    with pytest.raises(BadInput, match="BASE/QUOTE"):
        made(symbol)


def test_market_facts():
    market = SyntheticMarket(["BTC/USDT"], SyntheticSettings(seed=7), first_ms=START_MS + 5)
    assert (market.first_ms, market.end_ms) == (START_MS, None)
    assert "seed 7" in market.identity("BTC/USDT")
    assert market.latest_close("BTC/USDT", START_MS + 59_999) == START_MS
    assert len(market.candles("BTC/USDT", START_MS, START_MS)) == 0
    assert not market.instrument("BTC/USDT").can_short
    market.add(["BTC/USDT", "ETH/USDT:USDT"])
    assert market.symbols == ("BTC/USDT", "ETH/USDT:USDT")


@pytest.mark.parametrize(
    ("price", "decimals", "tick", "lot"),
    [(60_000.0, 1, "0.1", "0.00001"), (0.15, 6, "0.000001", "1"), (1e7, 0, "1", "1E-7")],
)
def test_steps_fit_the_price(price, decimals, tick, lot):
    instrument = instrument_for("X/USDT:USDT", price, decimals, SyntheticSettings().fees)
    assert (str(instrument.tick_size), str(instrument.lot_step)) == (tick, lot)
    assert parts_of("X/USDT:USDT") == ("X", "USDT", True)
