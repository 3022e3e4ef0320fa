"""Drift: what the figures are, how late they tell of a fall, how seldom they cry wolf, and what is held."""

import sys
from decimal import Decimal
from math import log

import numpy as np
import pytest

from livebot.core.facts import NO_EXPOSURE, EntryCancelled, SignalClosed, SignalOpening
from livebot.core.market import Side
from livebot.core.signal import CancelReason, CloseReason
from livebot.learning import drift_watch
from livebot.learning.description import bins_of
from livebot.learning.drift import (
    DriftTerms,
    SpreadPool,
    TradePool,
    binned,
    calibration_error,
    stability_bound,
    stability_index,
    step_cusum,
)
from livebot.learning.drift_watch import SOURCE, DriftWatch, problems_of, sentence_of
from livebot.learning.manifest import Bins
from livebot.model_ports import Judgement, Question

DECILES = np.arange(1, 10) / 10
EVEN = np.full(10, 0.1)
TERMS = DriftTerms()


# ---------------------------------------------------------------- how values are spread


def test_what_moved_as_far_in_training_is_no_move():
    """A volatility of weeks has one of few values in any season: its rows are not independent."""
    terms = DriftTerms(trades=200, minimum_trades=50)
    season = np.repeat(np.random.default_rng(3).permutation(20), 100) + np.linspace(0.0, 0.5, 2_000)
    steady = np.random.default_rng(4).normal(size=2_000)
    for values, moves in ((season, False), (steady, True)):
        bins = bins_of(values)
        pool = SpreadPool(np.array([bins.edges]), np.array([bins.shares]), np.array([bins.usual]), terms)
        for value in np.full(200, np.quantile(values, 0.52)):
            pool.add(np.array([value]))
        assert bool(pool.indexes()[0] > pool.bounds()[0]) is moves
    assert bins_of(steady).usual < 0.4
    assert bins_of(steady[:199]).usual == 0.0  # too few to say


def test_a_value_belongs_to_the_bin_that_ends_with_it():
    assert binned(np.array([0.1, 0.1000001, 0.95]), DECILES).tolist() == [1, 1, 0, 0, 0, 0, 0, 0, 0, 1]


def test_the_index_is_zero_where_nothing_moved_and_by_hand_elsewhere():
    assert stability_index(EVEN, np.full(10, 1000)) == pytest.approx(0, abs=1e-12)
    half = np.array([0.5, 0.5])
    seen = np.array([750_000, 250_000])
    assert stability_index(half, seen) == pytest.approx(0.25 * log(1.5) - 0.25 * log(0.5), rel=1e-4)


def test_a_bin_that_was_empty_in_training_gives_no_infinite_index():
    assert np.isfinite(stability_index(np.array([1.0, 0.0]), np.array([5, 5])))
    with pytest.raises(ValueError, match="no row"):
        stability_index(EVEN, np.zeros(10, dtype=np.int64))


def test_few_rows_widen_the_bound_and_many_leave_it_as_configured():
    assert stability_bound(10, 50, 0.25, 30) > 0.9
    assert stability_bound(10, 1000, 0.25, 30) == 0.25


@pytest.mark.parametrize("rows", [50, 100, 500])
def test_by_chance_alone_hardly_any_of_thirty_features_moves(rows):
    random = np.random.default_rng(rows)
    bound = stability_bound(10, rows, 0.25, 30)
    found = [stability_index(EVEN, binned(random.random(rows), DECILES)) > bound for _ in range(600)]
    assert sum(found) == 0


def test_a_feature_that_has_moved_by_one_deviation_is_seen():
    random = np.random.default_rng(1)
    edges = np.quantile(random.normal(size=100_000), DECILES)
    moved = stability_index(EVEN, binned(random.normal(1.0, size=300), edges))
    assert moved > stability_bound(10, 300, 0.25, 30)


# ---------------------------------------------------------------- wins against what was said


def until_alarm(random: np.random.Generator, hit_rate: float, most: int) -> int:
    total, trades = 0.0, 0
    while total <= TERMS.cusum and trades < most:
        total = step_cusum(total, 0.55, bool(random.random() < hit_rate), TERMS.hit_rate_fall)
        trades += 1
    return trades


def test_the_sum_rises_with_losses_falls_with_wins_and_never_below_zero():
    lost = step_cusum(0.0, 0.55, won=False, fall=0.1)
    assert lost == pytest.approx(log(0.55 / 0.45))
    assert step_cusum(lost, 0.55, won=True, fall=0.1) == pytest.approx(lost + log(0.45 / 0.55))
    assert step_cusum(0.0, 0.55, won=True, fall=0.1) == 0.0
    assert np.isfinite(step_cusum(0.0, 0.0, won=True, fall=0.1))
    assert np.isfinite(step_cusum(0.0, 1.0, won=False, fall=0.1))


def test_a_fall_from_055_to_045_is_told_after_about_174_trades():
    random = np.random.default_rng(2)
    delays = [until_alarm(random, 0.45, 5_000) for _ in range(400)]
    assert 150 <= np.median(delays) <= 200


def test_without_a_fall_it_is_told_every_7_700_trades_or_so():
    random = np.random.default_rng(3)
    runs = [until_alarm(random, 0.55, 100_000) for _ in range(25)]
    assert 4_500 <= np.mean(runs) <= 13_000


def test_the_calibration_error_is_the_mean_distance_and_chance_is_allowed_for():
    confidences = np.full(50, 0.6)
    error, chance = calibration_error(confidences, np.arange(50) < 20)
    assert error == pytest.approx(0.2)
    assert chance > 0.2  # of fifty trades nobody knows it so exactly
    error, chance = calibration_error(np.full(5_000, 0.6), np.arange(5_000) < 2_000)
    assert error > 0.15 > chance
    with pytest.raises(ValueError, match="no row"):
        calibration_error(np.zeros(0), np.zeros(0, dtype=np.bool_))


def test_errors_of_opposite_sign_do_not_cancel():
    low, high = np.full(500, 0.3), np.full(500, 0.7)
    won = np.arange(1000) % 2 == 0  # half of either
    error, _ = calibration_error(np.concatenate([low, high]), won)
    assert error == pytest.approx(0.2)


def test_a_pool_forgets_what_is_older_than_it_holds():
    pool = TradePool(DriftTerms(trades=10, minimum_trades=5))
    for _ in range(20):
        pool.add(0.6, won=False)
    for _ in range(10):
        pool.add(0.5, won=True)
    standing = pool.standing()
    assert (standing.seen, standing.trades, standing.said, standing.won) == (30, 10, 0.5, 1.0)


def test_a_pool_says_nothing_before_it_has_trades_enough():
    pool = TradePool(DriftTerms(trades=100, minimum_trades=50, cusum=1.0))
    assert pool.standing().won is None
    for _ in range(49):
        pool.add(0.6, won=False)
    assert pool.standing().worn == ()
    pool.add(0.6, won=False)
    assert any("wins less often" in text for text in pool.standing().worn)
    assert any("off by" in text for text in pool.standing().worn)


def test_a_spread_counts_the_rows_it_holds_and_no_others():
    terms = DriftTerms(trades=100, minimum_trades=10)
    pool = SpreadPool(np.array([DECILES]), np.array([EVEN]), np.zeros(1), terms)
    assert pool.indexes().tolist() == [0.0]
    random = np.random.default_rng(4)
    for value in random.uniform(0.9, 1.0, 150):
        pool.add(np.array([value]))
    moved = pool.indexes()[0]
    assert moved > pool.bounds()[0]
    held = random.random(100)
    for value in held:
        pool.add(np.array([value]))
    assert pool.rows == 100
    assert pool.indexes()[0] == pytest.approx(stability_index(EVEN, binned(held, DECILES)))


# ---------------------------------------------------------------- the watch


class ManifestLike:
    """What the watch looks at of a manifest."""

    feature_names = ("one",)
    feature_set = "catalogue 1 timeframe 1h\none = ratio('close', 'open')"
    feature_bins = (Bins(edges=tuple(DECILES.tolist()), shares=tuple(EVEN.tolist())),)
    score_bins = feature_bins[0]


def signal(number: int, symbol: str = "A", model: str | None = "s/v1", confidence: float | None = 0.6) -> SignalOpening:
    return SignalOpening(
        strategy="s",
        symbol=symbol,
        sequence=number * 10,
        ts_ms=number,
        signal_id=f"s/{symbol}#{number}",
        side=Side.LONG,
        exposure=NO_EXPOSURE,
        quantity=Decimal(1),
        reference_price=Decimal(100),
        stop_loss=Decimal(90),
        take_profit=Decimal(110),
        confidence=confidence,
        reason="tried",
        model=model,
    )


def closed(opening: SignalOpening, *, won: bool) -> SignalClosed:
    return SignalClosed(
        strategy="s",
        symbol=opening.symbol,
        sequence=opening.sequence + 1,
        ts_ms=opening.ts_ms + 1,
        signal_id=opening.signal_id,
        side=Side.LONG,
        exposure=NO_EXPOSURE,
        reason=CloseReason.TAKE_PROFIT,
        opened_ms=opening.ts_ms,
        quantity=Decimal(1),
        entry_price=Decimal(100),
        exit_price=Decimal(101),
        fees=Decimal(0),
        pnl_net=Decimal(1) if won else Decimal(-1),
        pnl_ratio=Decimal("0.01"),
    )


def cancelled(opening: SignalOpening) -> EntryCancelled:
    return EntryCancelled(
        strategy="s",
        symbol=opening.symbol,
        sequence=opening.sequence + 1,
        ts_ms=opening.ts_ms + 1,
        signal_id=opening.signal_id,
        side=Side.LONG,
        exposure=NO_EXPOSURE,
        reason=CancelReason.OPERATOR,
        text="",
    )


def watch_of(terms: DriftTerms = TERMS) -> DriftWatch:
    return DriftWatch(terms, lambda _name: ManifestLike())


def play(watch: DriftWatch, outcomes: list[bool], *, first: int = 0, symbol: str = "A", model: str = "s/v1") -> None:
    for number, won in enumerate(outcomes, first):
        opening = signal(number, symbol, model)
        watch.hear((opening, closed(opening, won=won)))


def ask(watch: DriftWatch, value: float, confidence: float | None, model: str | None = "s/v1") -> None:
    question = Question(strategy="s", symbol="A", side=Side.LONG, close_ms=1, evidence=(value,))
    watch.saw((question,), (Judgement(confidence=confidence, model=model),))


def test_trades_are_counted_with_what_was_said_of_them_pooled_and_by_symbol():
    watch = watch_of()
    play(watch, [True, False, False])
    play(watch, [True], symbol="B")
    (standing,) = watch.standings()
    assert (standing.model, standing.all_symbols.trades, standing.all_symbols.won) == ("s/v1", 4, 0.5)
    assert {name: each.trades for name, each in standing.symbols.items()} == {"A": 3, "B": 1}
    assert standing.all_symbols.said == pytest.approx(0.6)


def test_what_no_model_let_through_counts_for_none():
    watch = watch_of()
    without = signal(1, model=None, confidence=None)
    unheard, taken_back = signal(2), signal(3)
    watch.hear((without, closed(without, won=True), closed(unheard, won=True), taken_back, cancelled(taken_back)))
    watch.hear((closed(taken_back, won=True),))
    assert [each.all_symbols.trades for each in watch.standings()] == [0]


def test_a_new_version_begins_anew_and_what_the_old_one_opened_is_not_its_own():
    watch = watch_of()
    play(watch, [False] * 60)
    open_still = signal(100)
    watch.hear((open_still,))
    new = signal(101, model="s/v2")
    watch.hear((new, closed(open_still, won=False), closed(new, won=True)))
    (standing,) = watch.standings()
    assert (standing.model, standing.all_symbols.trades, standing.worn) == ("s/v2", 1, ())


def test_a_planted_fall_of_the_hit_rate_is_told_in_a_sentence_and_lifted_by_a_new_version():
    watch = watch_of()
    random = np.random.default_rng(5)
    play(watch, (random.random(400) < 0.6).tolist())
    assert problems_of(watch.standings()) == {f"{SOURCE}s": None}
    play(watch, (random.random(400) < 0.4).tolist(), first=400)
    said = problems_of(watch.standings())[f"{SOURCE}s"]
    assert said is not None
    assert "model s/v1 wears out: it wins less often than it says" in said
    play(watch, [True], first=900, model="s/v2")
    assert problems_of(watch.standings()) == {f"{SOURCE}s": None}


def test_a_symbol_that_falls_alone_is_named():
    watch = watch_of()
    random = np.random.default_rng(6)
    play(watch, (random.random(2_000) < 0.62).tolist(), symbol="GOOD")
    play(watch, (random.random(120) < 0.2).tolist(), first=5_000, symbol="BAD")
    (standing,) = watch.standings()
    assert standing.symbols["BAD"].worn
    assert not standing.symbols["GOOD"].worn
    assert any(text.startswith("in BAD ") for text in standing.worn)


def test_features_and_confidences_that_have_moved_are_told():
    watch = watch_of()
    random = np.random.default_rng(7)
    for value, confidence in zip(random.random(200), random.random(200), strict=True):
        ask(watch, value, confidence)
    (standing,) = watch.standings()
    assert (standing.rows, standing.worn) == (200, ())
    for value in random.uniform(0.8, 1.0, 400):
        ask(watch, value, float(value))
    (standing,) = watch.standings()
    assert list(standing.moved) == ["one"]
    assert "one (PSI" in str(sentence_of(standing))
    assert "its confidences have moved" in str(sentence_of(standing))


def test_the_time_of_the_week_wears_out_no_model():
    """A few days hold other weekdays than a year does."""

    class OfTime(ManifestLike):
        feature_set = "catalogue 1 timeframe 1h\none = weekday_sine('open_time')"

    watch = DriftWatch(TERMS, lambda _name: OfTime())
    for value in np.random.default_rng(7).random(400):
        ask(watch, 0.9, value)
    (standing,) = watch.standings()
    assert (standing.rows, standing.indexes, standing.worn) == (400, {}, ())


def test_what_was_refused_without_a_confidence_or_is_no_number_is_no_row():
    watch = watch_of()
    ask(watch, 0.5, None)
    ask(watch, float("nan"), 0.5)
    ask(watch, 0.5, 0.5, model=None)
    question = Question(strategy="s", symbol="A", side=Side.LONG, close_ms=1, evidence=(0.1, 0.2))
    watch.saw((question,), (Judgement(confidence=0.5, model="s/v1"),))
    assert [each.rows for each in watch.standings()] == [0]


def test_a_model_whose_manifest_is_not_there_is_watched_by_its_trades_alone():
    watch = DriftWatch(TERMS, lambda _name: None)
    play(watch, [True])
    ask(watch, 0.5, 0.5)
    (standing,) = watch.standings()
    assert (standing.all_symbols.trades, standing.rows, standing.score_index) == (1, 0, None)


def test_what_is_held_is_bounded_however_long_it_listens(monkeypatch):
    monkeypatch.setattr(drift_watch, "OPEN_MAX", 50)
    watch = watch_of(DriftTerms(trades=10, minimum_trades=5, symbols=4))
    for number in range(300):
        watch.hear((signal(number, symbol=f"S{number % 20}", model=f"scope{number % 7}/v1"),))
    assert len(watch._open) <= 50
    for number in range(300):
        opening = signal(1_000 + number, symbol=f"S{number % 20}", model=f"scope{number % 3}/v1")
        watch.hear((opening, closed(opening, won=True)))
    assert len(watch.standings()) <= 4
    assert sum(len(each.symbols) for each in watch.standings()) <= 4


def test_listening_imports_nothing_heavy():
    import subprocess

    code = "import sys, livebot.learning.drift_watch; print([m for m in ('sklearn', 'joblib', 'scipy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
