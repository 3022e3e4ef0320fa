"""The shipped ratio of two symbols."""

import pytest

from livebot.core.market import Side
from livebot.errors import BadInput
from livebot.strategies.ratio import Ratio, RatioParams
from tests.features.candles import from_closes, synthetic
from tests.strategies.driving import decide_over_arrays, view_over_arrays

OTHER = "ETH/USDT:USDT"


def test_it_sells_what_is_dear_against_the_other_and_buys_what_is_cheap():
    series, beside = synthetic(1_000, seed=1), synthetic(1_000, seed=2)
    strategy = Ratio(RatioParams(period=96, threshold=2.5))
    decided = decide_over_arrays(strategy, series, {OTHER: beside})
    expected = {}
    for index in range(95, len(series)):
        ratios = (series.close / beside.close)[index - 95 : index + 1]
        score = (ratios[-1] - ratios.mean()) / ratios.std()
        if abs(score) >= 2.5:
            close_ms = int(series.ts_ms[index]) + strategy.timeframe.ms
            expected[close_ms] = Side.SHORT if score > 0 else Side.LONG
    assert {close_ms: entry.side for close_ms, entry in decided.items()} == expected
    assert set(expected.values()) == {Side.LONG, Side.SHORT}


def test_it_can_follow_the_ratio_instead():
    every = {OTHER: synthetic(1_000, seed=2)}
    against = decide_over_arrays(Ratio(RatioParams()), synthetic(1_000, seed=1), every)
    along = decide_over_arrays(Ratio(RatioParams(follow=True)), synthetic(1_000, seed=1), every)
    assert against.keys() == along.keys()
    assert all(along[close_ms].side is not entry.side for close_ms, entry in against.items())


def test_stop_and_target_are_set_off_from_its_own_close():
    strategy = Ratio(RatioParams(period=10, take_profit=0.03, stop_loss=0.01, expiry_minutes=60))
    view = view_over_arrays(strategy, from_closes([100.0] * 19 + [90.0]), {OTHER: from_closes([10.0] * 20)})
    entry = strategy.decide(view)
    assert entry is not None
    assert entry.side is Side.LONG
    assert [entry.take_profit, entry.stop_loss] == pytest.approx([92.7, 89.1])
    assert entry.lifetime_ms == 60 * 60_000


def test_without_leave_to_short_it_buys_only():
    decided = decide_over_arrays(
        Ratio(RatioParams(allow_short=False)), synthetic(1_000, seed=1), {OTHER: synthetic(1_000, seed=2)}
    )
    assert {entry.side for entry in decided.values()} == {Side.LONG}


def test_a_ratio_that_never_moves_is_not_unusual():
    strategy = Ratio(RatioParams(period=10))
    assert (
        strategy.decide(view_over_arrays(strategy, from_closes([100.0] * 20), {OTHER: from_closes([10.0] * 20)}))
        is None
    )


def test_it_does_not_decide_before_the_other_symbols_candle_has_come():
    strategy = Ratio(RatioParams())
    view = view_over_arrays(strategy, synthetic(200), {OTHER: synthetic(200, seed=2)})
    view.others[OTHER].move(199, 0)
    assert not view.complete
    with pytest.raises(BadInput, match="wait for both"):
        strategy.decide(view)


@pytest.mark.parametrize("wrong", [{"other": ""}, {"period": 1}, {"threshold": -1.0}, {"stop_loss": 1.0}])
def test_parameters_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RatioParams(**wrong)
