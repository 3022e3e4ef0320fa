"""The shipped mean reversion."""

from typing import Any

import numpy as np
import pytest
import talib

from livebot.core.market import Side
from livebot.strategies.mean_reversion import MeanReversion, MeanReversionParams
from tests.features.candles import synthetic
from tests.strategies.driving import decide_over_arrays, view_over_arrays


def test_it_trades_towards_the_mean_when_far_from_it():
    series = synthetic(4_000)
    strategy = MeanReversion(MeanReversionParams(period=48, threshold=2.5, stop_atr=2.0))
    decided = decide_over_arrays(strategy, series)
    average_range = talib.ATR(series.high, series.low, series.close, 14)
    expected: dict[int, Any] = {}
    for index in range(strategy.warmup - 1, len(series)):
        window = series.close[index - 47 : index + 1]
        away = series.close[index] - window.mean()
        if window.std() and abs(away) >= 2.5 * window.std():
            sign = 1 if away < 0 else -1
            expected[int(series.ts_ms[index]) + strategy.timeframe.ms] = (
                Side.LONG if sign > 0 else Side.SHORT,
                pytest.approx(series.close[index] - sign * 2.0 * average_range[index]),
                pytest.approx(window.mean()),
            )
    assert {
        close_ms: (entry.side, entry.stop_loss, entry.take_profit) for close_ms, entry in decided.items()
    } == expected
    assert {side for side, _, _ in expected.values()} == {Side.LONG, Side.SHORT}


def test_the_target_can_be_a_number_of_ranges_instead():
    series = synthetic(4_000)
    decided = decide_over_arrays(MeanReversion(MeanReversionParams(stop_atr=2.0, target_atr=3.0)), series)
    assert decided
    closes = dict(zip((series.ts_ms + 300_000).tolist(), series.close.tolist(), strict=True))
    for close_ms, entry in decided.items():
        risk, reward = abs(closes[close_ms] - entry.stop_loss), abs(entry.take_profit - closes[close_ms])
        assert reward / risk == pytest.approx(1.5)


def test_without_leave_to_short_it_buys_only():
    decided = decide_over_arrays(MeanReversion(MeanReversionParams(allow_short=False)), synthetic(4_000))
    assert {entry.side for entry in decided.values()} == {Side.LONG}


def test_where_nothing_moves_it_wants_nothing():
    strategy = MeanReversion(MeanReversionParams(threshold=0.001))
    series = synthetic(600)
    flat = type(series)(
        ts_ms=series.ts_ms,
        **{column: np.full(600, 30_123.45) for column in ("open", "high", "low", "close", "volume")},
    )
    assert strategy.decide(view_over_arrays(strategy, flat)) is None


@pytest.mark.parametrize("wrong", [{"period": 1}, {"threshold": 0.0}, {"stop_atr": -1.0}, {"target_atr": 0.0}])
def test_parameters_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        MeanReversionParams(**wrong)
