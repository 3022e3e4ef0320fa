"""A label is what the backtest makes of the very same signal: its end, its barrier, its gain."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from livebot.core.entry import BreakEven, ExitPlan
from livebot.core.market import DAY_MS, MINUTE_MS, Timeframe
from livebot.core.rules import FixedNotional, LimitEntries
from livebot.learning.dataset import EXPIRED, STOPPED, TARGET
from livebot.learning.labels import UNKNOWN, Outcome
from livebot.simulator.matching import FillModel
from tests.backtest.plans import START_MS, SYMBOLS, candles, instrument, plan, rules, strategy, without
from tests.backtest.whims import Restless, WhimParams
from tests.learning.labelled import needs_spot, outcomes, real_plan, require_same

MINUTES = 150
RICH = Decimal(10**7)  # never short of margin
COARSE = {symbol: instrument(symbol, tick_size=Decimal("0.25")) for symbol in SYMBOLS}
HOLES = {place for place in range(120, 600) if place % 7 in (2, 3)}


def market(seed: int, volatility: float, minutes: int = MINUTES) -> dict:
    return {symbol: candles(seed + place, minutes, volatility=volatility) for place, symbol in enumerate(SYMBOLS)}


@pytest.mark.untraced
@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=40)
@given(
    params=st.builds(
        WhimParams,
        seed=st.integers(1, 10_000),
        timeframe=st.sampled_from([Timeframe.M1, Timeframe.M5]),
        stop=st.sampled_from([0.001, 0.003, 0.02]),
        target=st.sampled_from([0.001, 0.004, 0.02]),
        minutes=st.sampled_from([2, 30, 120]),
        rarity=st.sampled_from([1, 3]),
        limits=st.booleans(),
    ),
    volatility=st.sampled_from([0.0003, 0.001, 0.003]),
    through=st.booleans(),
    slippage=st.sampled_from(["0", "0.0002", "0.003"]),
    tick=st.sampled_from(["0.01", "0.25"]),
    notional=st.integers(50, 2_000),
    lacking=st.sets(st.integers(30, MINUTES - 1), max_size=40),
)
def test_whatever_the_backtest_takes_has_the_label_that_it_made(
    params, volatility, through, slippage, tick, notional, lacking
) -> None:
    """Also over gaps, where stop or target is passed by the very next open, and where entries rest at a limit."""
    require_same(
        plan(
            start_ms=START_MS + 20 * MINUTE_MS,
            end_ms=START_MS + (MINUTES - 1) * MINUTE_MS,
            strategies=(strategy(params=params),),
            candles={symbol: without(each, lacking) for symbol, each in market(params.seed, volatility).items()},
            instruments={symbol: instrument(symbol, tick_size=Decimal(tick)) for symbol in SYMBOLS},
            rules=rules(sizing=FixedNotional(Decimal(notional))),
            fills=FillModel(through=through, slippage=Decimal(slippage)),
            wallet=RICH,
        )
    )


@pytest.mark.untraced
@pytest.mark.parametrize(
    "changed",
    [
        {"latency_ms": 20_000},
        {"rules": rules(limit_entries=LimitEntries(offset=Decimal("0.0005"), timeout_ms=3 * MINUTE_MS))},
        {
            "rules": rules(
                limit_entries=LimitEntries(
                    offset=Decimal("0.001"), timeout_ms=2 * MINUTE_MS, reprices=2, chase=Decimal("0.003")
                ),
                post_only=True,
            )
        },
        {"rules": rules(resting_target=False)},
        {"fills": FillModel(oco=False)},
        {"instruments": {symbol: instrument(symbol, can_short=False) for symbol in SYMBOLS}},
        {
            "members": {
                SYMBOLS[0]: ((START_MS, START_MS + 500 * MINUTE_MS),),
                SYMBOLS[1]: ((START_MS, START_MS + 600 * MINUTE_MS),),
            }
        },
        {"fills": FillModel(through=True)},
        {"fills": FillModel(slippage=Decimal(0)), "instruments": COARSE},
        {"candles": {symbol: without(each, HOLES) for symbol, each in market(1, 0.001, 600).items()}},
        {"strategies": (strategy(params=WhimParams(stop=0.001, target=0.001)),), "candles": market(1, 0.01, 600)},
        {"strategies": (strategy(params=WhimParams(stop=0.001, target=0.001)),), "candles": market(1, 0.002, 600)},
        {"strategies": (strategy(params=WhimParams(limits=True)),)},
    ],
    ids=[
        *("late", "resting", "repriced", "target_apart", "no_oco", "no_shorts", "members"),
        *("through", "coarse_ticks", "gaps", "passed_at_the_open", "both_in_one_candle", "limits"),
    ],
)
def test_so_it_is_under_every_other_rule(changed) -> None:
    compared = require_same(plan(600, end_ms=START_MS + 599 * MINUTE_MS, wallet=RICH, **changed))
    assert min(compared[TARGET], compared[STOPPED]) >= 3
    assert sum(compared.values()) > 20


def test_so_it_is_where_fees_are_taken_in_coins() -> None:
    """What is less than a lot is carried into the next position, which no label knows: so the size is large."""
    taking = {symbol: instrument(symbol, fee_in_base=True, can_short=False) for symbol in SYMBOLS}
    sized = rules(sizing=FixedNotional(Decimal(10**9)), resting_target=False)  # coins are locked once
    compared = require_same(
        plan(600, instruments=taking, rules=sized, wallet=Decimal(10**13)),
        tolerance=1e-9,
    )
    assert min(compared[TARGET], compared[STOPPED], compared[EXPIRED]) >= 3


@pytest.mark.untraced
@needs_spot
@pytest.mark.parametrize(
    ("name", "days", "params"),
    [
        ("ema_cross", 150, {"timeframe": Timeframe.H1, "expiry_minutes": 1440, "take_profit": 0.03, "stop_loss": 0.02}),
        ("mean_reversion", 150, {"timeframe": Timeframe.H1, "expiry_minutes": 1440}),
        ("breakout", 365, {"timeframe": Timeframe.H4, "expiry_minutes": 2880, "trail_atr": None}),
    ],
    ids=["ema_cross", "mean_reversion", "breakout"],
)
def test_so_it_is_on_real_hours(name, days, params) -> None:
    compared = require_same(real_plan(name, ("BTC/USDT", "SOL/USDT"), days=days, **params))
    assert min(compared[TARGET], compared[STOPPED], compared[EXPIRED]) >= 3


@pytest.mark.untraced
def test_management_is_no_part_of_a_label() -> None:
    """Neither the strategy's own nor that of an exit plan, wherever the plan says it."""
    exits = ExitPlan(break_even=BreakEven(after=Decimal("0.001")))
    usual = outcomes(plan(200, latency_ms=1))  # the engine is asked, which would manage
    assert len(usual) > 50
    for changed in (
        {"rules": rules(exits=exits)},
        {"strategies": (strategy(params=WhimParams(exits=exits)),)},
        {"strategies": (replace(strategy(Restless), id="whim"),)},
    ):
        managed = outcomes(plan(200, latency_ms=1, **changed))
        assert {key: outcome for key, (_, outcome) in managed.items()} == {
            key: outcome for key, (_, outcome) in usual.items()
        }


@pytest.mark.untraced
def test_the_cost_is_what_the_gain_lacks_of_a_free_trade() -> None:
    """To the second order of the rates and to a tick of each price."""
    fine = {symbol: instrument(symbol, tick_size=Decimal("0.000001")) for symbol in SYMBOLS}
    free = {symbol: replace(each, taker_fee=Decimal(0), maker_fee=Decimal(0)) for symbol, each in fine.items()}
    late = {"latency_ms": 1}  # so that the engine is what resolves it
    resting = {"strategies": (strategy(params=WhimParams(limits=True)),)}
    for changed in ({}, late, resting):
        paid = outcomes(plan(200, instruments=fine, **changed))
        spared = outcomes(plan(200, instruments=free, fills=FillModel(slippage=Decimal(0)), **changed))
        compared = 0
        for key, (_, outcome) in paid.items():
            other = spared[key][1]
            if isinstance(outcome, Outcome) and isinstance(other, Outcome):
                assert other.cost == 0.0
                assert abs(other.gain - outcome.gain - outcome.cost) < 3e-6
                assert 0.0003 < outcome.cost < 0.0016
                compared += 1
        assert compared > 30


def test_a_label_is_the_same_whatever_the_size() -> None:
    small, large = (outcomes(plan(600, rules=rules(sizing=FixedNotional(Decimal(size))))) for size in (10, 10**6))
    pieces = outcomes(plan(600, fills=FillModel(partial_probability=0.9)))  # an order fills whole here
    for other in (large, pieces):
        assert {key: each[1] for key, each in small.items()} == {key: each[1] for key, each in other.items()}


@pytest.mark.parametrize("limits", [False, True])
def test_what_is_not_over_by_the_end_is_unknown(limits) -> None:
    """And what is over by then is not: a longer record says the same of it."""
    params = WhimParams(stop=0.02, target=0.02, minutes=60, limits=limits)
    longer = plan(600, strategies=(strategy(params=params),))
    cut = START_MS + 300 * MINUTE_MS
    shorter = outcomes(replace(longer, end_ms=cut))
    unknown = {key for key, (_, outcome) in shorter.items() if outcome == UNKNOWN}
    assert len(unknown) > 10
    for key, (_, outcome) in outcomes(longer).items():
        if key[1] > cut:
            assert key not in shorter
        elif key in unknown:
            assert isinstance(outcome, str) or outcome.end_ms >= cut
        else:
            assert shorter[key][1] == outcome


@pytest.mark.untraced
def test_an_open_that_is_not_there_closes_nothing() -> None:
    """The backtest takes the last close for it; who learns is not told of a price that nobody has seen."""
    held = plan(200, strategies=(strategy(params=WhimParams(stop=0.3, target=0.3, minutes=1, rarity=1)),))
    last_ms = START_MS + 199 * MINUTE_MS
    seen = {key: outcome for key, (_, outcome) in outcomes(held).items()}
    assert all(outcome == UNKNOWN for (_, close_ms), outcome in seen.items() if close_ms >= last_ms)
    assert len(seen) > 100
    late = {key: outcome for key, (_, outcome) in outcomes(replace(held, latency_ms=1)).items()}
    assert {key for key, outcome in late.items() if outcome == UNKNOWN} == {
        key for key, outcome in seen.items() if outcome == UNKNOWN
    }


def test_a_long_life_is_followed_to_its_end() -> None:
    """Longer than the stretch that is played at first."""
    hours = {symbol: candles(place, 24 * 12, step=60) for place, symbol in enumerate(SYMBOLS)}
    resting = plan(
        candles=hours,
        base=Timeframe.H1,
        start_ms=START_MS + DAY_MS,
        end_ms=START_MS + 11 * DAY_MS,
        strategies=(strategy(params=WhimParams(timeframe=Timeframe.H1, minutes=200, limits=True)),),
        wallet=RICH,
    )
    assert sum(require_same(resting).values()) > 20
