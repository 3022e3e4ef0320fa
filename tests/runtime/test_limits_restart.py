"""A daemon that is started again counts against the limits what the one before it did."""

from livebot.core.denial import DenialCode
from livebot.core.facts import SignalClosed, SignalOpening
from livebot.core.limits import Limits, RepeatedExecutions
from livebot.core.market import DAY_MS, MINUTE_MS
from livebot.core.streak import LosingStreak, StreakScope
from tests.process.strategies import Eager, Nothing
from tests.runtime.harness import BTC, ETH, World
from tests.virtual_loop import run

LIMITS = Limits(
    orders_per_day=5,
    repeated_executions=RepeatedExecutions(maximum=3, window_ms=DAY_MS),
    losing_streak=LosingStreak(losses=100, cooldown_ms=MINUTE_MS, scope=StreakScope.ALL),
)


def world() -> World:
    return World(strategies={"eager": lambda: Eager(Nothing())}, symbols=(BTC, ETH), limits=LIMITS, seed=2)


def entries(of: World) -> list[SignalOpening]:
    return [fact for fact in of.ledger.facts.values() if isinstance(fact, SignalOpening)]


def losses_in_a_row(of: World) -> int:
    closes = [fact for fact in of.ledger.facts.values() if isinstance(fact, SignalClosed)]
    count = 0
    for fact in sorted(closes, key=lambda fact: (fact.ts_ms, fact.symbol)):
        count = count + 1 if fact.pnl_net < 0 else 0
    return count


def test_no_daemon_of_the_day_sends_more_orders_than_the_day_allows():
    """Nor does one enter a symbol more often than the throttle lets it, until a human resumes the symbol."""

    async def story() -> World:
        there, longest = world(), 0
        for _ in range(6):
            process = await there.live(6)
            rows = {row.name: row.used for row in process.system.portfolio.limit_use()}
            assert len(entries(there)) == rows["orders_per_day"]
            assert losses_in_a_row(there) == rows["losing_streak"]
            longest = max(longest, losses_in_a_row(there))
        assert 5 == len(entries(there))
        assert 1 < longest
        assert 3 == rows["repeated_executions"]
        (paused,) = process.system.portfolio.blocks.paused
        assert DenialCode.REPEATED_EXECUTIONS in process.system.portfolio.blocks.of(paused)
        assert any("is paused: eager has entered it 3 times" in each for each in process.system.problems.sentences())
        return there

    there = run(story())
    codes = {decision.code for decision in there.ledger.decisions.values() if decision.outcome == "denied"}
    assert {"orders_per_day", "repeated_executions"} <= codes
