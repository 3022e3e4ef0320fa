"""The whole dataset: its rows, what is dropped and named, the same bytes again, and nothing from after its time."""

from dataclasses import fields, replace
from decimal import Decimal
from math import nan
from typing import Any

import numpy as np
import pytest

from livebot.backtest.plan import BacktestPlan
from livebot.core.market import DAY_MS, MINUTE_MS, Timeframe
from livebot.core.rules import EntryRules
from livebot.core.series import CandleSeries
from livebot.errors import BadInput
from livebot.features.batch import compute
from livebot.features.feature_set import make_feature_set
from livebot.features.model_features import MODEL_FEATURES_VERSION, model_features
from livebot.learning import building
from livebot.learning.building import BuiltDataset, build_dataset
from livebot.learning.dataset import EXPIRED, TARGET, Dataset
from livebot.learning.history_needs import HistoryTerms
from livebot.learning.labels import UNKNOWN
from livebot.learning.spec import SymbolBalance
from livebot.learning.weights import effective_count, uniqueness, weighted
from livebot.simulator.matching import FillModel
from tests.backtest.plans import START_MS, SYMBOLS, candles, plan, rules, strategy, without
from tests.backtest.whims import WhimParams
from tests.learning.labelled import needs_spot, outcomes, real_plan

MINUTES = 1200
FROM = 750  # the slowest of a model's features has settled
NO_NEEDS = HistoryTerms(minimum_days=0, target_days=1, coverage=0.5)
COLUMNS = ("features", "side", "close_ms", "end_ms", "barrier", "gain", "cost", "risk")


def market(minutes: int = MINUTES, **changes: Any) -> BacktestPlan:
    """Three symbols of minutes, traded from the 750th on."""
    return plan(minutes, **{"start_ms": START_MS + FROM * MINUTE_MS, **changes})


def built(made: BacktestPlan, **options: Any) -> BuiltDataset:
    return build_dataset(made, made.strategies[0].id, **{"history": NO_NEEDS, **options})


def hours(count: int, seed: int = 1, after: int = 0) -> CandleSeries:
    return candles(seed, count, step=60, first_ms=START_MS + after * Timeframe.H1.ms)


def described(dataset: Dataset) -> dict[str, Any]:
    return {each.name: getattr(dataset, each.name) for each in fields(dataset)}


def test_rows_are_the_events_whose_outcome_is_known() -> None:
    made = market(strategies=(strategy(symbols=SYMBOLS[::-1]),))
    dataset = built(made).dataset
    known = {key: each for key, each in outcomes(made).items() if not isinstance(each[1], str)}
    assert len(dataset) == len(known) > 100
    keys = list(zip(dataset.close_ms.tolist(), dataset.symbol_names.tolist(), strict=True))
    assert keys == sorted((close_ms, symbol) for symbol, close_ms in known)
    for place, (close_ms, symbol) in enumerate(keys):
        event, outcome = known[symbol, close_ms]
        row = (dataset.end_ms[place], dataset.barrier[place], dataset.gain[place], dataset.cost[place])
        assert row == (outcome.end_ms, outcome.barrier, outcome.gain, outcome.cost)
        assert (dataset.side[place], dataset.risk[place]) == (event.signal.side.sign, event.risk)
    assert dataset.dropped == {UNKNOWN: len(outcomes(made)) - len(known)}


def test_features_are_those_of_the_set_in_its_order() -> None:
    """Their name, version and hash are in the dataset, as the daemon works them out."""
    declared = model_features("own")
    dataset = built(market()).dataset
    assert dataset.names == tuple(feature.name for feature in declared)
    assert dataset.feature_set == make_feature_set("model_own", MODEL_FEATURES_VERSION, Timeframe.M1, declared)
    assert (dataset.strategy, dataset.timeframe_ms) == ("whim", MINUTE_MS)
    assert dataset.features.shape == (len(dataset), len(declared))
    assert np.isfinite(dataset.features).all()
    series = market().candles[SYMBOLS[1]]
    columns = compute(declared, series)
    for place in np.flatnonzero(dataset.symbol_names == SYMBOLS[1])[:20]:
        at = (dataset.close_ms[place] - START_MS) // MINUTE_MS - 1
        assert dataset.features[place] == pytest.approx(
            [columns[name][at] for name in dataset.names], rel=1e-6, abs=1e-6
        )


def test_features_of_the_market_leave_the_symbol_out() -> None:
    """Another history of one symbol changes what the others are told of the market, and nothing of what it is told."""
    name = "model_market_return_1"
    usual = built(market(), features="market").dataset
    assert usual.feature_set.name == "model_market"
    at = usual.names.index(name)
    other = {**market().candles, SYMBOLS[2]: candles(99, MINUTES)}
    changed = built(market(candles=other), features="market").dataset
    for dataset in (usual, changed):
        assert np.isfinite(dataset.features).all()
    same = [
        {
            close: dataset.features[place, at]
            for place, close in enumerate(dataset.close_ms.tolist())
            if dataset.symbol_names[place] == symbol
        }
        for symbol in (SYMBOLS[2], SYMBOLS[0])
        for dataset in (usual, changed)
    ]
    shared = same[0].keys() & same[1].keys()
    assert shared and all(same[0][close] == same[1][close] for close in shared)
    shared = same[2].keys() & same[3].keys()
    assert shared and all(same[2][close] != same[3][close] for close in shared)


def test_the_same_plan_gives_the_same_bytes() -> None:
    one, other = built(market()), built(market())
    for name, value in described(one.dataset).items():
        again = getattr(other.dataset, name)
        same = value.tobytes() == again.tobytes() if isinstance(value, np.ndarray) else value == again
        assert same, name
    assert (one.digests, one.notes, one.effective_count) == (other.digests, other.notes, other.effective_count)


@pytest.mark.untraced
@pytest.mark.parametrize("features", ["own", "market"])
@pytest.mark.parametrize("limits", [False, True])
def test_rows_do_not_change_with_what_comes_after_them(features, limits) -> None:
    """Deleted or corrupted, the future takes away the rows whose outcome it held, and touches no other.

    The open at which the last ones are closed is of the moment itself, so it is left as it was.
    """
    made = market(strategies=(strategy(params=WhimParams(limits=limits)),), end_ms=START_MS + (MINUTES - 1) * MINUTE_MS)
    whole = built(made, features=features).dataset
    for minute in (1000, 1111):
        now_ms = START_MS + minute * MINUTE_MS
        cut = {symbol: series.part(0, minute) for symbol, series in made.candles.items()}
        wild = {symbol: corrupted(series, minute) for symbol, series in made.candles.items()}
        known = whole.rows(whole.end_ms <= now_ms)
        of_the_moment = (known.end_ms == now_ms) & (known.barrier == EXPIRED)
        assert_same(
            built(replace(made, candles=cut, end_ms=now_ms), features=features).dataset, known.rows(~of_the_moment)
        )
        assert_same(built(replace(made, candles=wild, end_ms=now_ms), features=features).dataset, known)
        later = built(replace(made, candles=wild), features=features).dataset
        assert_same(later.rows(later.end_ms <= now_ms), known)
        assert len(known) > 50


def corrupted(series: CandleSeries, minute: int) -> CandleSeries:
    """Nonsense from this minute on, but for its open."""
    columns = {name: getattr(series, name).copy() for name in ("open", "high", "low", "close", "volume")}
    first = columns["open"][minute]
    for column in columns.values():
        column[minute:] *= 7.0
    columns["open"][minute] = first
    columns["low"][minute] = min(first, columns["low"][minute])
    return replace(series, **columns)


def assert_same(one: Dataset, other: Dataset) -> None:
    assert one.symbol_names.tolist() == other.symbol_names.tolist()
    for name in COLUMNS:
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    assert np.array_equal(weighted(one).weight, weighted(other).weight)


def test_four_hours_under_way_are_not_looked_at() -> None:
    """Hours under a strategy of four: what happens in the candle that is forming changes no row of an earlier close."""
    count = 750 * 4 + 400
    made = plan(
        base=Timeframe.H1,
        candles={symbol: hours(count, place) for place, symbol in enumerate(SYMBOLS)},
        start_ms=START_MS + 750 * Timeframe.H4.ms,
        end_ms=START_MS + (count - 1) * Timeframe.H1.ms,
        strategies=(strategy(params=WhimParams(timeframe=Timeframe.H4, rarity=1, minutes=3000)),),
    )
    whole = built(made).dataset
    assert len(whole) > 100
    assert not (whole.close_ms % Timeframe.H4.ms).any()
    forming = count - 4 * 60 + 2  # two hours of its candle have closed
    now_ms = START_MS + forming * Timeframe.H1.ms
    for first in (forming, forming - 2):  # nonsense after these two hours, or in them too
        wild = {symbol: corrupted(series, first) for symbol, series in made.candles.items()}
        changed = built(replace(made, candles=wild)).dataset
        until = now_ms - 2 * Timeframe.H1.ms
        before, after = (each.rows(each.close_ms <= until) for each in (whole, changed))
        assert np.array_equal(before.features, after.features)
        assert np.array_equal(before.close_ms, after.close_ms)


def test_a_row_with_what_is_no_number_is_dropped_and_counted(monkeypatch) -> None:
    usual = built(market()).dataset
    real = building.events_of

    def spoiled(*arguments):
        for place, event in enumerate(real(*arguments)):
            values = (*event.entry.evidence[:-1], nan if place % 2 else float("inf"))
            bad = place % 4 < 2
            yield replace(event, entry=replace(event.entry, evidence=values)) if bad else event

    monkeypatch.setattr(building, "events_of", spoiled)
    dataset = built(market()).dataset
    assert np.isfinite(dataset.features).all()
    assert len(dataset) + dataset.dropped["feature_not_finite"] + dataset.dropped.get(UNKNOWN, 0) == (
        len(usual) + usual.dropped[UNKNOWN]
    )
    assert dataset.dropped["feature_not_finite"] > 50


def test_what_is_no_row_is_counted_by_its_reason() -> None:
    """Refused by the config, never filled at its limit, not over by the end."""
    params = WhimParams(limits=True, rarity=2)
    refused = rules(entry=EntryRules(minimum_lifetime_ms=4 * MINUTE_MS))
    dataset = built(market(strategies=(strategy(params=params),), rules=refused)).dataset
    assert set(dataset.dropped) == {"entry_expired", "lifetime_too_short", UNKNOWN}
    assert min(dataset.dropped.values()) > 0


def test_symbols_that_are_too_short_are_named_and_left_out() -> None:
    count = 24 * 60
    made = plan(
        base=Timeframe.H1,
        candles={
            SYMBOLS[0]: hours(count),
            SYMBOLS[1]: hours(count, 2, after=0),
            SYMBOLS[2]: hours(240, 3, after=count - 240),
        },
        start_ms=START_MS + 30 * DAY_MS,
        end_ms=START_MS + 60 * DAY_MS,
        strategies=(strategy(params=WhimParams(timeframe=Timeframe.H1, minutes=600)),),
    )
    found = built(made, history=HistoryTerms(minimum_days=15, target_days=40))
    assert found.dataset.symbols == SYMBOLS[:2]
    assert set(found.dataset.symbol_names) == set(SYMBOLS[:2])
    assert [each.symbol for each in found.histories if each.problem] == [SYMBOLS[2]]
    assert found.notes[0] == "the range asked for holds 30 days, and 40 days should be learnt from"
    assert any(note.startswith(f"{SYMBOLS[2]}: 10 days of candles, and less than 15 days") for note in found.notes)
    assert set(found.digests) == set(SYMBOLS[:2])
    assert (found.start_ms, found.end_ms) == (made.start_ms, made.end_ms)


def test_no_symbol_at_all_is_refused_with_each_reason(monkeypatch) -> None:
    with pytest.raises(BadInput, match="no symbol has history enough") as caught:
        built(market(), history=HistoryTerms())
    assert all(f"{symbol}: " in str(caught.value) for symbol in SYMBOLS)
    monkeypatch.setattr(building, "NAMED", 2)
    with pytest.raises(BadInput, match=r"; and 1 more$"):
        built(market(), history=HistoryTerms())


def test_a_symbol_whose_features_have_not_settled_is_named() -> None:
    """Long enough to be learnt from, and none of its closes can be asked about."""
    young = {**market().candles, SYMBOLS[1]: candles(5, 500, first_ms=START_MS + 700 * MINUTE_MS)}
    found = built(market(candles=young))
    assert set(found.dataset.symbol_names) == {SYMBOLS[0], SYMBOLS[2]}
    assert any(note.startswith(f"{SYMBOLS[1]}: strategy whim needs") for note in found.notes)
    with pytest.raises(BadInput, match="closed candles of 1m before its first decision"):
        built(market(400, start_ms=START_MS + 100 * MINUTE_MS))


@pytest.mark.parametrize("features", ["own", "market"])
def test_candles_with_a_hole_of_days_are_refused(features) -> None:
    holed = {**market().candles, SYMBOLS[1]: without(hours(24 * 60), set(range(800, 860)))}
    made = plan(
        base=Timeframe.H1,
        candles={symbol: holed[SYMBOLS[1]] if symbol == SYMBOLS[1] else hours(24 * 60, 3) for symbol in SYMBOLS},
        start_ms=START_MS + 30 * DAY_MS,
        end_ms=START_MS + 60 * DAY_MS,
        strategies=(strategy(params=WhimParams(timeframe=Timeframe.H1)),),
    )
    with pytest.raises(BadInput, match=f"{SYMBOLS[1]}: no candles from"):
        built(made, features=features)


def test_what_is_not_there_is_named() -> None:
    with pytest.raises(BadInput, match="there is no set of model features 'more'"):
        built(market(), features="more")
    with pytest.raises(BadInput, match="the plan has no strategy 'other'"):
        build_dataset(market(), "other", history=NO_NEEDS)


def test_weights_are_as_asked_for() -> None:
    one = built(market(), balance=SymbolBalance.EQUAL)
    dataset = one.dataset
    assert np.array_equal(dataset.weight, weighted(dataset, SymbolBalance.EQUAL).weight)
    sums = [dataset.weight[dataset.symbol == code].sum() for code in range(3)]
    assert sums == pytest.approx([len(dataset) / 3] * 3)
    assert one.effective_count == pytest.approx(effective_count(dataset))
    apart = built(market(), across_symbols=False)
    assert apart.effective_count > one.effective_count
    unique = uniqueness(dataset, across_symbols=False)
    assert apart.dataset.weight == pytest.approx(unique / unique.mean())


def test_digests_are_of_the_candles_that_were_used() -> None:
    """A changed volume before the start is another; a candle after the end is not."""
    made = market(end_ms=START_MS + (MINUTES - 100) * MINUTE_MS)
    usual = built(made).digests
    assert len({*usual.values()}) == 3
    for place, differs in ((3, True), (MINUTES - 100, True), (MINUTES - 99, False)):
        volume = made.candles[SYMBOLS[0]].volume.copy()
        volume[place] += 1
        changed = {**made.candles, SYMBOLS[0]: replace(made.candles[SYMBOLS[0]], volume=volume)}
        digests = built(replace(made, candles=changed)).digests
        assert (digests[SYMBOLS[0]] != usual[SYMBOLS[0]]) == differs
        assert digests[SYMBOLS[1]] == usual[SYMBOLS[1]]


@pytest.mark.parametrize("features", ["own", "market"])
def test_progress_rises_to_the_whole(features) -> None:
    heard: list[tuple[int, int]] = []
    built(market(), features=features, progress=lambda done, whole: heard.append((done, whole)))
    assert {whole for _, whole in heard} == {3 * (MINUTES - FROM)}
    assert [done for done, _ in heard] == sorted(done for done, _ in heard)
    assert heard[-1] == (3 * (MINUTES - FROM),) * 2
    assert 20 < len(heard) <= 220


def test_a_trade_that_ends_with_the_open_it_began_with_is_a_row() -> None:
    """Where the market jumps over the target: known a minute after its close, never at it."""
    jumpy = {symbol: candles(place, MINUTES, volatility=0.01) for place, symbol in enumerate(SYMBOLS)}
    made = market(candles=jumpy, strategies=(strategy(params=WhimParams(stop=0.001, target=0.001)),))
    dataset = built(made).dataset
    jumped = (dataset.end_ms - dataset.close_ms == MINUTE_MS) & (dataset.barrier == TARGET)
    opens = [
        jumpy[symbol].open[(close - START_MS) // MINUTE_MS]
        for symbol, close in zip(dataset.symbol_names, dataset.close_ms, strict=True)
    ]
    closes = [
        jumpy[symbol].close[(close - START_MS) // MINUTE_MS - 1]
        for symbol, close in zip(dataset.symbol_names, dataset.close_ms, strict=True)
    ]
    beyond = dataset.side * (np.array(opens) / closes - 1) > 0.0011
    assert np.count_nonzero(jumped & beyond) > 5


def test_costs_are_those_of_the_plan() -> None:
    dear = built(market(fills=FillModel(slippage=Decimal("0.002")))).dataset
    cheap = built(market()).dataset
    assert dear.cost.mean() > cheap.cost.mean() + 0.001
    assert dear.gain.mean() < cheap.gain.mean() - 0.001


@pytest.mark.untraced
@needs_spot
def test_real_hours_make_rows_for_each_symbol() -> None:
    made = real_plan("mean_reversion", days=365, timeframe=Timeframe.H1, expiry_minutes=1440)
    found = build_dataset(made, "mean_reversion")
    counts = np.bincount(found.dataset.symbol, minlength=5)
    assert (counts > 50).all()
    assert found.notes == ("the range asked for holds 365 days, and 730 days should be learnt from",)
    assert 100 < found.effective_count < len(found.dataset) / 4  # many closes in a row are one occasion
