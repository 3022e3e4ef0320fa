"""I3: a stop that was saved and perhaps never sent is at the venue as soon as somebody runs again."""

from collections import Counter

import pytest

from livebot.core.order import Leg
from tests.simulation.market import SYMBOLS
from tests.simulation.plan import CrashPlan, Plan, fair, plan_of
from tests.simulation.run import Outcome, run_plan

AT_ONCE_S = 1.0  # a look at the venue and an order, with the network's usual delays


OPENS_AT_S = (120.08, 180.05)  # just before the entries of this seed leave


def plan(at_s: float, steps: int) -> Plan:
    """Fair weather; the power goes at one of the steps in which a position opens, and comes back at once."""
    crash = CrashPlan(at_s=at_s, steps=steps, operations=None, power=True, down_s=0.2, again=None)
    return fair(
        plan_of(3),
        minutes=9,
        strategies={SYMBOLS[0]: ("eager",), SYMBOLS[1]: ("brittle",), SYMBOLS[2]: ("averager",)},
        crashes=(crash,),
    )


def entries(outcome: Outcome) -> Counter[str]:
    """How often each order that opens has reached the venue."""
    sent = (event[2] for event in outcome.world.events if event[1] == "submit")
    return Counter(request.client_order_id for request in sent if request.leg is Leg.ENTRY)


@pytest.mark.timeout(120)
@pytest.mark.untraced
def test_a_stop_that_never_left_does_not_wait_for_the_venues_window():
    """A power cut at each step of two entries, also between a stop's durable intent and its sending."""
    outcomes = [run_plan(plan(at_s, steps)) for at_s in OPENS_AT_S for steps in range(2, 50)]
    assert [outcome.violation for outcome in outcomes if outcome.violation] == []
    assert all(outcome.counts["crash"] == 1 for outcome in outcomes)
    assert max(outcome.longest_naked_s for outcome in outcomes) < AT_ONCE_S
    assert all(set(entries(outcome).values()) == {1} for outcome in outcomes)
