"""What models see: the same for every price and size, live as in arrays, of nothing but the past."""

from dataclasses import replace

import numpy as np
import pytest

from livebot.core.market import Timeframe
from livebot.features import batch
from livebot.features.context import compute_context
from livebot.features.declaration import FEATURE_DEPTH, context_features, own_features, warmup_of
from livebot.features.feature_set import make_feature_set
from livebot.features.model_features import (
    MODEL_FEATURE_SETS,
    MODEL_FEATURES_VERSION,
    PREFIX,
    WARMUP_MOST,
    model_feature_set_name,
    model_features,
)
from tests.features import test_context as contexts
from tests.features import test_engines as engines
from tests.features.candles import real, synthetic
from tests.features.test_context import A, B, market

OWN = model_features("own")
CONTEXT = context_features(model_features("market"))
SERIES = synthetic(1_100, seed=7, timeframe=Timeframe.H1)
WHOLE = batch.compute(OWN, SERIES)
COLUMNS = ("open", "high", "low", "close", "volume")


def test_the_sets_by_name():
    """The second is the first and the other symbols beside it, so that a model may be moved from one to the other."""
    assert MODEL_FEATURE_SETS == ("own", "market")
    assert model_features("market")[: len(OWN)] == OWN
    assert len(OWN) == len(own_features(OWN)) == 30
    assert len(CONTEXT) == 10
    names = [feature.name for feature in model_features("market")]
    assert len(set(names)) == len(names)
    assert all(name.startswith(PREFIX) for name in names)
    assert model_feature_set_name("own") == "model_own"


def test_a_set_that_there_is_not_is_told():
    with pytest.raises(ValueError, match="no set of model features 'theirs'; there are own, market"):
        model_features("theirs")


@pytest.mark.parametrize(("name", "digest"), [("own", "6834a5c63c3b"), ("market", "5d59eee2189c")])
def test_what_a_set_gives_changes_with_its_version_only(name, digest):
    """Models are held to the digest: who changes a set raises MODEL_FEATURES_VERSION and puts the new digest here."""
    made = make_feature_set(model_feature_set_name(name), MODEL_FEATURES_VERSION, Timeframe.H1, model_features(name))
    assert str(made) == f"model_{name}@1 {digest}"


@pytest.mark.parametrize("name", MODEL_FEATURE_SETS)
def test_a_start_waits_for_no_more_candles_than_one_page_of_them(name):
    assert 600 < warmup_of(model_features(name)) <= WARMUP_MOST


def test_nobody_is_followed_by_name():
    """A set is the same for every universe."""
    assert not any(feature.sources for feature in CONTEXT)


# The same for every symbol


@pytest.mark.parametrize("factor", [1e-4, 37.0, 1e5])
def test_price_and_size_do_not_matter(factor):
    prices = {name: getattr(SERIES, name) * factor for name in ("open", "high", "low", "close")}
    scaled = batch.compute(OWN, replace(SERIES, **prices, volume=SERIES.volume * factor))
    for name, values in WHOLE.items():
        settled = slice(WARMUP_MOST, None)
        assert scaled[name][settled] == pytest.approx(values[settled], rel=1e-6, abs=1e-6), name


def test_all_are_of_a_size_that_a_model_can_live_with():
    """And finite, also where nothing moves and nothing trades."""
    still = replace(
        SERIES,
        **{name: np.full(len(SERIES), SERIES.close[0]) for name in ("open", "high", "low", "close")},
        volume=np.zeros(len(SERIES)),
    )
    for series in (SERIES, still):
        for name, values in batch.compute(OWN, series).items():
            settled = values[WARMUP_MOST - 1 :]
            assert np.isfinite(settled).all(), name
            assert np.abs(settled).max() <= 250, name


# Of nothing but a bounded past


@pytest.mark.parametrize("start", [1, 100, 300])
def test_none_counts_from_the_origin(start):
    """A history that begins later gives the same values once they have settled."""
    late = batch.compute(OWN, SERIES.part(start, len(SERIES)))
    settled = warmup_of(OWN) - FEATURE_DEPTH
    for name, values in late.items():
        usual = np.nanmean(np.abs(WHOLE[name]))
        assert np.abs(values[settled:] - WHOLE[name][start + settled :]).max() < 1e-8 * max(usual, 1.0), name


def test_the_past_stays_whatever_becomes_of_the_future():
    later = np.arange(len(SERIES)) >= 900
    spoiled = replace(
        SERIES, **{name: np.where(later, getattr(SERIES, name) * 3, getattr(SERIES, name)) for name in COLUMNS}
    )
    for changed in (SERIES.part(0, 900), spoiled):
        for name, values in batch.compute(OWN, changed).items():
            assert np.array_equal(values[:900], WHOLE[name][:900], equal_nan=True), name


# Live


@pytest.mark.parametrize("opened_on", [0, 715, 800])
def test_live_and_arrays_give_the_same_bits(opened_on):
    engines.assert_same_bits(OWN, SERIES.part(0, 900), opened_on)


def test_live_and_arrays_give_the_same_bits_on_real_candles():
    engines.assert_same_bits(OWN, real("ETHUSDT").part(0, 2_500), 1_000)


def test_live_and_arrays_give_the_same_bits_of_the_other_symbols():
    contexts.assert_same_bits(CONTEXT, market(260), Timeframe.M1, 120)


# The others


def test_a_symbol_never_enters_what_it_is_told_about_the_others():
    """What it did more than they is its own change less theirs, and theirs is the same."""
    series = market(200)
    moved = series[B].close * np.linspace(1, 1e6, 200)
    spoiled = {**series, B: replace(series[B], close=moved)}
    before, after = (compute_context(CONTEXT, each, Timeframe.M1)[B].values for each in (series, spoiled))
    of_others = [name for name in before if "excess" not in name]
    assert len(of_others) == len(CONTEXT) - 2
    for name in of_others:
        assert np.array_equal(before[name], after[name], equal_nan=True), name
    for period in (1, 24):
        own = (moved[period:] - moved[:-period]) / moved[:-period]
        market_return = before[f"model_market_return_{period}"][period:]
        assert after[f"model_excess_return_{period}"][period:] == pytest.approx(own - market_return, rel=1e-9)


def test_two_symbols_are_universe_enough():
    series = {symbol: each for symbol, each in market(300).items() if symbol in (A, B)}
    assert compute_context(CONTEXT, series, Timeframe.M1)[A].complete[120:].all()
