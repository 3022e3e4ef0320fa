"""What moves the trading state: each row of the table, and that HALTED has one way out."""

from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livebot.core.denial import TradingState
from livebot.core.limits import Limits
from livebot.core.trading_state import Standing, next_trading_state

ACTIVE, REDUCING, HALTED = TradingState.ACTIVE, TradingState.REDUCING, TradingState.HALTED


class Numbers(NamedTuple):
    """What losses are read off."""

    equity: Decimal
    day_start_equity: Decimal = Decimal(1000)
    peak_equity: Decimal = Decimal(1000)


# Losses

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
    assert (following, text) == next_trading_state(present, Numbers(equity), LOSSES, new_day=new_day)


AMOUNTS = st.decimals(-100, 2000, places=2)
RATIOS = st.none() | st.decimals(0, 2, places=2)
NUMBERS = st.builds(Numbers, AMOUNTS, AMOUNTS, AMOUNTS)
LIMITS = st.builds(Limits, daily_loss=RATIOS, drawdown=RATIOS)


def lost(start, equity, allowed):
    """Whether a loss has reached its limit, in exact fractions."""
    return allowed is not None and Fraction(start) - Fraction(equity) >= Fraction(allowed) * Fraction(start)


@given(st.sampled_from(TradingState), NUMBERS, LIMITS, st.booleans())
def test_in_an_active_state_no_loss_denies(present, numbers, limits, new_day):
    """Gate and trading state read the same numbers: ACTIVE means that neither loss limit is reached."""
    following, text = next_trading_state(present, numbers, limits, new_day=new_day)
    reached = lost(numbers.day_start_equity, numbers.equity, limits.daily_loss) or lost(
        numbers.peak_equity, numbers.equity, limits.drawdown
    )
    assert not (following is ACTIVE and reached)
    assert (following is present) == (text == "")


# Rows of the table, beside those of losses

CAUSED = Standing().caused("clock", "the clock is off")


@pytest.mark.parametrize("before", [Standing(), Standing(REDUCING, "a loss"), CAUSED, Standing(HALTED, "before")])
def test_an_operator_halts_whatever_it_is(before):
    """And the reason is the new one."""
    after = before.moved(HALTED, "enough")
    assert (after.state, after.reason, after.sources) == (HALTED, "enough", ())


@pytest.mark.parametrize("before", [Standing(), Standing(REDUCING, "a loss"), CAUSED])
def test_what_latches_a_halt_halts(before):
    """From every other state."""
    assert (before.latched("too many failures").state, before.latched("x").reason) == (HALTED, "x")


def test_what_latches_a_halt_leaves_a_halt_its_reason():
    """The operator must see what came first, and a loss that flattens goes on flattening."""
    halted = Standing(HALTED, "loss limit: all")
    assert halted.latched("too many failures") is halted


def test_a_cause_reduces_and_active_comes_back_by_itself():
    """No operator is needed."""
    assert (CAUSED.state, CAUSED.reason, CAUSED.sources) == (REDUCING, "the clock is off", ("clock",))
    assert CAUSED.caused("clock", None) == Standing()
    assert CAUSED.caused("nobody", None) == CAUSED


def test_several_causes_stand_until_the_last_has_passed():
    """The reason names the first and how many more there are."""
    both = CAUSED.caused("venue", "maintenance")
    three = both.caused("limits", "too much is open")
    assert (both.reason, three.reason) == ("the clock is off (and 1 more)", "the clock is off (and 2 more)")
    left = both.caused("clock", None)
    assert (left.state, left.reason) == (REDUCING, "maintenance")
    assert left.caused("venue", None).state is ACTIVE


def test_a_cause_that_says_something_else_keeps_its_place():
    """Its figures change; it is the same cause."""
    both = CAUSED.caused("venue", "maintenance").caused("clock", "the clock is off by more")
    assert (both.sources, both.reason) == (("clock", "venue"), "the clock is off by more (and 1 more)")


def test_a_loss_of_the_day_goes_on_reducing_when_a_cause_has_passed():
    """And a cause when the day is over."""
    lossy = CAUSED.moved(REDUCING, "daily loss")
    assert (lossy.state, lossy.reason) == (REDUCING, "daily loss (and 1 more)")
    assert lossy.caused("clock", None) == Standing(REDUCING, "daily loss")
    tomorrow = lossy.moved(ACTIVE, NEW_DAY)
    assert (tomorrow.state, tomorrow.reason) == (REDUCING, "the clock is off")


def test_a_cause_that_arises_in_a_halt_is_kept_in_mind():
    """It moves nothing then, and reduces when the halt is lifted."""
    halted = Standing(HALTED, "enough").caused("clock", "the clock is off")
    assert (halted.state, halted.reason, halted.sources) == (HALTED, "enough", ())
    lifted = halted.lifted("looked into it")
    assert (lifted.state, lifted.reason) == (REDUCING, "the clock is off")
    assert halted.caused("clock", None).lifted("looked into it").state is ACTIVE


# All of it

SOURCES = st.sampled_from(["clock", "venue", "limits"])
LOSS = st.tuples(st.just("loss"), NUMBERS, LIMITS, st.booleans())
CAUSE = st.tuples(st.just("cause"), SOURCES, st.none() | st.sampled_from(["off", "further off"]))
ORDERS = st.tuples(st.sampled_from(["latch", "halt", "lift"]))


def after(standing: Standing, event) -> Standing:
    """As the runtime applies it."""
    match event:
        case ("loss", numbers, limits, new_day):
            following, reason = next_trading_state(standing.own, numbers, limits, new_day=new_day)
            return standing if following is standing.own else standing.moved(following, reason)
        case ("cause", source, sentence):
            return standing.caused(source, sentence)
        case ("latch",):
            return standing.latched("latched")
        case ("halt",):
            return standing.moved(HALTED, "halted")
        case _:
            return standing.lifted("lifted")


@given(st.lists(LOSS | CAUSE | ORDERS, max_size=30))
def test_halted_is_left_by_an_operator_alone(events):
    """I6, whatever comes in whatever order; and while anything reduces, trading is not ACTIVE."""
    standing, causes = Standing(), {}
    for event in events:
        before, standing = standing, after(standing, event)
        if event[0] == "cause":
            causes[event[1]] = event[2]
        if before.state is HALTED:
            assert (standing.state is HALTED) == (event[0] != "lift")
        if standing.state is ACTIVE:
            assert not any(causes.values())
            assert standing.own is ACTIVE
        else:
            assert standing.reason
