"""The portfolio's verdict."""

import copy
import dataclasses
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livebot.core.checks import CHECKS
from livebot.core.denial import DenialCode, Denied, TradingState
from livebot.core.limits import Limits
from livebot.core.market import Side
from livebot.core.order import Leg, OrderKind
from livebot.core.risk import Approved, approve_reduction, judge
from livebot.core.streak import LosingStreak, StreakScope
from livebot.errors import Fatal
from tests.core.examples import CANDIDATE, ORDER, SIGNAL, USAGE

NO_LIMITS = Limits()
AVERAGING = replace(CANDIDATE, signal=None, order=replace(ORDER, leg=Leg.AVERAGE))
REDUCTION = replace(ORDER, leg=Leg.EXIT, reduce_only=True)
ACTIVE, REDUCING, HALTED = TradingState.ACTIVE, TradingState.REDUCING, TradingState.HALTED


def code_of(verdict):
    """The code of a denial."""
    assert isinstance(verdict, Denied)
    return verdict.code


# Approved


def test_a_candidate_within_all_limits_is_approved_as_it_is():
    """The very order that was judged."""
    approved = judge(USAGE, NO_LIMITS, CANDIDATE)
    assert isinstance(approved, Approved)
    assert approved.order is ORDER
    assert approved.candidate is CANDIDATE


@pytest.mark.parametrize("seal", [None, object(), "seal"])
def test_nobody_else_can_make_an_approval(seal):
    """What has no seal of the risk module is no approval."""
    with pytest.raises(Fatal, match="Approved is made by the portfolio's judgement only"):
        Approved(ORDER, CANDIDATE, seal)


def test_an_approval_cannot_be_turned_into_one_for_another_order():
    """Neither in place nor by a changed copy."""
    approved = approve_reduction(REDUCTION)
    with pytest.raises(dataclasses.FrozenInstanceError):
        approved.order = ORDER  # type: ignore[misc]
    with pytest.raises(ValueError, match="seal"):
        replace(approved, order=ORDER)  # type: ignore[call-arg]
    with pytest.raises(Fatal):
        replace(approved, order=ORDER, seal=None)
    assert approved == copy.copy(approved)


@pytest.mark.parametrize("leg", [Leg.STOP, Leg.TARGET, Leg.PARTIAL, Leg.EXIT])
def test_reducing_a_position_is_always_approved(leg):
    """It asks nobody: there is no trading state and no limit to ask."""
    order = replace(REDUCTION, leg=leg)
    approved = approve_reduction(order)
    assert (order, None) == (approved.order, approved.candidate)


@pytest.mark.parametrize(
    "order",
    [replace(REDUCTION, reduce_only=False), replace(REDUCTION, leg=Leg.ENTRY), replace(REDUCTION, leg=Leg.AVERAGE)],
)
def test_an_order_that_could_add_exposure_is_no_reduction(order):
    """Not reduce-only, or of a leg that opens."""
    with pytest.raises(Fatal, match="order lb1 is not reduce-only and needs the portfolio's approval"):
        approve_reduction(order)


# Denied, one row for each limit


DENIALS = [
    ({"blocks": (DenialCode.STOPPING,)}, {}, "stopping", "the daemon is stopping and opens nothing more"),
    (
        {"blocks": (DenialCode.VENUE,)},
        {},
        "venue",
        "the connection to the venue is not in order for BTC/USDT: nothing opens there until it is",
    ),
    ({"blocks": (DenialCode.PAUSED,)}, {}, "paused", "BTC/USDT is paused by an operator"),
    (
        {"blocks": (DenialCode.REPEATED_EXECUTIONS,)},
        {},
        "repeated_executions",
        "BTC/USDT is paused because one strategy entered it too often in a short time: `livebot resume BTC/USDT`, once you "
        "know why",
    ),
    (
        {"blocks": (DenialCode.FLATTENING,)},
        {},
        "flattening",
        "BTC/USDT is being closed: nothing opens there until it is flat",
    ),
    (
        {"blocks": (DenialCode.QUARANTINED, DenialCode.PAUSED)},
        {},
        "quarantined",
        "BTC/USDT is in quarantine after repeated failures, until it is restarted",
    ),
    (
        {"blocks": (DenialCode.SWITCHED_OFF,)},
        {},
        "switched_off",
        "BTC/USDT is switched off because too few of its signals won",
    ),
    (
        {"blocks": (DenialCode.FOREIGN,)},
        {},
        "foreign",
        "BTC/USDT has an order or a position that is not ours, until it is adopted or dismissed",
    ),
    ({"blocks": (DenialCode.UNIVERSE,)}, {}, "universe", "BTC/USDT has left the universe"),
    (
        {"blocks": (DenialCode.CHECK_FAILED,)},
        {},
        "check_failed",
        "a part of the daemon is at fault: nothing opens until that has passed",
    ),
    ({"blocks": (DenialCode.DRAWDOWN,)}, {}, "drawdown", "BTC/USDT takes no new entries at present"),
    (
        {"trading_state": HALTED},
        {},
        "halted",
        "trading is HALTED: nothing opens until an operator lifts it",
    ),
    (
        {"trading_state": REDUCING},
        {},
        "reducing",
        "trading is REDUCING, `livebot status` says why: positions are only closed",
    ),
    (
        {"symbol_side": Side.SHORT},
        {},
        "opposite_side",
        "BTC/USDT is short or about to be; a long would net against it",
    ),
    (
        {"open_signals": 3},
        {"open_signals": 3},
        "open_signals",
        "open signals: 3 used and 1 asked, 3 allowed",
    ),
    (
        {"open_signals_of_strategy": 2},
        {"open_signals_per_strategy": 2},
        "open_signals_strategy",
        "open signals of trend: 2 used and 1 asked, 2 allowed",
    ),
    (
        {"gross_exposure": Decimal("1400.01")},
        {"gross_exposure": Decimal("1.5")},
        "gross_exposure",
        "gross exposure: 1400.01 used and 100 asked, 1500 allowed (150 % of equity 1000)",
    ),
    (
        {"open_signals_of_cluster": 4, "cluster": "majors"},
        {"open_signals_per_cluster": 4},
        "open_signals_cluster",
        "open signals of the cluster majors: 4 used and 1 asked, 4 allowed",
    ),
    (
        {"net_exposure": Decimal(-100)},
        {"net_exposure": Decimal("-0.01")},
        "net_exposure",
        "net long exposure, if nothing pending on the other side fills: -100 used and 100 asked, -10 allowed (-1 % of "
        "equity 1000)",
    ),
    (
        {"base_exposure": Decimal("200.01")},
        {"base_exposure": Decimal("0.3")},
        "base_exposure",
        "exposure in BTC, over all its symbols: 200.01 used and 100 asked, 300 allowed (30 % of equity 1000)",
    ),
    (
        {"risk_of_signal": Decimal("5.01")},
        {"risk_per_trade": Decimal("0.01")},
        "risk_per_trade",
        "loss of this trade at its stop: 5.01 used and 5 asked, 10 allowed (1 % of equity 1000)",
    ),
    (
        {"risk_in_all": Decimal("45.01")},
        {"risk_in_all": Decimal("0.05")},
        "risk_in_all",
        "loss of all trades at their stops: 45.01 used and 5 asked, 50 allowed (5 % of equity 1000)",
    ),
    (
        {},
        {"order_notional": Decimal("99.99")},
        "order_notional",
        "notional of one order: 100 asked, 99.99 allowed",
    ),
    (
        {"last_price": 98.0},
        {"price_collar": Decimal("0.02")},
        "price_collar",
        "price 100 of BTC/USDT: 2.04081632653 % from the last price 98, 2 % allowed",
    ),
    (
        {"last_price": None},
        {"price_collar": Decimal("0.02")},
        "price_collar",
        "BTC/USDT has no last price yet that the price of an order could be held against",
    ),
    (
        {"age_ms": 90_001},
        {"stale_data_ms": 90_000},
        "stale_data",
        "data of BTC/USDT: 90.001 s old, 90 s allowed",
    ),
    (
        {},
        {"minimum_confidence": Decimal("0.55")},
        "minimum_confidence",
        "the signal has no confidence and at least 0.55 is asked for: nothing gives trend one",
    ),
    (
        {"sent_before": True},
        {},
        "duplicate_order",
        "order lb1 of BTC/USDT was sent before and is not sent twice",
    ),
    (
        {"same_order_ms": 1500},
        {"duplicate_order_ms": 60_000},
        "duplicate_order",
        "the same order (buy 1 of BTC/USDT at the market) was let through 1.5 s ago; within 1 min it is taken for a mistake",
    ),
    (
        {"orders_last_second": 5},
        {"orders_per_second": 5},
        "orders_per_second",
        "orders in the last second: 5 used and 1 asked, 5 allowed",
    ),
    (
        {"orders_today": 200},
        {"orders_per_day": 200},
        "orders_per_day",
        "orders of this UTC day: 200 used and 1 asked, 200 allowed",
    ),
    (
        {"cooldown_ms": 1},
        {"losing_streak": LosingStreak(losses=3, cooldown_ms=3_600_000, scope=StreakScope.ALL)},
        "losing_streak",
        "losing streak: 3 closes in a row lost; nothing opens for 1 h after that, 1 ms are left",
    ),
    (
        {"cooldown_ms": 1_000_000},
        {"losing_streak": LosingStreak(losses=3, cooldown_ms=3_600_000, scope=StreakScope.SYMBOL)},
        "losing_streak",
        "losing streak: 3 closes of BTC/USDT in a row lost; nothing opens for 1 h after that, 16.7 min are left",
    ),
    (
        {"symbol_exposure": Decimal("0.01")},
        {"symbol_exposure": Decimal("0.1")},
        "symbol_exposure",
        "exposure in BTC/USDT: 0.01 used and 100 asked, 100 allowed (10 % of equity 1000)",
    ),
    (
        {"orders_last_minute": 30},
        {"orders_per_minute": 30},
        "orders_per_minute",
        "orders in the last minute: 30 used and 1 asked, 30 allowed",
    ),
    (
        {"equity": Decimal(950)},
        {"daily_loss": Decimal("0.05")},
        "daily_loss",
        "daily loss: 50 lost of 1000, 50 allowed; the limit is 5 % of the equity the day began with",
    ),
    (
        {"peak_equity": Decimal(1250)},
        {"drawdown": Decimal("0.2")},
        "drawdown",
        "drawdown: 250 lost of 1250, 250 allowed; the limit is 20 % of the highest equity",
    ),
    (
        {"equity": Decimal("NaN")},
        {"gross_exposure": Decimal(1)},
        "check_failed",
        "check of gross exposure failed: InvalidOperation: [<class 'decimal.InvalidOperation'>]",
    ),
]


@pytest.mark.parametrize(("usage", "limits", "code", "text"), DENIALS)
def test_a_limit_denies_with_its_own_code_and_the_numbers(usage, limits, code, text):
    """Used, asked and allowed, in a sentence."""
    expected = Denied(DenialCode(code), text)
    assert expected == judge(replace(USAGE, **usage), Limits(**limits), CANDIDATE)


def test_every_denial_code_has_a_check_that_gives_it():
    """A code that nothing gives would be a limit that nobody keeps."""
    by_who_ranks = {"round"}  # a round denies before the portfolio is asked
    assert {code.value for code in DenialCode} - by_who_ranks == {code for _, _, code, _ in DENIALS}


@pytest.mark.parametrize(
    ("usage", "limits"),
    [
        ({"symbol_side": Side.LONG}, {}),
        ({"open_signals": 2}, {"open_signals": 3}),
        ({"open_signals_of_strategy": 1}, {"open_signals_per_strategy": 2}),
        ({"gross_exposure": Decimal(1400)}, {"gross_exposure": Decimal("1.5")}),
        ({}, {"symbol_exposure": Decimal("0.1")}),
        ({"open_signals_of_cluster": 3}, {"open_signals_per_cluster": 4}),
        ({"net_exposure": Decimal(-50)}, {"net_exposure": Decimal("0.05")}),
        ({"base_exposure": Decimal(200)}, {"base_exposure": Decimal("0.3")}),
        ({"risk_of_signal": Decimal(5)}, {"risk_per_trade": Decimal("0.01")}),
        ({"risk_in_all": Decimal(45)}, {"risk_in_all": Decimal("0.05")}),
        ({}, {"order_notional": Decimal(100)}),
        ({"last_price": 98.0}, {"price_collar": Decimal("0.021")}),
        ({"last_price": 102.0}, {"price_collar": Decimal("0.02")}),
        ({"age_ms": 90_000}, {"stale_data_ms": 90_000}),
        ({"same_order_ms": None}, {"duplicate_order_ms": 60_000}),
        ({"same_order_ms": 5}, {}),
        ({"orders_last_second": 4}, {"orders_per_second": 5}),
        ({"orders_last_minute": 29}, {"orders_per_minute": 30}),
        ({"orders_today": 199}, {"orders_per_day": 200}),
        ({"cooldown_ms": 0}, {"losing_streak": LosingStreak(losses=1, cooldown_ms=1, scope=StreakScope.ALL)}),
        ({"cooldown_ms": 5}, {}),
        ({"equity": Decimal("950.01")}, {"daily_loss": Decimal("0.05")}),
        ({"peak_equity": Decimal("1249.99")}, {"drawdown": Decimal("0.2")}),
    ],
)
def test_a_limit_can_be_used_up_and_a_loss_come_close(usage, limits):
    """Up to and including what is allowed; a loss that reaches its limit has gone too far."""
    assert isinstance(judge(replace(USAGE, **usage), Limits(**limits), CANDIDATE), Approved)


@pytest.mark.parametrize(("confidence", "allowed"), [(0.55, True), (0.5499999, False), (float("nan"), False)])
def test_a_confidence_is_held_against_the_least_that_is_asked_for(confidence, allowed):
    verdict = judge(USAGE, Limits(minimum_confidence=Decimal("0.55")), replace(CANDIDATE, confidence=confidence))
    assert allowed == isinstance(verdict, Approved)
    if not allowed:
        assert (
            Denied(DenialCode.MINIMUM_CONFIDENCE, f"confidence: {confidence:.6g}, at least 0.55 is asked for")
            == verdict
        )


def test_the_collar_is_of_the_price_that_the_order_carries():
    """A limit order is held against the last price by its own price, not by what it was sized at."""
    order = replace(ORDER, kind=OrderKind.LIMIT, price=Decimal(97))
    limits = Limits(price_collar=Decimal("0.02"))
    verdict = judge(replace(USAGE, last_price=100.0), limits, replace(CANDIDATE, order=order))
    assert Denied(DenialCode.PRICE_COLLAR, "price 97 of BTC/USDT: 3 % from the last price 100, 2 % allowed") == verdict


def test_the_same_order_is_told_with_its_price():
    order = replace(ORDER, kind=OrderKind.LIMIT, price=Decimal(97))
    usage = replace(USAGE, same_order_ms=0)
    verdict = judge(usage, Limits(duplicate_order_ms=1000), replace(CANDIDATE, order=order))
    assert isinstance(verdict, Denied)
    assert "(buy 1 of BTC/USDT at 97) was let through 0 ms ago" in verdict.text


def test_averaging_is_no_further_signal():
    """It adds exposure and an order, so those limits hold; the counts do not move."""
    full = replace(USAGE, open_signals=3, open_signals_of_strategy=3, open_signals_of_cluster=3)
    counts = Limits(open_signals=3, open_signals_per_strategy=3, open_signals_per_cluster=3)

    assert isinstance(judge(full, counts, AVERAGING), Approved)
    assert DenialCode.GROSS_EXPOSURE is code_of(judge(full, Limits(gross_exposure=Decimal(0)), AVERAGING))
    assert DenialCode.SYMBOL_EXPOSURE is code_of(judge(full, Limits(symbol_exposure=Decimal(0)), AVERAGING))
    assert DenialCode.ORDERS_PER_MINUTE is code_of(judge(full, Limits(orders_per_minute=0), AVERAGING))


def test_checks_speak_in_their_order():
    """With everything wrong: the block first, and as each is mended the next one."""
    usage = replace(
        USAGE,
        blocks=(DenialCode.PAUSED,),
        trading_state=HALTED,
        symbol_side=Side.SHORT,
        equity=Decimal(500),
        sent_before=True,
        age_ms=1,
        same_order_ms=1,
        cooldown_ms=1,
    )
    zero = Decimal(0)
    limits = Limits(
        open_signals=0,
        open_signals_per_strategy=0,
        open_signals_per_cluster=0,
        gross_exposure=zero,
        net_exposure=zero,
        symbol_exposure=zero,
        base_exposure=zero,
        risk_per_trade=zero,
        risk_in_all=zero,
        order_notional=zero,
        price_collar=zero,
        stale_data_ms=0,
        minimum_confidence=Decimal(1),
        duplicate_order_ms=1,
        orders_per_second=0,
        orders_per_minute=0,
        orders_per_day=0,
        losing_streak=LosingStreak(losses=1, cooldown_ms=1, scope=StreakScope.ALL),
        daily_loss=Decimal("0.1"),
        drawdown=Decimal("0.1"),
    )
    said = []
    for mended in (
        {"blocks": ()},
        {"trading_state": ACTIVE},
        {"symbol_side": None},
        {"sent_before": False},
        {"stale_data_ms": None},
        {"minimum_confidence": None},
        {"order_notional": None},
        {"price_collar": None},
        {"risk_per_trade": None},
        {"duplicate_order_ms": None},
        {"open_signals": None},
        {"open_signals_per_strategy": None},
        {"open_signals_per_cluster": None},
        {"gross_exposure": None},
        {"net_exposure": None},
        {"symbol_exposure": None},
        {"base_exposure": None},
        {"risk_in_all": None},
        {"orders_per_second": None},
        {"orders_per_minute": None},
        {"orders_per_day": None},
        {"losing_streak": None},
        {"daily_loss": None},
        {"drawdown": None},
    ):
        said.append(code_of(judge(usage, limits, CANDIDATE)).value)
        in_limits = next(iter(mended)) in {field.name for field in dataclasses.fields(Limits)}
        usage, limits = (usage, replace(limits, **mended)) if in_limits else (replace(usage, **mended), limits)

    order = (
        "paused halted opposite_side duplicate_order stale_data minimum_confidence order_notional price_collar "
        "risk_per_trade duplicate_order open_signals open_signals_strategy open_signals_cluster gross_exposure "
        "net_exposure symbol_exposure base_exposure risk_in_all orders_per_second orders_per_minute orders_per_day "
        "losing_streak daily_loss drawdown"
    )
    assert order.split() == said
    assert len(said) == len(CHECKS)
    assert isinstance(judge(usage, limits, CANDIDATE), Approved)


# For all numbers


AMOUNTS = st.decimals(0, 2000, places=2)
EQUITIES = st.decimals(-100, 2000, places=2)
COUNTS = st.integers(0, 5)
RATIOS = st.none() | st.decimals(0, 2, places=2)
USAGES = st.builds(
    replace,
    st.just(USAGE),
    trading_state=st.sampled_from(TradingState),
    blocks=st.just(()) | st.tuples(st.sampled_from(DenialCode)),
    symbol_side=st.none() | st.sampled_from(Side),
    open_signals=COUNTS,
    open_signals_of_strategy=COUNTS,
    gross_exposure=AMOUNTS,
    symbol_exposure=AMOUNTS,
    orders_last_minute=COUNTS,
    equity=EQUITIES,
    day_start_equity=EQUITIES,
    peak_equity=EQUITIES,
)
LIMITS = st.builds(
    Limits,
    open_signals=st.none() | COUNTS,
    open_signals_per_strategy=st.none() | COUNTS,
    gross_exposure=RATIOS,
    symbol_exposure=RATIOS,
    orders_per_minute=st.none() | COUNTS,
    daily_loss=RATIOS,
    drawdown=RATIOS,
)
CANDIDATES = st.builds(
    replace,
    st.just(CANDIDATE),
    side=st.sampled_from(Side),
    signal=st.sampled_from([None, SIGNAL]),
    notional=st.decimals("0.01", 2000, places=2),
)


def over(used, allowed, unit=1):
    """Whether something is used beyond what is allowed, in exact fractions."""
    return allowed is not None and Fraction(used) > Fraction(allowed) * Fraction(unit)


def lost(start, equity, allowed):
    """Whether a loss has reached its limit, in exact fractions."""
    return allowed is not None and Fraction(start) - Fraction(equity) >= Fraction(allowed) * Fraction(start)


def breaches(usage, limits, candidate):
    """Every limit that would be broken if the candidate were approved, worked out apart from the checks."""
    more = 0 if candidate.signal is None else 1
    notional = candidate.notional
    broken = {
        "block": usage.blocks != () or usage.trading_state is not ACTIVE,
        "side": usage.symbol_side not in (None, candidate.side),
        "signals": more and over(usage.open_signals + more, limits.open_signals),
        "of strategy": more and over(usage.open_signals_of_strategy + more, limits.open_signals_per_strategy),
        "gross": over(usage.gross_exposure + notional, limits.gross_exposure, usage.equity),
        "symbol": over(usage.symbol_exposure + notional, limits.symbol_exposure, usage.equity),
        "orders": over(usage.orders_last_minute + 1, limits.orders_per_minute),
        "daily loss": lost(usage.day_start_equity, usage.equity, limits.daily_loss),
        "drawdown": lost(usage.peak_equity, usage.equity, limits.drawdown),
    }
    return {name for name, is_broken in broken.items() if is_broken}


@given(USAGES, LIMITS, CANDIDATES)
def test_a_candidate_is_approved_exactly_if_nothing_would_be_over_a_limit(usage, limits, candidate):
    """I5: the state after the approval is within every limit; and nothing that fits is denied."""
    assert (breaches(usage, limits, candidate) == set()) is isinstance(judge(usage, limits, candidate), Approved)


@pytest.mark.untraced
@given(LIMITS, st.lists(CANDIDATES, max_size=30))
def test_however_many_ask_together_no_limit_is_passed(limits, candidates):
    """I5 over a round: each approval is reserved before the next one is judged."""
    usage = USAGE
    for candidate in candidates:
        if isinstance(judge(usage, limits, candidate), Denied):
            continue
        more = candidate.signal is not None
        usage = replace(
            usage,
            symbol_side=candidate.side,
            open_signals=usage.open_signals + more,
            open_signals_of_strategy=usage.open_signals_of_strategy + more,
            gross_exposure=usage.gross_exposure + candidate.notional,
            symbol_exposure=usage.symbol_exposure + candidate.notional,
            orders_last_minute=usage.orders_last_minute + 1,
        )

    assert not over(usage.open_signals, limits.open_signals)
    assert not over(usage.open_signals_of_strategy, limits.open_signals_per_strategy)
    assert not over(usage.orders_last_minute, limits.orders_per_minute)
    assert not over(usage.gross_exposure, limits.gross_exposure, usage.equity)
    assert not over(usage.symbol_exposure, limits.symbol_exposure, usage.equity)


@pytest.mark.parametrize("field", ["equity", "gross_exposure", "symbol_exposure", "day_start_equity", "peak_equity"])
def test_a_number_nobody_knows_denies(field):
    """A check that cannot tell does not let an order through."""
    one = Decimal(1)
    limits = Limits(gross_exposure=one, symbol_exposure=one, daily_loss=one, drawdown=one)
    unknown: dict[str, Any] = {field: Decimal("NaN")}
    assert DenialCode.CHECK_FAILED is code_of(judge(replace(USAGE, **unknown), limits, CANDIDATE))
