"""What a strategy may ask for, and exit plans that contradict themselves."""

from decimal import Decimal

import pytest

from livebot.core.entry import NO_EXIT_PLAN, Adjustment, Averaging, BreakEven, ExitPlan, PartialLevel, Trailing
from tests.core.examples import LONG_ENTRY

TENTH = Decimal("0.1")
NONE, LESS = Decimal(0), Decimal("-0.1")


def levels(*pairs):
    """Partial levels from (gain, fraction) texts."""
    return tuple(PartialLevel(gain=Decimal(gain), fraction=Decimal(fraction)) for gain, fraction in pairs)


def test_a_whole_plan_is_accepted():
    """Every part at once."""
    plan = ExitPlan(
        trailing=Trailing(distance=TENTH, after=TENTH),
        break_even=BreakEven(after=TENTH, offset=Decimal("0.01")),
        partial_levels=levels(("0.01", "0.5"), ("0.02", "0.49")),
        averaging=Averaging(step=TENTH, fraction=TENTH, times=1),
    )
    assert 2 == len(plan.partial_levels)


def test_no_plan_manages_nothing():
    """Stop, target and lifetime stay as the entry set them."""
    assert ExitPlan() == NO_EXIT_PLAN
    assert (None, None, (), None) == (
        NO_EXIT_PLAN.trailing,
        NO_EXIT_PLAN.break_even,
        NO_EXIT_PLAN.partial_levels,
        NO_EXIT_PLAN.averaging,
    )


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ({"trailing": Trailing(distance=NONE)}, "trailing.distance: 0 must be above 0"),
        ({"break_even": BreakEven(after=NONE)}, "break_even.after: 0 must be above 0"),
        (
            {"break_even": BreakEven(after=TENTH, offset=TENTH)},
            "break_even.offset: 0.1 must be less than break_even.after 0.1",
        ),
        ({"averaging": Averaging(step=NONE, fraction=TENTH, times=1)}, "averaging.step: 0 must be above 0"),
        ({"averaging": Averaging(step=TENTH, fraction=LESS, times=1)}, "averaging.fraction: -0.1 must be above 0"),
        ({"averaging": Averaging(step=TENTH, fraction=TENTH, times=0)}, "averaging.times: 0 must be above 0"),
        ({"partial_levels": levels(("0.02", "0.1"), ("0.01", "0.1"))}, "must be positive and rising"),
        ({"partial_levels": levels(("0.01", "0.1"), ("0.01", "0.1"))}, "must be positive and rising"),
        ({"partial_levels": levels(("0", "0.1"))}, "must be positive and rising"),
        ({"partial_levels": levels(("0.01", "0"))}, "fractions must be positive and sum to less than 1"),
        ({"partial_levels": levels(("0.01", "0.5"), ("0.02", "0.5"))}, "sum to less than 1"),
    ],
)
def test_a_plan_that_contradicts_itself_cannot_be_made(parts, text):
    """The sentence names the part and its value."""
    with pytest.raises(ValueError, match=text):
        ExitPlan(**parts)


def test_an_entry_is_at_the_market_and_without_a_plan_of_its_own_unless_it_says_so():
    """None leaves schedule and exits to the configuration."""
    entry = LONG_ENTRY
    assert (None, None, None, "") == (entry.limit_price, entry.schedule_ms, entry.exits, entry.reason)


def test_an_adjustment_changes_nothing_unless_it_says_so():
    """No stop, no target, no close."""
    assert Adjustment() == Adjustment(stop_loss=None, take_profit=None, close=False)
