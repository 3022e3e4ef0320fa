"""I7: a strategy that raises changes nothing for the other symbols."""

from dataclasses import replace

import pytest

from livebot.core.facts import Fact, SignalClosed
from tests.simulation.market import SYMBOLS
from tests.simulation.plan import Plan, fair, plan_of
from tests.simulation.run import Outcome, run_plan

BRITTLE, OTHERS = SYMBOLS[0], SYMBOLS[1:]


def plan(seed: int, *, raises: bool) -> Plan:
    """Fair weather and no limits: the symbols share nothing but the daemon."""
    return fair(
        plan_of(seed),
        strategies={BRITTLE: ("brittle",), OTHERS[0]: ("eager", "resting"), OTHERS[1]: ("averager",)},
        jitter=0.0,
        shuffled=False,
        raises=10 if raises else 0,
    )


def story(outcome: Outcome, symbols: tuple[str, ...]) -> list[Fact]:
    """What was decided and done; when an answer came depends on who else asked."""
    facts = outcome.world.ledger.facts
    return [replace(fact, ts_ms=0) for key, fact in sorted(facts.items()) if key[1] in symbols]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.untraced
def test_a_strategy_that_raises_changes_no_other_symbols_facts(seed):
    """The same day twice, once with a strategy that raises again and again on one symbol."""
    sound, raising = run_plan(plan(seed, raises=False)), run_plan(plan(seed, raises=True))
    assert sound.violation is None
    assert raising.violation is None
    assert raising.counts["raised"] > 3
    assert list(map(_lasting, story(sound, OTHERS))) == list(map(_lasting, story(raising, OTHERS)))


def _lasting(fact: Fact) -> Fact:
    """Without the time at which it opened."""
    return replace(fact, opened_ms=0) if isinstance(fact, SignalClosed) else fact
