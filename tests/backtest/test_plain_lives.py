"""Whole lives of plain signals are what the kernel makes of them step by step, to the last digit."""

from dataclasses import dataclass, fields, replace
from decimal import Decimal
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from livebot.backtest.engine import _uses_equity, run_whole
from livebot.backtest.plain_lives import run_plain
from livebot.backtest.plain_settings import plain
from livebot.backtest.plan import BacktestPlan, FundingRates
from livebot.core.entry import BreakEven, Entry, ExitPlan
from livebot.core.facts import SignalClosed, SignalOpening
from livebot.core.limits import Limits
from livebot.core.market import MINUTE_MS, Side, Timeframe
from livebot.core.performance import WinRate
from livebot.core.rules import FixedNotional, FractionOfEquity, LimitEntries, Rules
from livebot.simulator.matching import FillModel
from livebot.strategies.interface import Strategy, View
from tests.backtest.plans import START_MS, SYMBOLS, candles, instrument, plan, rules, strategy, without
from tests.backtest.test_skipping import memberships, told
from tests.backtest.whims import Restless, Whim, WhimParams
from tests.sequences.asking import drawn_limits


def quiet(_done: int, _all: int) -> None:
    """Progress that nobody hears."""


@pytest.mark.untraced
@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=25)
@given(
    params=st.builds(
        WhimParams,
        seed=st.integers(1, 10_000),
        timeframe=st.sampled_from([Timeframe.M1, Timeframe.M5]),
        stop=st.sampled_from([0.001, 0.003, 0.02]),
        target=st.sampled_from([0.001, 0.004, 0.02]),
        minutes=st.sampled_from([2, 30, 120]),
        rarity=st.sampled_from([1, 3]),
        confident=st.booleans(),
    ),
    volatility=st.sampled_from([0.0003, 0.001, 0.003]),
    through=st.booleans(),
    notional=st.integers(3, 2_000),
    tick=st.sampled_from(["0.01", "0.25"]),
    can_short=st.booleans(),
    members=memberships(150),
)
def test_every_fact_is_the_kernels(params, volatility, through, notional, tick, can_short, members) -> None:
    """Also how its numbers are written, since that is what stands in a ledger."""
    drawn = plan(
        150,
        start_ms=START_MS + 20 * MINUTE_MS,
        strategies=(strategy(params=params),),
        candles={
            symbol: candles(params.seed + place, 150, volatility=volatility) for place, symbol in enumerate(SYMBOLS)
        },
        instruments={symbol: instrument(symbol, tick_size=Decimal(tick), can_short=can_short) for symbol in SYMBOLS},
        rules=rules(sizing=FixedNotional(Decimal(notional))),
        fills=FillModel(through=through),
        members=members,
    )
    at_once, stepped = run_plain(drawn, quiet), run_whole(replace(drawn, skip=False), quiet)
    if at_once is not None:  # a signal whose stop is passed by the very next open is not plain
        assert told(stepped) == told(at_once)
        assert str(stepped.facts) == str(at_once.facts)


def test_a_quantity_of_whole_tens_is_written_as_the_kernel_writes_it() -> None:
    """998 at 99.8 is 1E+1, of which a venue fills 10; what is made of it has other digits."""
    drawn = plan(
        150,
        start_ms=START_MS + 20 * MINUTE_MS,
        strategies=(strategy(params=WhimParams(rarity=1, stop=0.001, target=0.001, minutes=2)),),
        candles={symbol: candles(place + 1, 150, volatility=0.0003) for place, symbol in enumerate(SYMBOLS)},
        rules=rules(sizing=FixedNotional(Decimal(998))),
    )
    at_once = run_plain(drawn, quiet)
    assert at_once is not None
    assert any(isinstance(fact, SignalOpening) and str(fact.quantity) == "1E+1" for fact in at_once.facts)
    assert str(at_once.facts) == str(run_whole(drawn, quiet).facts)


def test_the_usual_plan_is_plain() -> None:
    """Or nothing above would have been compared."""
    at_once = run_plain(plan(600), quiet)
    assert at_once is not None
    assert len(at_once.facts) > 50


@pytest.mark.parametrize(
    "changed",
    [
        {"limits": Limits(open_signals=2)},
        {"rules": rules(sizing=FractionOfEquity(Decimal("0.1")))},
        {"rules": rules(exits=ExitPlan(break_even=BreakEven(after=Decimal("0.01"))))},
        {"rules": rules(limit_entries=LimitEntries(offset=Decimal("0.001"), timeout_ms=MINUTE_MS))},
        {"rules": rules(resting_target=False)},
        {"rules": rules(replaces_stops=True)},
        {"latency_ms": 100},
        {"skip": False},
        {"win_rate": WinRate()},
        {"funding": {SYMBOLS[0]: FundingRates(ts_ms=np.array([START_MS]), rate=np.array([0.0001]))}},
        {"fills": FillModel(partial_probability=0.5)},
        {"fills": FillModel(oco=False)},
        {"instruments": {symbol: instrument(symbol, fee_in_base=True) for symbol in SYMBOLS}},
        {"strategies": (strategy(Restless),)},
        {"strategies": (strategy(name="one"), strategy(name="two"))},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_what_is_not_plain_is_not_taken_for_it(changed) -> None:
    assert not plain(plan(**changed))


EVERY = drawn_limits(Random(1))  # each is set
OF_EQUITY = {
    "gross_exposure",
    "net_exposure",
    "symbol_exposure",
    "base_exposure",
    "risk_per_trade",
    "risk_in_all",
    "daily_loss",
    "drawdown",
}


@pytest.mark.parametrize("name", [field.name for field in fields(Limits)])
def test_a_plan_with_any_limit_is_left_to_the_kernel(name) -> None:
    """And where it is a ratio of equity all positions are valued when somebody asks."""
    limited = plan(limits=Limits(**{name: getattr(EVERY, name)}))
    assert not plain(limited)
    assert (name in OF_EQUITY) == _uses_equity(limited)


@dataclass(frozen=True, slots=True, kw_only=True)
class LaterRules(Rules):
    """As they may be one day."""

    hidden: bool = False


def test_a_setting_that_is_not_known_here_is_left_to_the_kernel() -> None:
    """Until it says something else than by default."""
    settings_of = {each.name: getattr(rules(), each.name) for each in fields(Rules)}
    assert plain(plan(rules=LaterRules(**settings_of)))
    assert not plain(plan(rules=LaterRules(**settings_of, hidden=True)))


def test_a_limit_entry_is_not_plain() -> None:
    """That is known only when it is wanted."""
    assert run_plain(plan(strategies=(strategy(Whim, WhimParams(limits=True)),)), quiet) is None


def test_a_hole_in_the_candles_is_not_plain() -> None:
    whole: BacktestPlan = plan()
    holed = {**whole.candles, SYMBOLS[0]: without(whole.candles[SYMBOLS[0]], {150})}
    assert run_plain(whole.with_candles(holed), quiet) is None


def test_margin_that_might_not_suffice_is_not_plain() -> None:
    assert run_plain(plan(rules=rules(sizing=FixedNotional(Decimal(60_000)))), quiet) is None


@dataclass(frozen=True)
class RelayParams:
    """The second symbol is entered so many minutes after the first one was."""

    later: int


class Relay(Strategy[RelayParams]):
    """Holds the first symbol for ten minutes, then the second."""

    name = "relay"
    Params = RelayParams

    @property
    def timeframe(self) -> Timeframe:
        return Timeframe.M1

    def decide(self, view: View) -> Entry | None:
        begins = {SYMBOLS[0]: 120, SYMBOLS[1]: 120 + self.params.later}
        if view.close_ms != START_MS + begins.get(view.symbol, 0) * MINUTE_MS:
            return None
        low, high = view.close * 0.8, view.close * 1.2
        return Entry(side=Side.LONG, stop_loss=low, take_profit=high, lifetime_ms=10 * MINUTE_MS)


@pytest.mark.parametrize(("later", "suffices"), [(9, False), (10, False), (11, True)])
def test_margin_may_be_wanted_before_what_leaves_at_the_same_close_is_free(later, suffices) -> None:
    """Who of both comes first is not known where symbols are looked at one by one."""
    relayed = plan(
        strategies=(strategy(Relay, RelayParams(later)),),
        rules=rules(sizing=FixedNotional(Decimal(4_500))),
        fills=FillModel(leverage=Decimal(1)),
    )
    assert (run_plain(relayed, quiet) is not None) is suffices


def test_a_symbol_that_leaves_while_its_signal_is_open_is_denied_once_it_has_closed() -> None:
    """At that very close, as live; after it, it is not asked at all."""
    times = [(START_MS + minute * MINUTE_MS, START_MS + (minute + 3) * MINUTE_MS) for minute in range(100, 300, 10)]
    params = WhimParams(rarity=1, stop=0.003, target=0.003, minutes=30)
    leaving = plan(strategies=(strategy(params=params),), members=dict.fromkeys(SYMBOLS, tuple(times)))
    at_once = run_plain(leaving, quiet)
    assert at_once is not None
    assert told(at_once) == told(run_whole(leaving, quiet)) == told(run_whole(replace(leaving, skip=False), quiet))
    denied = [each for each in at_once.verdicts if each.code == "universe"]
    assert len(denied) > 5
    ended = {(fact.symbol, fact.ts_ms) for fact in at_once.facts if isinstance(fact, SignalClosed)}
    assert {(each.symbol, each.ts_ms) for each in denied} <= ended
