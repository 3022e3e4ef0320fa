"""What is passed over changes nothing: a run that skips gives the facts of one that looks at every candle."""

import multiprocessing
import os
import signal
from dataclasses import fields, replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from livebot.backtest.plan import BacktestPlan, FundingRates
from livebot.backtest.result import BacktestResult
from livebot.backtest.run import run
from livebot.core.entry import Averaging, BreakEven, Entry, ExitPlan, PartialLevel, Trailing
from livebot.core.facts import EntryCancelled, SignalClosed
from livebot.core.limits import Limits
from livebot.core.market import MINUTE_MS, Timeframe
from livebot.core.performance import WinRate
from livebot.core.rules import (
    CappedKelly,
    FixedNotional,
    FractionOfEquity,
    LimitEntries,
    RiskToStop,
    VolatilityParity,
)
from livebot.errors import Fatal
from livebot.runtime.settings import LossAction, LossLimit, RoundSettings
from livebot.simulator.matching import FillModel
from livebot.strategies.interface import View
from tests.backtest.plans import START_MS, SYMBOLS, candles, instrument, plan, rules, strategy, without
from tests.backtest.whims import Follower, FollowerParams, Restless, Whim, WhimParams, smallest


def ratio(low: int, high: int) -> st.SearchStrategy[Decimal]:
    """So many thousandths."""
    return st.integers(low, high).map(lambda value: Decimal(value) / 1000)


EXITS = st.builds(
    ExitPlan,
    trailing=st.none() | st.builds(Trailing, distance=ratio(1, 6), after=ratio(0, 4)),
    break_even=st.none() | st.builds(BreakEven, after=ratio(2, 5), offset=ratio(0, 1)),
    partial_levels=st.sampled_from(
        [
            (),
            (PartialLevel(gain=Decimal("0.001"), fraction=Decimal("0.3")),),
            (
                PartialLevel(gain=Decimal("0.001"), fraction=Decimal("0.5")),
                PartialLevel(gain=Decimal("0.003"), fraction=Decimal("0.25")),
            ),
        ]
    ),
    averaging=st.none()
    | st.builds(Averaging, step=ratio(1, 3), fraction=st.just(Decimal("0.5")), times=st.integers(1, 3)),
)
ENTRIES = st.none() | st.builds(
    LimitEntries,
    offset=ratio(0, 2),
    timeout_ms=st.integers(1, 4).map(lambda minutes: minutes * MINUTE_MS),
    reprices=st.integers(0, 3),
    chase=ratio(1, 4),
)
RULES = st.builds(
    rules,
    sizing=st.sampled_from(
        [
            FixedNotional(Decimal(500)),
            FractionOfEquity(Decimal("0.2")),
            RiskToStop(Decimal("0.005"), Decimal("0.5")),
            VolatilityParity(Decimal("0.002"), Decimal("0.5"), 3),
            CappedKelly(Decimal("0.3"), Decimal("0.5")),
            FixedNotional(Decimal(90_000)),  # more margin than there is
        ]
    ),
    exits=EXITS,
    limit_entries=ENTRIES,
    post_only=st.booleans(),
    amend_interval_ms=st.sampled_from([0, 1000, 90_000]),
    attached_stop=st.booleans(),
    resting_target=st.booleans(),
    replaces_stops=st.booleans(),
).map(lambda made: made if made.resting_target else replace(made, replaces_stops=False))
LIMITS = st.builds(
    Limits,
    open_signals=st.none() | st.integers(1, 3),
    gross_exposure=st.none() | st.just(Decimal("0.5")),
    orders_per_minute=st.none() | st.integers(1, 3),
    daily_loss=st.none() | ratio(2, 20),
    drawdown=st.none() | ratio(3, 30),
)
ROUND = st.none() | st.builds(RoundSettings, scorer=st.sampled_from([None, smallest]))
LOSS = st.none() | st.builds(LossLimit, ratio=ratio(3, 30), action=st.sampled_from(LossAction))
WIN_RATE = st.none() | st.builds(
    WinRate,
    minimum_win_rate=st.just(Decimal("0.6")),
    minimum_trades=st.integers(2, 5),
    off_ms=st.none() | st.just(600_000),
)


@st.composite
def memberships(draw: st.DrawFn, minutes: int) -> dict[str, tuple[tuple[int, int], ...]]:
    """Symbols that come and go, some of them for a few minutes only, or never; of a universe that stays nothing is said."""
    if draw(st.booleans()):
        return {}
    found = {}
    for symbol in SYMBOLS:
        edges = sorted(draw(st.sets(st.integers(0, minutes), max_size=8)))
        times = [START_MS + edge * MINUTE_MS for edge in edges[: len(edges) // 2 * 2]]
        found[symbol] = tuple(zip(times[::2], times[1::2], strict=True))
    return found


class Case:
    """A plan that shows in a failure's text without its candles."""

    def __init__(self, made: BacktestPlan) -> None:
        self.plan = made

    def __repr__(self) -> str:
        names = [each.name for each in fields(self.plan) if each.name not in ("candles", "instruments", "funding")]
        return ", ".join(f"{name}={getattr(self.plan, name)!r}" for name in names)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Any settings over any candles."""
    seed, minutes = draw(st.integers(1, 10_000)), draw(st.integers(60, 200))
    params = WhimParams(
        timeframe=draw(st.sampled_from([Timeframe.M1, Timeframe.M3, Timeframe.M5])),
        seed=seed,
        rarity=draw(st.integers(1, 8)),
        stop=draw(st.sampled_from([0.001, 0.004, 0.02])),
        target=draw(st.sampled_from([0.001, 0.006, 0.02])),
        minutes=draw(st.sampled_from([3, 20, 200])),
        limits=draw(st.booleans()),
        shorts=draw(st.booleans()),
        confident=draw(st.booleans()),
    )
    kinds = draw(st.sampled_from([(Whim,), (Restless,), (Whim, Restless)]))
    runs = [strategy(kind, replace(params, seed=seed + place)) for place, kind in enumerate(kinds)]
    if draw(st.booleans()):
        runs.append(strategy(Follower, FollowerParams(), (SYMBOLS[0],)))
    start = draw(st.integers(0, 40))
    volatility = draw(st.sampled_from([0.0005, 0.001, 0.003]))
    series = {symbol: candles(seed + place, minutes, volatility=volatility) for place, symbol in enumerate(SYMBOLS)}
    if draw(st.booleans()):
        lacking = draw(st.sets(st.integers(5, minutes - 5), max_size=12))
        series[SYMBOLS[1]] = without(series[SYMBOLS[1]], lacking | {place + 1 for place in lacking})
    funding = {}
    if draw(st.booleans()):
        due = START_MS + np.arange(1, minutes // 60 + 1, dtype=np.int64) * 60 * MINUTE_MS
        funding[SYMBOLS[0]] = FundingRates(ts_ms=due, rate=np.full(len(due), 0.0005))
    made = plan(
        minutes,
        strategies=tuple(runs),
        candles=series,
        instruments={symbol: instrument(symbol, can_short=draw(st.booleans())) for symbol in SYMBOLS},
        rules=draw(RULES),
        limits=draw(LIMITS),
        loss_limit=draw(LOSS),
        win_rate=draw(WIN_RATE),
        round=draw(ROUND),
        fills=FillModel(
            through=draw(st.booleans()), partial_probability=draw(st.sampled_from([0.0, 0.0, 0.4])), seed=seed
        ),
        latency_ms=draw(st.sampled_from([0, 0, 700])),
        funding=funding,
        start_ms=START_MS + start * MINUTE_MS,
        end_ms=START_MS + minutes * MINUTE_MS,
        members=draw(memberships(minutes)),
    )
    return Case(made)


@pytest.mark.untraced
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], max_examples=25)
@given(cases())
def test_skipping_changes_no_fact(case: Case) -> None:
    """With every kind of entry, exit, limit and hole in the data, and a universe that changes."""
    assert told(run(case.plan)) == told(run(replace(case.plan, skip=False)))


PATIENT = WhimParams(rarity=2, stop=0.02, target=0.02, minutes=200)
PARTS: dict[str, dict[str, Any]] = {
    "trailing": {"rules": rules(exits=ExitPlan(trailing=Trailing(distance=Decimal("0.004"), after=Decimal("0.001"))))},
    "break_even": {"rules": rules(exits=ExitPlan(break_even=BreakEven(after=Decimal("0.004"))))},
    "trailing, a stop for a stop": {
        "rules": rules(
            exits=ExitPlan(trailing=Trailing(distance=Decimal("0.004"), after=Decimal("0.001"))), replaces_stops=True
        )
    },
    "partials": {
        "rules": rules(exits=ExitPlan(partial_levels=(PartialLevel(gain=Decimal("0.003"), fraction=Decimal("0.5")),)))
    },
    "averaging": {
        "rules": rules(exits=ExitPlan(averaging=Averaging(step=Decimal("0.004"), fraction=Decimal("0.5"), times=3)))
    },
    "manage": {"strategies": (strategy(Restless, PATIENT),)},
    "losses": {
        "rules": rules(sizing=FractionOfEquity(Decimal("0.9"))),
        "limits": Limits(daily_loss=Decimal("0.01"), drawdown=Decimal("0.03")),
        "start_ms": START_MS + 1_000 * MINUTE_MS,
    },
    "losses beside funding": {  # which is no loss of a signal, and moves what the limit is a share of
        "rules": rules(sizing=FixedNotional(Decimal(8_000))),
        "strategies": (strategy(params=replace(PATIENT, shorts=False)),),
        "loss_limit": LossLimit(ratio=Decimal("0.03"), action=LossAction.FLATTEN),
        "funding": dict.fromkeys(
            SYMBOLS,
            FundingRates(ts_ms=START_MS + np.arange(2, 12, dtype=np.int64) * 60 * MINUTE_MS, rate=np.full(10, -0.005)),
        ),
    },
    "sizes": {"rules": rules(sizing=FractionOfEquity(Decimal("0.9")))},
}


@pytest.mark.untraced
@pytest.mark.parametrize("part", PARTS)
def test_each_part_by_itself(part: str) -> None:
    """With stops and targets so far away that nothing else moves."""
    minutes = 2_000 if part == "losses" else 700
    alone = plan(minutes, **{"strategies": (strategy(params=PATIENT),), **PARTS[part]})
    assert told(run(alone)) == told(run(replace(alone, skip=False)))


def told(result: BacktestResult) -> Any:
    """All that a result says, in an order that does not depend on which minutes were looked at."""
    verdicts = sorted(result.verdicts, key=lambda each: (each.ts_ms, each.symbol, each.strategy))
    return result.facts, verdicts, result.wallet, result.equity.equity.tolist(), result.funding, result.notes


@pytest.mark.untraced
def test_a_usual_run_closes_signals_for_every_reason() -> None:
    """So that the comparison is of something."""
    exits = ExitPlan(trailing=Trailing(distance=Decimal("0.002"), after=Decimal("0.002")))
    plain = run(plan(700, strategies=(strategy(Restless, WhimParams(rarity=3)),)))
    trailed = run(plan(700, rules=rules(exits=exits)))
    reasons = {fact.reason.value for each in (plain, trailed) for fact in each.facts if isinstance(fact, SignalClosed)}
    assert reasons == {"take_profit", "stop_loss", "trailing_stop", "time_expired", "strategy_exit"}


def test_more_processes_give_the_same() -> None:
    """Symbols that depend on nothing in common, each in a process of its own."""
    apart = plan(400, strategies=(strategy(Whim, WhimParams(rarity=3)), strategy(Restless, WhimParams(rarity=4))))
    assert told(run(apart)) == told(run(apart, jobs=2))


class Doomed(Whim):
    """Its process is killed, as it is where memory runs out."""

    name = "doomed"

    def decide(self, view: View) -> Entry | None:
        assert multiprocessing.parent_process() is not None
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_is_killed_is_told() -> None:
    with pytest.raises(Fatal, match="most likely because memory ran out; try fewer with --jobs"):
        run(plan(strategies=(strategy(Doomed),)), jobs=2)


def test_more_processes_change_nothing_where_symbols_share_a_limit() -> None:
    """They are run together then, whatever was asked for."""
    shared = plan(400, limits=Limits(open_signals=1))
    assert told(run(shared)) == told(run(shared, jobs=2))
    assert any(verdict.code == "open_signals" for verdict in run(shared, jobs=2).verdicts)


@pytest.mark.untraced
def test_symbols_that_share_too_little_margin_are_run_together() -> None:
    """Alone each of them would have had enough."""
    greedy = plan(400, rules=rules(sizing=FixedNotional(Decimal(60_000))), strategies=(strategy(Restless),))
    whole = run(greedy)
    assert told(whole) == told(run(greedy, jobs=2))
    assert any(isinstance(fact, EntryCancelled) and "is free" in fact.text for fact in whole.facts)
