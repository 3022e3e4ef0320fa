"""What the page draws: bounded, and true to the record."""

import base64
import json
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livebot.core.market import DAY_MS
from livebot.reporting.page_data import (
    CANDLES_AFTER,
    CANDLES_BEFORE,
    CANDLES_PER_TRADE_MAX,
    EQUITY_POINTS_MAX,
    MARKS_MAX,
    MARKS_PER_SYMBOL_MAX,
    OVERVIEW_CANDLES_ALL_MAX,
    OVERVIEW_CANDLES_MAX,
    TRADES_DRAWN_MAX,
    TRADES_EXTREME,
    coarser,
    digits_of,
    drawn_trades,
    page_data,
)
from livebot.reporting.run_record import EquityCurve
from tests.reporting.records import CAPITAL, HOUR_MS, START_MS, candles_of, record, run, trade

RUN = run()
SERIES = RUN.candles["BTC/USDT"]


def data_of(made):
    return page_data(made, made.trades, drawn_trades(made.trades))


def decoded(candles):
    """Times in seconds, and open, high, low, close as rows."""
    times = np.frombuffer(base64.b64decode(candles["t"]), "<u4")
    return times, np.frombuffer(base64.b64decode(candles["p"]), "<f4").reshape(4, len(times))


def test_all_of_few_trades_are_drawn():
    drawn = drawn_trades(RUN.trades)
    assert (drawn.trades, drawn.total) == (RUN.trades, len(RUN.trades))


def test_of_many_trades_the_best_the_worst_and_the_newest_are_drawn():
    pnls = np.random.default_rng(1).permutation(2000) - 900
    trades = [trade(START_MS + n, START_MS + n + 1, str(pnl), signal_id=f"trend/X#{n}") for n, pnl in enumerate(pnls)]
    drawn = drawn_trades(trades)
    assert (len(drawn.trades), drawn.total) == (TRADES_DRAWN_MAX, 2000)
    assert list(drawn.trades) == sorted(drawn.trades, key=lambda each: each.closed_ms)
    ranked = sorted(trades, key=lambda each: each.pnl_net)
    assert {*ranked[:TRADES_EXTREME], *ranked[-TRADES_EXTREME:]} <= set(drawn.trades)
    assert set(trades[-150:]) <= set(drawn.trades)


def test_a_trade_has_the_candles_around_it():
    first = RUN.trades[0]
    series = RUN.candles[first.symbol]
    made = data_of(RUN)["trades"][0]
    times, prices = decoded(made["candles"])
    begin, end = (int(np.searchsorted(series.ts_ms, ts_ms)) for ts_ms in (first.opened_ms, first.closed_ms))
    part = series.part(max(0, begin - CANDLES_BEFORE), end + CANDLES_AFTER + 1)
    assert times.tolist() == (part.ts_ms // 1000).tolist()
    assert np.allclose(prices, [part.open, part.high, part.low, part.close], rtol=1e-6)
    assert made["in"] == first.opened_ms // 1000
    assert (made["entry"], made["exit"]) == (float(first.entry_price), float(first.exit_price))
    assert made["label"].startswith(f"{first.signal_id}: ")


def test_a_long_trade_has_coarser_candles_and_never_too_many():
    made = trade(START_MS + 100 * HOUR_MS, START_MS + 2500 * HOUR_MS)
    (window,) = data_of(record([made], days=120, candles={"BTC/USDT": SERIES}))["trades"]
    times, prices = decoded(window["candles"])
    assert len(times) <= CANDLES_PER_TRADE_MAX
    assert window["step"] == 7 * 3600
    part = SERIES.part(40, 2541)
    assert (prices[1].max(), prices[2].min()) == pytest.approx((part.high.max(), part.low.min()))


def test_a_fill_stands_on_the_candle_that_traded_at_its_price():
    """A stop that was hit within a candle and is dated at its close, the first instant of the next."""
    place = int(np.argmax(SERIES.low[1:] / SERIES.low[:-1]))  # the next one trades above all that this one fell to
    low = float(SERIES.low[place])
    at_close = int(SERIES.ts_ms[place + 1])
    made = trade(at_close - 5 * HOUR_MS, at_close, exit_price=Decimal(repr(low)))
    (window,) = data_of(record([made], days=120, candles={"BTC/USDT": SERIES}))["trades"]
    assert window["out"] == at_close // 1000 - 3600
    next_open = replace(made, exit_price=Decimal(repr(float(SERIES.open[place + 1]))))
    (window,) = data_of(record([next_open], days=120, candles={"BTC/USDT": SERIES}))["trades"]
    assert window["out"] == at_close // 1000


@pytest.mark.parametrize("hours", [(-9, -5), (5000, 5001)])
def test_a_trade_outside_of_the_candles_is_listed_and_not_drawn(hours):
    made = trade(*(START_MS + hour * HOUR_MS for hour in hours))
    (window,) = data_of(record([made], days=300, candles={"BTC/USDT": SERIES}))["trades"]
    assert "candles" not in window
    assert window["symbol"] == "BTC/USDT"


def test_a_trade_that_began_before_the_candles_is_drawn_from_their_first():
    made = trade(START_MS - 5 * HOUR_MS, START_MS + HOUR_MS)
    (window,) = data_of(record([made], days=300, candles={"BTC/USDT": SERIES}))["trades"]
    assert window["in"] == START_MS // 1000


def test_a_symbol_without_candles_is_not_drawn():
    made = data_of(replace(RUN, candles={"BTC/USDT": SERIES, "ETH/USDT": SERIES.part(0, 1)}))
    assert list(made["symbols"]) == ["BTC/USDT"]
    assert {("candles" in each) == (each["symbol"] == "BTC/USDT") for each in made["trades"]} == {True}


def test_a_whole_range_is_bounded_however_many_symbols_and_trades_there_are():
    minutes = candles_of(5, 60_000, step_ms=60_000)
    symbols = [f"S{n}/USDT" for n in range(30)]
    trades = [
        trade(START_MS + n * 60_000, START_MS + n * 60_000, symbol=symbol, signal_id=f"trend/{symbol}#{n}")
        for symbol in symbols
        for n in range(220)
    ]
    made = data_of(record(trades, candles=dict.fromkeys(symbols, minutes)))
    counts = [len(decoded(each["candles"])[0]) for each in made["symbols"].values()]
    assert max(counts) <= OVERVIEW_CANDLES_MAX
    assert sum(counts) <= OVERVIEW_CANDLES_ALL_MAX
    assert sum(len(each["marks"]) for each in made["symbols"].values()) <= MARKS_MAX
    assert {(len(each["marks"]), each["total"]) for each in made["symbols"].values()} == {(200, 220)}
    assert len(json.dumps(made)) < 4_000_000


def test_the_newest_trades_of_a_symbol_are_marked_on_its_whole_range():
    count = MARKS_PER_SYMBOL_MAX + 5
    trades = [trade(START_MS + n * 60_000, START_MS + n * 60_000, signal_id=f"trend/X#{n}") for n in range(count)]
    made = data_of(record(trades, candles={"BTC/USDT": SERIES}))["symbols"]["BTC/USDT"]
    assert (len(made["marks"]), made["total"]) == (MARKS_PER_SYMBOL_MAX, count)
    assert [mark[0] for mark in made["marks"]] == [each.closed_ms // 1000 for each in trades[5:]]


def test_a_whole_range_that_fits_is_drawn_as_it_is():
    made = data_of(record([trade()], candles={"BTC/USDT": SERIES.part(0, 900)}))
    assert made["symbols"]["BTC/USDT"]["step"] == 3600
    assert len(decoded(made["symbols"]["BTC/USDT"]["candles"])[0]) == 900


def test_a_whole_range_is_that_of_the_run():
    made = data_of(
        record([trade()], days=10, candles={"BTC/USDT": candles_of(3, 24 * 30, start_ms=START_MS - 10 * DAY_MS)})
    )
    times, _ = decoded(made["symbols"]["BTC/USDT"]["candles"])
    assert (times[0], times[-1]) == (START_MS // 1000, START_MS // 1000 + 240 * 3600 - 3600)


def test_candles_of_an_unusual_length_are_merged_all_the_same():
    odd = candles_of(5, 5000, step_ms=7 * 60_000)
    made = data_of(record([trade()], candles={"BTC/USDT": odd}))["symbols"]["BTC/USDT"]
    assert made["step"] % (7 * 60) == 0
    assert len(decoded(made["candles"])[0]) <= OVERVIEW_CANDLES_MAX


@given(st.integers(1, 200), st.integers(2, 30))
def test_coarser_candles_hold_what_the_finer_ones_held(count, hours):
    series = SERIES.part(7, 7 + count)
    made = coarser(series, hours * HOUR_MS)
    assert (made.open[0], made.close[-1]) == (series.open[0], series.close[-1])
    assert (made.high.max(), made.low.min()) == (series.high.max(), series.low.min())
    assert made.volume.sum() == pytest.approx(series.volume.sum())
    assert (np.diff(made.ts_ms) > 0).all()
    assert (made.ts_ms % (hours * HOUR_MS) == 0).all()


def test_no_candle_is_no_coarser_one():
    assert len(coarser(SERIES.part(0, 0), DAY_MS)) == 0


@pytest.mark.parametrize(
    ("prices", "digits"),
    [
        ([64000.5, 64001.0], 1),
        ([0.1234, 0.2], 4),
        ([100.0, 101.0], 1),
        ([0.00001234567, 0.000012], 10),
        ([np.pi, 2], 5),
    ],
)
def test_as_many_digits_as_the_prices_have_and_no_more_than_tell_something(prices, digits):
    assert digits_of(np.array(prices)) == digits


def test_a_price_of_nothing_has_two_digits():
    assert digits_of(np.array([0.0, 0.0, 0.001])) == 2


# ------------------------------------------------------------------ equity


def test_a_long_curve_is_merged_and_keeps_its_deepest_fall_and_its_end():
    random = np.random.default_rng(4)
    hours = 24 * 400
    equity = CAPITAL * np.exp(np.cumsum(random.normal(0, 0.004, hours)))
    curve = EquityCurve(ts_ms=START_MS + HOUR_MS * np.arange(hours, dtype=np.int64), equity=equity)
    made = data_of(record(days=400, equity=curve))["equity"]
    assert len(made["t"]) <= EQUITY_POINTS_MAX
    assert made["equity"][-1] == pytest.approx(equity[-1], abs=0.01)
    deepest = (equity / np.maximum.accumulate(equity)).min() - 1
    assert min(made["fall"]) == pytest.approx(100 * deepest, abs=1e-4)
    assert made["t"] == sorted(set(made["t"]))


def test_a_curve_of_years_by_the_minute_is_merged_too():
    times = START_MS + 60_000 * np.arange(0, 6_000_000, 50, dtype=np.int64) * 100
    made = data_of(record(days=25_000, equity=EquityCurve(ts_ms=times, equity=np.full(len(times), 5.0))))["equity"]
    assert len(made["t"]) <= EQUITY_POINTS_MAX + 1


def test_without_capital_the_fall_is_in_money():
    curve = EquityCurve(ts_ms=START_MS + HOUR_MS * np.arange(3, dtype=np.int64), equity=np.array([0.0, 8.0, 3.0]))
    made = data_of(record(equity=curve))["equity"]
    assert (str(made["fall"]), made["unit"]) == ("[0.0, 0.0, -5.0]", "quote currency")
