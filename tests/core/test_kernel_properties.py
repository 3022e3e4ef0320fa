"""Random life of a signal at a badly behaved venue; what must hold is in `kernel_driver`."""

from decimal import Decimal
from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from livebot.core.market import Side
from livebot.core.signal import CloseReason
from tests.core.kernel_driver import PLANS, Driver
from tests.core.venue_model import Traits

REASONS = (CloseReason.OPERATOR, CloseReason.STRATEGY_EXIT, CloseReason.PORTFOLIO_HALT, CloseReason.UNPROTECTED)


def random_traits(chance: Random) -> Traits:
    """Some venue."""
    return Traits(
        oco=chance.choice(("nothing", "take_off", "cancel")),
        tidies=chance.random() < 0.5,
        refuses=chance.choice((0.0, 0.05, 0.3)),
        loses=chance.choice((0.0, 0.05, 0.3)),
        too_late=chance.choice((0.0, 0.3)),
        splits=chance.choice((0.0, 0.5, 0.9)),
        repeats=chance.choice((0.0, 0.2)),
        fee=Decimal(chance.choice(("0", "0.0005", "-0.0001"))),
    )


def act(driver: Driver, chance: Random) -> None:
    """One thing happens."""
    choices = (
        (8, lambda: driver.enter(limit=chance.random() < 0.5, side=chance.choice(list(Side)), plan=chance.randrange(6))),
        (30, driver.carry_out),
        (25, lambda: driver.tell(0)),
        (8, lambda: driver.tell(chance.randrange(5))),
        (10, driver.answer),
        (18, lambda: driver.move(chance.randrange(-20, 21))),
        (8, driver.close_candle),
        (6, driver.venue.work),
        (2, driver.venue.land),
        (1, driver.venue.drop_one),
        (1, lambda: driver.leave(chance.choice(REASONS))),
        (3, lambda: driver.adjust(chance.randrange(-30, 31), chance.randrange(-60, 61))),
        (1, driver.close_by_hand),
        (2, driver.reconcile),
        (2, driver.crash),
        (1, driver.crash_while_saving),
        (2, driver.come_to_rest),
    )
    chance.choices([happening for _, happening in choices], [weight for weight, _ in choices])[0]()


@pytest.mark.parametrize("block", range(8))
def test_whatever_happens_nothing_is_lost_doubled_or_unprotected(block):
    """Many short lives and some long ones."""
    for seed in range(block * 20, block * 20 + 20):
        chance = Random(seed)
        driver = Driver(chance, random_traits(chance))
        for _ in range(400 if seed % 10 == 0 else 80):
            act(driver, chance)
        driver.finish()
