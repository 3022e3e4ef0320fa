"""The audit finds what looks ahead, in the strategy, in a feature and in a fill, and nothing where nothing does."""

from array import array

import numpy as np
import pytest

from livebot.backtest import account
from livebot.backtest.audit import future as audit_future
from livebot.backtest.audit.audit import CORRUPTED, TRUNCATED, audit
from livebot.backtest.audit.compare import Kind
from livebot.backtest.audit.future import corrupted, truncated
from livebot.backtest.audit.points import points_of
from livebot.backtest.audit.watch import Watched, watching
from livebot.backtest.run import run
from livebot.core.market import MINUTE_MS, Timeframe, decimal_of
from livebot.errors import Fatal
from livebot.features import arithmetic
from livebot.features.timeframes import check_series
from livebot.strategies.breakout import Breakout, BreakoutParams
from livebot.strategies.ema_cross import EmaCross, EmaCrossParams
from livebot.strategies.mean_reversion import MeanReversion, MeanReversionParams
from tests.backtest.peekers import (
    Contextual,
    Hasty,
    NeedsTheNext,
    Nervous,
    NextClose,
    NextOpen,
    NoParams,
    Scaled,
    WholeSample,
)
from tests.backtest.plans import START_MS, SYMBOLS, candles, plan, strategy, without
from tests.backtest.whims import Follower, FollowerParams, Restless, WhimParams


def nobody(_done, _whole):
    pass


def audited(*strategies, minutes=300, points=8, jobs=1, seed=1, **changes):
    changed = plan(minutes, strategies=strategies, **changes)
    return audit(changed, nobody, points=points, seed=seed, jobs=jobs)


def peeker(kind):
    return strategy(kind, NoParams())


# What looks ahead is found


@pytest.mark.untraced
@pytest.mark.parametrize("kind", [NextClose, NextOpen, WholeSample])
def test_a_strategy_that_reads_past_its_view_is_found(kind):
    found = audited(peeker(kind))
    assert not found.clean
    named = [each.first for each in found.findings if each.first.kind is Kind.DECISION]
    assert {peek.strategy for peek in named} == {kind.name}
    assert {peek.symbol for peek in named} <= set(SYMBOLS)
    for peek in named:
        assert peek.name == "decide" and peek.before != peek.after
        assert START_MS < peek.ts_ms <= START_MS + 300 * MINUTE_MS
    assert not [each for each in found.findings if each.first.kind is Kind.FEATURE]


@pytest.mark.untraced
def test_a_peek_by_one_candle_shows_at_the_moment_from_which_the_future_is_another():
    found = audited(peeker(NextClose), points=12)
    for each in found.findings:
        if each.first.kind is Kind.DECISION:
            assert each.first.ts_ms == each.moment_ms
            assert each.change in (TRUNCATED, CORRUPTED)
            assert 0 < each.count <= 12


def test_a_strategy_that_cannot_be_asked_without_the_future_is_found():
    found = audited(peeker(NeedsTheNext))
    failure = next(each.first for each in found.findings if each.first.kind is Kind.FAILURE)
    assert "needs_the_next" in failure.strategy
    assert "no next candle" in failure.after


@pytest.mark.untraced
@pytest.mark.parametrize(
    "cheat",
    [
        lambda values, factor: (values - values.mean()) * factor,
        lambda values, factor: np.convolve(values, np.ones(3), "same") * factor,
    ],
    ids=["normalised over the whole sample", "centred"],
)
def test_a_feature_that_is_made_of_later_candles_is_named_with_both_values(monkeypatch, cheat):
    monkeypatch.setitem(arithmetic._ARRAYS, "scaled", cheat)
    found = audited(peeker(Scaled))
    features = [each.first for each in found.findings if each.first.kind is Kind.FEATURE]
    assert {(peek.strategy, peek.name) for peek in features} == {("scaled", "tenth")}
    assert {peek.symbol for peek in features} == set(SYMBOLS)
    assert all(float(peek.before) != float(peek.after) for peek in features)


def test_a_fill_at_a_price_that_nobody_knew_is_found(monkeypatch):
    def price(self, symbol):
        tape = self._tapes[symbol]
        return decimal_of(tape.close.item(min(self.minute, tape.stop - 1) - tape.first))

    monkeypatch.setattr(account.Account, "price", price)
    found = audited(strategy(params=WhimParams()))
    facts = [each.first for each in found.findings if each.first.kind is Kind.FACT]
    assert facts
    assert "price" in facts[0].before


# What does not is left in peace


@pytest.mark.untraced
@pytest.mark.parametrize(
    "honest",
    [
        strategy(params=WhimParams(limits=True)),
        strategy(Restless, WhimParams()),
        strategy(Follower, FollowerParams()),
        peeker(Contextual),
        peeker(Scaled),
    ],
    ids=lambda each: each.id,
)
@pytest.mark.parametrize("latency_ms", [0, 700])
def test_an_honest_strategy_is_clean(honest, latency_ms):
    found = audited(honest, latency_ms=latency_ms, minutes=200, points=4)
    assert found.findings == ()
    assert found.untried == ()
    assert len(found.points) == 4


@pytest.mark.untraced
def test_the_shipped_strategies_are_clean():
    found = audited(
        strategy(EmaCross, EmaCrossParams(timeframe=Timeframe.M1, fast=3, slow=9, rsi_period=5, expiry_minutes=30)),
        strategy(Breakout, BreakoutParams(timeframe=Timeframe.M1, channel=8, atr_period=5, expiry_minutes=30)),
        strategy(MeanReversion, MeanReversionParams(timeframe=Timeframe.M1, period=12, threshold=1.5, atr_period=5)),
        minutes=420,
        points=4,
        start_ms=START_MS + 300 * MINUTE_MS,
    )
    assert found.findings == ()
    assert found.decisions > 20
    assert found.clean


def test_gaps_and_symbols_that_begin_late_are_no_peek():
    parts = {symbol: candles(place, 400, volatility=0.002) for place, symbol in enumerate(SYMBOLS)}
    parts[SYMBOLS[1]] = parts[SYMBOLS[1]].part(250, 400)
    parts[SYMBOLS[2]] = without(parts[SYMBOLS[2]], {180, 181, 330})
    found = audited(strategy(params=WhimParams()), peeker(Contextual), minutes=400, candles=parts, points=6)
    assert found.findings == ()
    assert found.untried == ()


@pytest.mark.untraced
def test_a_strategy_that_begins_late_is_left_out_of_what_comes_before():
    slow = strategy(EmaCross, EmaCrossParams(timeframe=Timeframe.M1, fast=3, slow=9, rsi_period=10, expiry_minutes=30))
    found = audited(strategy(params=WhimParams()), slow, minutes=400, points=8)
    assert slow.make().warmup > 250
    assert found.points[0] < START_MS + 200 * MINUTE_MS < START_MS + 300 * MINUTE_MS < found.points[-1]
    assert found.findings == ()
    assert found.untried == ()


def test_after_the_moment_nobody_is_asked_so_nobody_can_fail_over_what_never_was():
    found = audited(peeker(Nervous), points=4)
    assert found.findings == ()
    assert found.untried == ()


def test_longer_candles_are_audited_at_their_own_closes():
    parts = {symbol: candles(place, 200, step=60) for place, symbol in enumerate(SYMBOLS)}
    hour = 60 * MINUTE_MS
    found = audited(
        strategy(EmaCross, EmaCrossParams(timeframe=Timeframe.H1, fast=2, slow=5, rsi_period=2)),
        candles=parts,
        base=Timeframe.H1,
        start_ms=START_MS + 100 * hour,
        end_ms=START_MS + 200 * hour,
    )
    assert found.findings == ()
    assert all(point % hour == 0 for point in found.points)


def test_more_processes_find_the_same():
    one, two = (audited(peeker(NextClose), jobs=jobs, minutes=200, points=3) for jobs in (1, 2))
    assert one == two
    assert not one.clean


def test_a_future_that_cannot_be_run_is_told(monkeypatch):
    def broken(*_):
        raise Fatal("the disk is gone")

    whole = plan(200)
    real = audit_future.truncated
    calls = []

    def once(given, moment):
        calls.append(moment)
        return real(given, moment)

    monkeypatch.setattr("livebot.backtest.audit.audit.truncated", once)
    monkeypatch.setattr("livebot.backtest.audit.audit.columns_of", lambda given: broken() if calls else {})
    found = audit(whole, nobody, points=2)
    assert len(found.untried) == 4
    assert all("the disk is gone" in text for text in found.untried)


# Moments


def watched_run(**changes):
    watched = Watched()
    made = plan(**changes)
    return made, watched, run(watching(made, watched)).facts


def test_moments_are_bounded_seeded_and_stand_at_decisions_and_fills():
    made, watched, facts = watched_run()
    points = points_of(made, watched, facts, 12, 1)
    assert points == points_of(made, watched, facts, 12, 1)
    assert points != points_of(made, watched, facts, 12, 2)
    assert len(points) == 12
    decided = {at for times in watched.entries().values() for at in times}
    assert len(decided & set(points)) >= 6
    assert all(made.start_ms < point < made.end_ms for point in points)
    assert max(points) - min(points) > 0.6 * (made.end_ms - made.start_ms)


def test_without_a_decision_moments_stand_anywhere():
    made, watched, facts = watched_run(strategies=(strategy(params=WhimParams(rarity=251)),), minutes=140)
    assert len(points_of(made, watched, facts, 6, 1)) == 6


def test_who_was_never_asked_has_no_moments():
    made = plan()
    assert points_of(made, Watched(), (), 6, 1) == ()
    late = Watched(asked={("whim", SYMBOLS[0], "decide"): array("q", [made.end_ms])})
    assert points_of(made, late, (), 6, 1) == ()


# Futures


def test_another_future_leaves_the_past_to_the_last_bit_and_can_be_true():
    made = plan()
    moment = START_MS + 150 * MINUTE_MS
    changed = corrupted(made, moment, 1, 0.6)
    for symbol in SYMBOLS:
        ours, theirs = made.candles[symbol], changed.candles[symbol]
        check_series(theirs, Timeframe.M1)
        for name in ("ts_ms", "open", "high", "low", "close", "volume"):
            assert np.array_equal(getattr(ours, name)[:150], getattr(theirs, name)[:150])
        assert not np.any(ours.close[150:] == theirs.close[150:])
        assert theirs.close[150:].mean() < 0.8 * ours.close[149]
        assert np.allclose(np.round(theirs.close, 2), theirs.close, rtol=0, atol=1e-12)


def test_a_cut_leaves_the_open_at_which_orders_fill_and_nothing_else_of_its_candle():
    made = plan()
    moment = START_MS + 150 * MINUTE_MS
    cut = truncated(made, moment)
    last = cut.candles[SYMBOLS[0]].part(150, 151)
    assert cut.end_ms == moment and len(cut.candles[SYMBOLS[0]]) == 151
    assert last.open == made.candles[SYMBOLS[0]].open[150]
    assert last.high == last.low == last.close == last.open and last.volume == 0


# Warm-ups


def test_a_warm_up_that_is_too_short_is_found_and_what_would_do_is_said():
    found = audited(peeker(Hasty), minutes=1_500, points=1)
    slow, mean = found.warm_ups
    assert found.findings == () and not found.clean
    assert (slow.feature, slow.declared, slow.holds) == ("slow", 45, False)
    assert slow.error > 1e-5
    assert 150 < slow.needed < 400
    assert (mean.feature, mean.declared, mean.needed, mean.holds) == ("mean", 5, 5, True)


def test_a_declared_warm_up_of_others_holds_too():
    found = audited(peeker(Contextual), minutes=300, points=1)
    (market,) = found.warm_ups
    assert market.holds and market.declared == 6 and market.needed == 6


def test_a_feature_that_remembers_for_ever_is_off_with_any_warm_up(monkeypatch):
    monkeypatch.setitem(arithmetic._ARRAYS, "scaled", lambda values, factor: np.cumsum(values) * factor)
    found = audited(peeker(Scaled), points=1)
    assert found.findings == ()  # it knows nothing of the future
    tenth = found.warm_ups[0]
    assert not tenth.holds and tenth.needed is None and tenth.tried >= 70


def test_too_few_candles_tell_nothing_about_a_warm_up():
    found = audited(peeker(Hasty), minutes=80, points=1, start_ms=START_MS + 50 * MINUTE_MS)
    assert found.warm_ups[0].error is None and found.warm_ups[0].needed is None
    assert found.warm_ups[0].holds


def test_a_value_that_is_not_there_yet_is_no_settled_one(monkeypatch):
    def late(values, factor):
        return np.where(np.arange(len(values)) < 9, np.nan, values * factor)

    monkeypatch.setitem(arithmetic._ARRAYS, "scaled", late)
    tenth = audited(peeker(Scaled), points=1).warm_ups[0]
    assert tenth.error == float("inf") and tenth.needed == 10
