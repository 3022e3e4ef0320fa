"""What a model learns from holds nothing of the future: rows are made from candles as they were known.

Each check is shown to have teeth: with the leak planted it finds it.
"""

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
import talib

from livebot.backtest import frames
from livebot.core.market import MINUTE_MS, Timeframe
from livebot.features import arithmetic, context
from livebot.learning import labels
from livebot.learning.dataset import EXPIRED, STOPPED
from livebot.simulator.matching import FillModel
from tests.backtest.plans import START_MS, SYMBOLS, candles
from tests.research.leaky import (
    differing,
    first_ms,
    market,
    no_future,
    now_ms,
    other_future,
    rows_of,
    with_candles,
)

pytestmark = pytest.mark.untraced

A, B, C = SYMBOLS
FEATURE_SETS = ("own", "market")
FIRST_MS, NOW_MS = first_ms(), now_ms()


# The future


@pytest.mark.parametrize("features", FEATURE_SETS)
@pytest.mark.parametrize("future", [no_future, other_future])
def test_a_row_is_the_same_whatever_becomes_of_the_future(features, future):
    made = market()
    assert differing(rows_of(made, features), rows_of(future(made, NOW_MS), features), NOW_MS - 1, outcomes=True) == []


@pytest.mark.parametrize("features", FEATURE_SETS)
def test_what_a_model_sees_is_the_same_even_of_rows_whose_outcome_is_not(features):
    made = market()
    one, other = rows_of(made, features), rows_of(other_future(made, NOW_MS), features)
    assert differing(one, other, NOW_MS, outcomes=False) == []
    spans = one.rows((one.close_ms <= NOW_MS) & (one.end_ms > NOW_MS))
    assert len(spans)  # there were such rows


@pytest.mark.parametrize(
    ("function", "cheat"),
    [
        ("ratio", lambda one, other: np.roll(one, -5) / other),
        ("difference", lambda one, other: (one - other) - np.nanmean(one - other)),
    ],
    ids=["five candles on", "normalised over the whole sample"],
)
def test_a_feature_that_looks_ahead_is_caught(monkeypatch, function, cheat):
    monkeypatch.setitem(arithmetic._ARRAYS, function, cheat)
    made = market()
    assert differing(rows_of(made), rows_of(other_future(made, NOW_MS)), NOW_MS, outcomes=False) == ["features"]


# Longer candles

M5_MS = 5 * MINUTE_MS
MIDST_MS = now_ms(Timeframe.M5)
BEGIN_MS = MIDST_MS // M5_MS * M5_MS


@pytest.mark.parametrize("from_ms", [MIDST_MS, BEGIN_MS], ids=["in its midst", "at its first minute"])
def test_a_forming_candle_never_enters(from_ms):
    made = market(Timeframe.M5)
    assert differing(rows_of(made), rows_of(other_future(made, from_ms)), from_ms, outcomes=False) == []


def test_a_forming_candle_is_caught(monkeypatch):
    """The close of each candle is taken a minute late: it is the open of the one that forms."""
    honest = frames._candles

    def late(*asked):
        series = honest(*asked)
        return replace(series, close=np.append(series.open[1:], series.close[-1:]))

    monkeypatch.setattr(frames, "_candles", late)
    made = market(Timeframe.M5)
    assert "features" in differing(rows_of(made), rows_of(other_future(made, BEGIN_MS)), BEGIN_MS, outcomes=False)


def test_a_row_carries_the_time_of_the_close_that_its_features_are_of():
    made = market(Timeframe.M5)
    dataset = rows_of(made)
    place = dataset.names.index("model_rsi_14")
    of_a = dataset.rows(dataset.symbol_names == A)
    closed = (of_a.close_ms - START_MS) // MINUTE_MS  # that many minutes had closed
    expected = talib.RSI(made.candles[A].close[4::5], 14)[closed // 5 - 1]
    assert (closed % 5 == 0).all()
    np.testing.assert_allclose(of_a.features[:, place], expected, rtol=1e-6)


# The other symbols

OTHERS = ("model_market_", "model_breadth_")


def told(dataset, symbol, names):
    """By close: who has no outcome by the end is no row, and that is not what is asked here."""
    places = [place for place, name in enumerate(dataset.names) if name.startswith(names)]
    rows = dataset.rows(dataset.symbol_names == symbol)
    return dict(zip(rows.close_ms.tolist(), map(tuple, rows.features[:, places].tolist()), strict=True))


def same_market(one, other, symbol, names=OTHERS):
    left, right = told(one, symbol, names), told(other, symbol, names)
    both = left.keys() & right.keys()
    assert len(both) > 100
    return all(left[close] == right[close] for close in both)


def with_another_a(made):
    return with_candles(made, {A: candles(99, len(made.candles[A]), volatility=0.003)})


def test_what_is_told_of_the_market_leaves_the_symbol_itself_out():
    one, other = rows_of(market(), "market"), rows_of(with_another_a(market()), "market")
    assert sum(name.startswith(OTHERS) for name in one.names) == 8
    assert same_market(one, other, A)
    assert not same_market(one, other, B)
    assert not same_market(one, other, A, ("model_return",))


def test_a_market_that_holds_the_symbol_itself_is_caught(monkeypatch):
    monkeypatch.setattr(context, "_without_each", lambda values, targets: np.array([values.sum(axis=0)] * len(targets)))
    one, other = rows_of(market(), "market"), rows_of(with_another_a(market()), "market")
    assert not same_market(one, other, A)


# The universe of its time


def test_rows_come_from_the_time_in_which_a_symbol_was_a_member():
    first, last = FIRST_MS + 100 * MINUTE_MS, FIRST_MS + 300 * MINUTE_MS
    always = ((FIRST_MS, FIRST_MS + 600 * MINUTE_MS),)
    whole = rows_of(market())
    part = rows_of(market(members={A: ((first, last),), B: always, C: always}))
    of_a = whole.close_ms[(whole.symbol_names == A) & (whole.close_ms > first) & (whole.close_ms <= last)]
    np.testing.assert_array_equal(part.close_ms[part.symbol_names == A], of_a)
    assert len(of_a) < np.count_nonzero(whole.symbol_names == A)
    assert np.count_nonzero(part.symbol_names == B) == np.count_nonzero(whole.symbol_names == B)


def test_a_symbol_that_was_delisted_keeps_the_rows_it_had():
    made = market()
    gone = with_candles(made, {B: made.candles[B].part(0, (NOW_MS - START_MS) // MINUTE_MS)})
    one, other = rows_of(made), rows_of(gone)
    kept = other.rows(other.symbol_names == B)
    known = (one.symbol_names == B) & (one.end_ms < NOW_MS)
    assert B in other.symbols
    assert len(kept) >= np.count_nonzero(known) > 50
    assert set(one.close_ms[known]) <= set(kept.close_ms)


# Entry and outcome


def test_an_entry_is_filled_at_the_next_open_and_not_at_a_price_of_its_own_candle():
    """The next candle opens with a jump that no stop or target can explain: each gain begins behind it."""
    made = market(fills=FillModel(slippage=Decimal(0)))
    dataset = rows_of(made)
    expired = dataset.rows(dataset.barrier == EXPIRED)
    fees = 2 * 0.0005
    for symbol in SYMBOLS:
        rows = expired.rows(expired.symbol_names == symbol)
        opens = made.candles[symbol].open
        entry = opens[(rows.close_ms - START_MS) // MINUTE_MS]  # of the first candle after the close
        left = opens[(rows.end_ms - START_MS) // MINUTE_MS]
        np.testing.assert_allclose(rows.gain, rows.side * (left / entry - 1) - fees, atol=2e-6)
        closes = made.candles[symbol].close[(rows.close_ms - START_MS) // MINUTE_MS - 1]
        assert not np.allclose(rows.gain, rows.side * (left / closes - 1) - fees, atol=2e-6)


def test_a_candle_that_touches_both_barriers_is_a_stop():
    made = market()
    before = rows_of(made)
    place = int(np.flatnonzero((before.symbol_names == A) & (before.end_ms > before.close_ms + 5 * MINUTE_MS))[20])
    close_ms = int(before.close_ms[place])
    series = made.candles[A]
    wide = series.ts_ms == close_ms
    spread = {
        "high": np.where(wide, series.high * 1.05, series.high),
        "low": np.where(wide, series.low / 1.05, series.low),
    }
    after = rows_of(with_candles(made, {A: replace(series, **spread)}))
    row = int(np.flatnonzero((after.symbol_names == A) & (after.close_ms == close_ms))[0])
    assert before.barrier[place] != STOPPED or before.end_ms[place] != close_ms + MINUTE_MS
    assert after.barrier[row] == STOPPED
    assert after.end_ms[row] == close_ms + MINUTE_MS


def test_an_entry_that_is_over_at_the_open_at_which_it_began_is_a_row():
    made = market()
    jump = {
        symbol: replace(
            series,
            **{
                name: getattr(series, name) * np.where(series.ts_ms >= NOW_MS, 2.0, 1.0)
                for name in ("open", "high", "low", "close")
            },
        )
        for symbol, series in made.candles.items()
    }
    dataset = rows_of(with_candles(made, jump))
    at_once = dataset.rows((dataset.close_ms == NOW_MS) & (dataset.side == 1))
    assert len(at_once) == 1
    assert NOW_MS < at_once.end_ms[0] <= NOW_MS + MINUTE_MS


def test_an_entry_at_a_price_that_was_not_to_be_had_is_caught(monkeypatch):
    """Filled at the last close, as if one could still trade there."""
    honest = labels.Labels.outcome

    def at_the_close(self, event):
        tape = self._tape
        monkeypatch.setattr(tape.__class__, "price", lambda tape, minute: tape.close.item(minute - 1 - tape.first))
        return honest(self, event)

    monkeypatch.setattr(labels.Labels, "outcome", at_the_close)
    with pytest.raises(AssertionError):
        test_an_entry_is_filled_at_the_next_open_and_not_at_a_price_of_its_own_candle()


# The end


def test_what_was_not_known_by_the_end_is_no_row():
    made = market()
    whole, cut = rows_of(made), rows_of(no_future(made, NOW_MS))
    assert cut.dropped["outcome_unknown"] > 3
    assert cut.end_ms.max() <= NOW_MS
    key = {(symbol, close): end for symbol, close, end in zip(whole.symbol, whole.close_ms, whole.end_ms, strict=True)}
    assert all(
        key[symbol, close] == end for symbol, close, end in zip(cut.symbol, cut.close_ms, cut.end_ms, strict=True)
    )
    open_at_the_end = (whole.close_ms < NOW_MS) & (whole.end_ms > NOW_MS)
    assert not set(zip(whole.symbol[open_at_the_end], whole.close_ms[open_at_the_end], strict=True)) & set(
        zip(cut.symbol, cut.close_ms, strict=True)
    )
