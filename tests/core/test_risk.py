"""The portfolio's verdict, and the trading state that the numbers call for."""

import copy
import dataclasses
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livebot.core.market import Side
from livebot.core.order import Leg
from livebot.core.risk import (
    CHECKS,
    Approved,
    DenialCode,
    Denied,
    Limits,
    TradingState,
    approve_reduction,
    judge,
    next_trading_state,
)
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
        "trading is REDUCING after a loss: positions are only closed",
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
    assert {code.value for code in DenialCode} == {code for _, _, code, _ in DENIALS}


@pytest.mark.parametrize(
    ("usage", "limits"),
    [
        ({"symbol_side": Side.LONG}, {}),
        ({"open_signals": 2}, {"open_signals": 3}),
        ({"open_signals_of_strategy": 1}, {"open_signals_per_strategy": 2}),
        ({"gross_exposure": Decimal(1400)}, {"gross_exposure": Decimal("1.5")}),
        ({}, {"symbol_exposure": Decimal("0.1")}),
        ({"orders_last_minute": 29}, {"orders_per_minute": 30}),
        ({"equity": Decimal("950.01")}, {"daily_loss": Decimal("0.05")}),
        ({"peak_equity": Decimal("1249.99")}, {"drawdown": Decimal("0.2")}),
    ],
)
def test_a_limit_can_be_used_up_and_a_loss_come_close(usage, limits):
    """Up to and including what is allowed; a loss that reaches its limit has gone too far."""
    assert isinstance(judge(replace(USAGE, **usage), Limits(**limits), CANDIDATE), Approved)


def test_averaging_is_no_further_signal():
    """It adds exposure and an order, so those limits hold; the counts do not move."""
    full = replace(USAGE, open_signals=3, open_signals_of_strategy=3)
    counts = Limits(open_signals=3, open_signals_per_strategy=3)

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
    )
    zero = Decimal(0)
    limits = Limits(
        open_signals=0,
        open_signals_per_strategy=0,
        gross_exposure=zero,
        symbol_exposure=zero,
        orders_per_minute=0,
        daily_loss=Decimal("0.1"),
        drawdown=Decimal("0.1"),
    )
    said = []
    for mended in (
        {"blocks": ()},
        {"trading_state": ACTIVE},
        {"symbol_side": None},
        {"open_signals": None},
        {"open_signals_per_strategy": None},
        {"gross_exposure": None},
        {"symbol_exposure": None},
        {"orders_per_minute": None},
        {"daily_loss": None},
        {"drawdown": None},
    ):
        said.append(code_of(judge(usage, limits, CANDIDATE)).value)
        in_limits = next(iter(mended)) in {field.name for field in dataclasses.fields(Limits)}
        usage, limits = (usage, replace(limits, **mended)) if in_limits else (replace(usage, **mended), limits)

    order = (
        "paused halted opposite_side open_signals open_signals_strategy gross_exposure symbol_exposure "
        "orders_per_minute daily_loss drawdown"
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


# Trading state


LOSSES = Limits(daily_loss=Decimal("0.05"), drawdown=Decimal("0.2"))
FINE = Decimal(1000)
DAILY_LOSS = "daily loss: 50 lost of 1000, 50 allowed; the limit is 5 % of the equity the day began with"
DRAWDOWN = "drawdown: 200 lost of 1000, 200 allowed; the limit is 20 % of the highest equity"
NEW_DAY = "a new UTC day has begun and no loss limit is reached"


@pytest.mark.parametrize(
    ("present", "equity", "new_day", "following", "text"),
    [
        (ACTIVE, FINE, False, ACTIVE, ""),
        (ACTIVE, FINE, True, ACTIVE, ""),
        (ACTIVE, Decimal("950.01"), False, ACTIVE, ""),
        (ACTIVE, Decimal(950), False, REDUCING, DAILY_LOSS),
        (ACTIVE, Decimal(800), False, HALTED, DRAWDOWN),
        (REDUCING, FINE, False, REDUCING, ""),
        (REDUCING, FINE, True, ACTIVE, NEW_DAY),
        (REDUCING, Decimal(950), True, REDUCING, ""),
        (REDUCING, Decimal(800), False, HALTED, DRAWDOWN),
        (HALTED, FINE, False, HALTED, ""),
        (HALTED, FINE, True, HALTED, ""),
        (HALTED, Decimal(950), True, HALTED, ""),
        (HALTED, Decimal(800), True, HALTED, ""),
    ],
)
def test_the_numbers_call_for_a_trading_state(present, equity, new_day, following, text):
    """A loss reduces for the day, a drawdown halts, and a sentence says why whenever the state changes."""
    usage = replace(USAGE, equity=equity)
    assert (following, text) == next_trading_state(present, usage, LOSSES, new_day=new_day)


@pytest.mark.parametrize(("present", "text"), [(ACTIVE, DRAWDOWN), (REDUCING, "")])
def test_a_drawdown_can_be_set_to_reduce_only(present, text):
    """And lasts for as long as the drawdown does, new day or not."""
    usage = replace(USAGE, equity=Decimal(800))
    result = next_trading_state(present, usage, LOSSES, new_day=True, halt_on_drawdown=False)
    assert (REDUCING, text) == result


@given(USAGES, LIMITS, st.booleans(), st.booleans())
def test_nothing_but_an_operator_leaves_halted(usage, limits, new_day, halt_on_drawdown):
    """I6: whatever the numbers say."""
    result = next_trading_state(HALTED, usage, limits, new_day=new_day, halt_on_drawdown=halt_on_drawdown)
    assert (HALTED, "") == result


@given(st.sampled_from(TradingState), USAGES, LIMITS, st.booleans())
def test_in_an_active_state_no_loss_denies(present, usage, limits, new_day):
    """Gate and trading state read the same numbers: ACTIVE means that neither loss limit is reached."""
    following, text = next_trading_state(present, usage, limits, new_day=new_day)
    reached = lost(usage.day_start_equity, usage.equity, limits.daily_loss) or lost(
        usage.peak_equity, usage.equity, limits.drawdown
    )
    assert not (following is ACTIVE and reached)
    assert (following is present) == (text == "")
