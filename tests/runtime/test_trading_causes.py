"""Causes that reduce trading: the portfolio's state while they stand, after them, and over a restart."""

from decimal import Decimal

from livebot.core.denial import DenialCode, Denied, TradingState
from livebot.core.limits import Limits
from livebot.core.market import DAY_MS
from livebot.core.risk import Approved
from livebot.runtime.portfolio.portfolio import Portfolio
from livebot.runtime.problems import Problems
from livebot.runtime.settings import LossAction, LossLimit
from tests.runtime.samples import BTC, ETH, NOW_MS, Teller, candidate, held

WALLET = Decimal(1000)
ACTIVE, REDUCING, HALTED = TradingState.ACTIVE, TradingState.REDUCING, TradingState.HALTED


def make(limits: Limits | None = None, *, loss_limit: LossLimit | None = None, seen: bool = True) -> Portfolio:
    portfolio = Portfolio(limits or Limits(), loss_limit=loss_limit, win_rate=None, report=Problems().report)
    if seen:
        portfolio.set_wallet(WALLET)
    return portfolio


def code(verdict: Approved | Denied) -> DenialCode | None:
    return verdict.code if isinstance(verdict, Denied) else None


def lose(portfolio: Portfolio, amount: int) -> None:
    portfolio.hear([Teller().closed(-amount)])


def test_a_cause_stops_entries_at_once_and_its_end_lets_them_in_again():
    portfolio = make()
    change = portfolio.cause("clock", "the clock is off")
    assert change is not None
    assert (change.present, change.reason, change.flatten) == (REDUCING, "the clock is off", False)
    assert code(portfolio.admit(candidate(), NOW_MS)) is DenialCode.REDUCING
    change = portfolio.cause("clock", None)
    assert change is not None
    assert (change.present, change.reason) == (ACTIVE, "passed: the clock is off")
    assert code(portfolio.admit(candidate(), NOW_MS)) is None


def test_only_what_changes_the_state_or_who_moves_it_is_news():
    """A sentence whose figures change is none, but it is what is shown."""
    portfolio = make()
    assert portfolio.cause("clock", None) is None
    portfolio.cause("clock", "off by 1.1 s")
    assert portfolio.cause("clock", "off by 1.2 s") is None
    assert portfolio.state_reason == "off by 1.2 s"
    change = portfolio.cause("venue", "maintenance")
    assert change is not None
    assert (change.present, change.reason) == (REDUCING, "off by 1.2 s (and 1 more)")
    change = portfolio.cause("clock", None)
    assert change is not None
    assert (change.present, change.reason) == (REDUCING, "maintenance")


def test_a_cause_is_not_remembered_as_a_loss_of_the_day():
    """After a restart trading is ACTIVE until somebody sees the cause again."""
    portfolio = make()
    portfolio.evaluate(NOW_MS)
    before = portfolio.memory()
    portfolio.cause("clock", "the clock is off")
    assert portfolio.memory() == before
    assert before.trading_state is ACTIVE
    again = make(seen=False)
    again.restore(portfolio.memory(), {})
    assert again.trading_state is ACTIVE


def test_a_loss_of_the_day_is_remembered_beside_a_cause_and_goes_on_when_that_has_passed():
    portfolio = make(Limits(daily_loss=Decimal("0.05")))
    portfolio.evaluate(NOW_MS)
    portfolio.cause("clock", "the clock is off")
    lose(portfolio, 50)
    change = portfolio.evaluate(NOW_MS)
    assert change is not None
    assert change.present is REDUCING
    assert change.reason.startswith("daily loss: 50 lost")
    memory = portfolio.memory()
    assert (memory.trading_state, "and 1 more" in memory.state_reason) == (REDUCING, False)
    portfolio.cause("clock", None)
    assert portfolio.trading_state is REDUCING
    tomorrow = portfolio.evaluate(NOW_MS + DAY_MS)
    assert tomorrow is not None
    assert tomorrow.present is ACTIVE


def test_a_new_day_leaves_a_cause_standing():
    portfolio = make(Limits(daily_loss=Decimal("0.05")))
    portfolio.evaluate(NOW_MS)
    lose(portfolio, 50)
    portfolio.evaluate(NOW_MS)
    portfolio.cause("clock", "the clock is off")
    change = portfolio.evaluate(NOW_MS + DAY_MS)
    assert change is not None
    assert (change.present, change.reason) == (REDUCING, "the clock is off")


def test_a_cause_that_was_there_before_the_memory_was_read_is_kept():
    """The connection speaks before the daemon has read its files."""
    portfolio = make(seen=False)
    portfolio.cause("clock", "the clock is off")
    portfolio.restore(None, {})
    assert portfolio.trading_state is REDUCING
    halted = make()
    halted.halt("enough")
    portfolio.restore(halted.memory(), {})
    assert (portfolio.trading_state, portfolio.state_reason) == (HALTED, "enough")


def test_no_cause_moves_halted_and_a_lifted_halt_finds_it_standing():
    portfolio = make()
    portfolio.halt("enough")
    assert portfolio.cause("clock", "the clock is off") is None
    assert (portfolio.trading_state, portfolio.state_reason) == (HALTED, "enough")
    change = portfolio.unhalt("looked into it", NOW_MS)
    assert (change.present, change.reason) == (REDUCING, "the clock is off")
    assert portfolio.memory().trading_state is ACTIVE


def test_a_latched_halt_is_remembered_and_leaves_one_that_flattens_alone():
    """Only an operator can judge it."""
    portfolio = make()
    change = portfolio.latch("too many failures")
    assert change is not None
    assert (change.present, change.reason) == (HALTED, "too many failures")
    assert portfolio.memory().trading_state is HALTED
    assert portfolio.latch("still too many") is None
    losing = make(loss_limit=LossLimit(ratio=Decimal("0.1"), action=LossAction.FLATTEN))
    lose(losing, 100)
    losing.evaluate(NOW_MS)
    assert losing.latch("too many failures") is None
    assert losing.flatten_wanted


# Limits lowered below what is open


def test_limits_lowered_below_what_is_open_reduce_until_it_fits():
    """Nothing is closed for it; the sentence names the limit and its figures."""
    portfolio = make(Limits(open_signals=3))
    btc, eth = Teller(BTC), Teller(ETH)
    portfolio.hear([btc.opened(held()), eth.opened(held())])
    portfolio.evaluate(NOW_MS)
    portfolio.replace_limits(Limits(open_signals=1), loss_limit=None, win_rate=None)
    change = portfolio.evaluate(NOW_MS)
    assert change is not None
    assert change.present is REDUCING
    assert "open_signals 2 of 1" in change.reason
    assert portfolio.evaluate(NOW_MS) is None
    portfolio.hear([eth.closed(1)])
    change = portfolio.evaluate(NOW_MS)
    assert change is not None
    assert change.present is ACTIVE
    assert portfolio.evaluate(NOW_MS) is None


def test_limits_that_hold_what_is_open_change_nothing():
    portfolio = make(Limits(open_signals=3))
    portfolio.hear([Teller().opened(held())])
    portfolio.evaluate(NOW_MS)
    portfolio.replace_limits(Limits(open_signals=1), loss_limit=None, win_rate=None)
    assert portfolio.evaluate(NOW_MS) is None
    assert portfolio.trading_state is ACTIVE


def test_limits_lowered_while_it_is_halted_leave_it_halted():
    portfolio = make(Limits(open_signals=3))
    portfolio.hear([Teller(BTC).opened(held()), Teller(ETH).opened(held())])
    portfolio.halt("enough")
    portfolio.replace_limits(Limits(open_signals=1), loss_limit=None, win_rate=None)
    assert portfolio.evaluate(NOW_MS) is None
    assert (portfolio.trading_state, portfolio.state_reason) == (HALTED, "enough")
