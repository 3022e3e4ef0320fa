"""A strategy that tells its model what it needs decides as it did."""

from dataclasses import replace

import numpy as np
import pytest

from livebot.core.entry import Adjustment, Entry
from livebot.core.market import Timeframe
from livebot.features import batch
from livebot.features.catalogue import change, ema, rsi
from livebot.features.model_features import model_features
from livebot.strategies import registry
from livebot.strategies.ema_cross import EmaCross, EmaCrossParams
from livebot.strategies.evidence import with_evidence
from livebot.strategies.interface import check_class, check_strategy, feature_set_of
from livebot.strategies.ratio import Ratio, RatioParams
from tests.features.candles import synthetic
from tests.strategies.driving import decide_candle_by_candle, decide_over_arrays, view_over_arrays

FEATURES = model_features("own")
PARAMS = EmaCrossParams(timeframe=Timeframe.H1, fast=3, slow=8, allow_short=True)
SERIES = synthetic(1_400, seed=11, timeframe=Timeframe.H1)
EVIDENT = with_evidence(EmaCross, FEATURES)


class Managing(EmaCross):
    """Also closes what it has opened."""

    name = "managing"

    def manage(self, view, signal):
        return Adjustment(close=True)


class Odd(EmaCross):
    """Answers what is no entry, and has a feature named like one of a model's."""

    name = "odd"

    @property
    def features(self):
        return (*super().features, rsi("model_rsi_14", 7))

    def decide(self, view):
        return "buy"


def test_it_wants_the_same_entries_and_says_what_the_model_needs():
    """The values of the model's features at the close, in their order."""
    original = decide_over_arrays(EmaCross(PARAMS), SERIES)
    strategy = EVIDENT(PARAMS)
    evident = decide_over_arrays(strategy, SERIES)
    assert len(evident) > 20
    assert {at: replace(entry, evidence=()) for at, entry in evident.items()} == {
        at: entry for at, entry in original.items() if at >= min(evident)
    }
    columns = batch.compute(FEATURES, SERIES)
    for close_ms, entry in evident.items():
        index = int(np.searchsorted(SERIES.ts_ms, close_ms - Timeframe.H1.ms))
        assert entry.evidence == tuple(columns[feature.name][index] for feature in FEATURES)
        assert all(type(value) is float for value in entry.evidence)


def test_the_daemon_and_whole_arrays_give_the_same_evidence():
    """To the last bit."""
    strategy = EVIDENT(PARAMS)
    assert decide_candle_by_candle(strategy, SERIES) == decide_over_arrays(strategy, SERIES)


def test_what_is_not_a_number_goes_out_too():
    """Whoever judges it refuses it; the strategy has had its say."""
    strategy = EVIDENT(PARAMS)
    view = view_over_arrays(strategy, SERIES)
    entry = None
    for end in range(10, 40):
        view.move(end, end)
        entry = entry or strategy.decide(view)
    assert isinstance(entry, Entry)
    assert np.isnan(entry.evidence).any()


def test_the_class_is_the_same_for_the_same_arguments():
    """Who compares types finds no change where there is none."""
    assert EVIDENT is with_evidence(EmaCross, model_features("own"))
    assert EVIDENT is not with_evidence(EmaCross, FEATURES[:1])
    assert EVIDENT is not with_evidence(Managing, FEATURES)


def test_everything_else_is_the_strategys_own():
    strategy, original = EVIDENT(PARAMS), EmaCross(PARAMS)
    assert check_class(EVIDENT) == check_strategy(strategy) == []
    for name in ("name", "Params", "timeframe", "others", "history", "feature_version", "manages", "params"):
        assert getattr(strategy, name) == getattr(original, name), name
    assert strategy.features == (*original.features, *FEATURES)
    assert strategy.warmup == max(original.warmup, 715)
    assert feature_set_of(strategy) != feature_set_of(original)
    assert (EVIDENT.__name__, EVIDENT.__module__, EVIDENT.__doc__) == (
        "EmaCross",
        EmaCross.__module__,
        EmaCross.__doc__,
    )
    assert isinstance(strategy, EmaCross)
    assert registry.load("ema_cross") is EmaCross
    looking = with_evidence(Ratio, FEATURES)(RatioParams(period=24))
    assert (looking.others, looking.history, looking.manages) == (("ETH/USDT:USDT",), 24, False)


def test_it_manages_as_it_did():
    managing = with_evidence(Managing, FEATURES)(PARAMS)
    assert managing.manages
    assert managing.manage(None, None) == Adjustment(close=True)


def test_nothing_is_read_where_nothing_is_wanted():
    class Seen:
        close = 1.0

        def feature(self, name, back=0):
            assert not name.startswith("model_")
            return 1.0

    assert EVIDENT(PARAMS).decide(Seen()) is None


def test_names_that_are_the_strategys_own_are_refused():
    """Or a model would be told something else than it was trained on."""
    clash = with_evidence(Odd, FEATURES)(PARAMS)
    with pytest.raises(
        ValueError, match="strategy odd and its model both have features called model_rsi_14; give those"
    ):
        _ = clash.features
    assert "both have features called model_rsi_14" in check_strategy(clash)[0]
    twice = with_evidence(EmaCross, (ema("fast", 3), rsi("rsi", 9), change("model_change", 1)))(PARAMS)
    with pytest.raises(ValueError, match="called fast, rsi; give"):
        _ = twice.features


def test_an_answer_that_is_no_entry_is_for_the_driver_to_refuse():
    assert with_evidence(Odd, FEATURES[:1])(PARAMS).decide(None) == "buy"
