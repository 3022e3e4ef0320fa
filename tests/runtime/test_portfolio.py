"""The portfolio: what it admits, what it keeps in mind, and what it does when it is wrong."""

from dataclasses import replace
from decimal import Decimal
from typing import cast

import pytest

from livebot.core.denial import DenialCode, Denied, TradingState
from livebot.core.facts import NO_EXPOSURE, Exposure, SignalClosed
from livebot.core.limits import Limits
from livebot.core.market import DAY_MS, MINUTE_MS, Side
from livebot.core.performance import WinRate
from livebot.core.risk import Approved
from livebot.errors import Rejected
from livebot.ports import Dismissed, PortfolioMemory
from livebot.runtime.portfolio.portfolio import Portfolio
from livebot.runtime.problems import Problems
from livebot.runtime.settings import LossAction, LossLimit
from tests.runtime.samples import BTC, ETH, NOW_MS, TREND, Teller, candidate, decision, held

NO_LIMITS = Limits()
WALLET = Decimal(1000)
DAY_START_MS = NOW_MS - NOW_MS % DAY_MS


def make(
    limits: Limits = NO_LIMITS,
    *,
    loss_limit: LossLimit | None = None,
    win_rate: WinRate | None = None,
    problems: Problems | None = None,
    wallet: Decimal | None = WALLET,
) -> Portfolio:
    report = (problems or Problems()).report
    portfolio = Portfolio(limits, loss_limit=loss_limit, win_rate=win_rate, report=report)
    if wallet is not None:
        portfolio.set_wallet(wallet)
    return portfolio


def code(verdict: Approved | Denied) -> DenialCode | None:
    return verdict.code if isinstance(verdict, Denied) else None


def use(portfolio: Portfolio) -> dict[str, tuple[Decimal, Decimal | None]]:
    return {limit.name: (limit.used, limit.allowed) for limit in portfolio.limit_use()}


# Admission


def test_ten_symbols_on_one_candle_with_limit_three_let_three_through():
    """The check and the reservation are one step, so the fourth sees the first three."""
    portfolio = make(Limits(open_signals=3))
    verdicts = [portfolio.admit(candidate(f"S{index}/USDT"), NOW_MS) for index in range(10)]
    assert [None] * 3 + [DenialCode.OPEN_SIGNALS] * 7 == [code(verdict) for verdict in verdicts]
    assert {"admitted": 3, "denied": 7, "opened": 0, "closed": 0} == portfolio.counts()


def test_an_approval_carries_the_candidate_and_its_order():
    asked = candidate()
    verdict = make().admit(asked, NOW_MS)
    assert isinstance(verdict, Approved)
    assert (asked, asked.order) == (verdict.candidate, verdict.order)


def test_own_reservation_is_not_counted():
    """Asking again for the same (strategy, symbol) finds the same room as the first time."""
    limits = Limits(
        open_signals=1, open_signals_per_strategy=1, gross_exposure=Decimal("0.1"), symbol_exposure=Decimal("0.1")
    )
    portfolio = make(limits)
    assert code(portfolio.admit(candidate(), NOW_MS)) is None
    assert code(portfolio.admit(candidate(), NOW_MS)) is None
    assert code(portfolio.admit(candidate(side=Side.SHORT), NOW_MS)) is None
    assert code(portfolio.admit(candidate(ETH), NOW_MS)) is DenialCode.OPEN_SIGNALS


def test_limits_of_a_strategy_a_symbol_and_all_count_reservations():
    portfolio = make(Limits(open_signals_per_strategy=1))
    portfolio.admit(candidate(), NOW_MS)
    assert code(portfolio.admit(candidate(ETH), NOW_MS)) is DenialCode.OPEN_SIGNALS_STRATEGY
    assert code(portfolio.admit(candidate(ETH, strategy="other"), NOW_MS)) is None
    portfolio = make(Limits(gross_exposure=Decimal("0.15")))
    portfolio.admit(candidate(), NOW_MS)
    assert code(portfolio.admit(candidate(ETH), NOW_MS)) is DenialCode.GROSS_EXPOSURE
    portfolio = make(Limits(symbol_exposure=Decimal("0.15")))
    portfolio.admit(candidate(), NOW_MS)
    assert code(portfolio.admit(candidate(strategy="other"), NOW_MS)) is DenialCode.SYMBOL_EXPOSURE


@pytest.mark.parametrize("told", [False, True])
def test_the_other_side_of_a_symbol_is_denied_to_other_strategies(told):
    """By a reservation as by a position; the same side is not."""
    portfolio = make()
    portfolio.admit(candidate(), NOW_MS)
    if told:
        portfolio.hear([Teller().opened()])
    assert code(portfolio.admit(candidate(strategy="other", side=Side.SHORT), NOW_MS)) is DenialCode.OPPOSITE_SIDE
    assert code(portfolio.admit(candidate(strategy="other"), NOW_MS)) is None


def test_asking_again_for_the_other_side_looks_at_what_others_hold():
    portfolio = make()
    portfolio.admit(candidate(), NOW_MS)
    portfolio.admit(candidate(strategy="other"), NOW_MS)
    assert code(portfolio.admit(candidate(side=Side.SHORT), NOW_MS)) is DenialCode.OPPOSITE_SIDE
    portfolio.release("other", BTC)
    assert code(portfolio.admit(candidate(side=Side.SHORT), NOW_MS)) is None


def test_orders_of_the_last_minute_of_market_time_count():
    portfolio = make(Limits(orders_per_minute=2))
    for index in range(2):
        assert code(portfolio.admit(candidate(f"S{index}/USDT"), NOW_MS + index)) is None
    assert code(portfolio.admit(candidate(), NOW_MS + 2)) is DenialCode.ORDERS_PER_MINUTE
    assert (Decimal(2), Decimal(2)) == use(portfolio)["orders_per_minute"]
    assert code(portfolio.admit(candidate(), NOW_MS + MINUTE_MS)) is None
    assert code(portfolio.admit(candidate(ETH), NOW_MS + MINUTE_MS)) is DenialCode.ORDERS_PER_MINUTE


def test_nothing_is_admitted_before_the_account_is_known():
    portfolio = make(wallet=None)
    assert code(portfolio.admit(candidate(), NOW_MS)) is DenialCode.CHECK_FAILED
    assert portfolio.equity == portfolio.day_pnl == 0
    assert portfolio.evaluate(NOW_MS) is None


@pytest.mark.parametrize("notional", [Decimal(0), Decimal(-1), Decimal("NaN")])
def test_a_notional_that_is_none_is_denied_and_not_counted(notional):
    portfolio = make()
    verdict = portfolio.admit(replace(candidate(), notional=notional), NOW_MS)
    assert code(verdict) is DenialCode.CHECK_FAILED
    assert 0 == portfolio.open_signals


# Reservations


def test_a_released_reservation_gives_its_room_back():
    portfolio = make(Limits(open_signals=1))
    portfolio.admit(candidate(), NOW_MS)
    portfolio.release(TREND, BTC)
    portfolio.release(TREND, BTC)
    assert code(portfolio.admit(candidate(ETH), NOW_MS)) is None


@pytest.mark.parametrize("end", ["closed", "cancelled"])
def test_the_room_of_a_signal_is_free_when_its_last_fact_is_heard(end):
    portfolio = make(Limits(open_signals=1, gross_exposure=Decimal("0.1")))
    portfolio.admit(candidate(), NOW_MS)
    teller = Teller()
    portfolio.hear([teller.opening()])
    assert code(portfolio.admit(candidate(ETH), NOW_MS)) is DenialCode.OPEN_SIGNALS
    if end == "closed":
        portfolio.hear([teller.opened()])
        portfolio.hear([teller.closed(0)])
    else:
        portfolio.hear([teller.cancelled()])
    assert code(portfolio.admit(candidate(ETH), NOW_MS)) is None


def test_a_fact_turns_the_reservation_into_exposure_once():
    """What has not filled yet is carried by the fact, not by the reservation as well."""
    portfolio = make(Limits(gross_exposure=Decimal(1)))
    portfolio.admit(candidate(), NOW_MS)
    teller = Teller()
    for fact in (teller.opening(), teller.opened(held(4, 10, pending_notional=60)), teller.stop_moved()):
        portfolio.hear([fact])
        assert (Decimal("0.1"), Decimal(1)) == use(portfolio)["gross_exposure"]


def test_a_fact_of_the_signal_before_leaves_the_new_reservation_alone():
    """A worker may decide on the candle that closed its last signal, before that is published."""
    portfolio = make(Limits(open_signals=1))
    teller = Teller()
    portfolio.hear([teller.opened()])
    assert code(portfolio.admit(candidate(number=2), NOW_MS)) is DenialCode.OPEN_SIGNALS
    portfolio = make(Limits(open_signals=2))
    portfolio.hear([Teller().opened()])
    assert code(portfolio.admit(candidate(number=2), NOW_MS)) is None
    portfolio.hear([teller.closed(0)])
    assert 1 == portfolio.open_signals
    portfolio.hear([teller.opening()])
    assert Decimal("0.1") == use(portfolio)["gross_exposure"][0]


def test_a_moved_stop_does_not_free_the_room_of_an_averaging_order():
    """That order is admitted without a fact, and the stop moved on the same candle."""
    portfolio = make(Limits(gross_exposure=Decimal("0.2")))
    teller = Teller()
    portfolio.hear([teller.opened()])
    assert code(portfolio.admit(candidate(averaging=True), NOW_MS)) is None
    portfolio.hear([teller.stop_moved()])
    assert code(portfolio.admit(candidate(ETH, notional=1), NOW_MS)) is DenialCode.GROSS_EXPOSURE
    portfolio.hear([teller.stop_moved(held(pending_notional=100))])
    assert Decimal("0.2") == use(portfolio)["gross_exposure"][0]
    portfolio.hear([teller.increased(held(20))])
    assert Decimal("0.2") == use(portfolio)["gross_exposure"][0]


def test_a_failed_averaging_order_frees_its_room():
    portfolio = make(Limits(gross_exposure=Decimal("0.2")))
    teller = Teller()
    portfolio.hear([teller.opened()])
    portfolio.admit(candidate(averaging=True), NOW_MS)
    portfolio.hear([teller.failed()])
    assert code(portfolio.admit(candidate(ETH), NOW_MS)) is None


def test_averaging_does_not_need_room_for_a_signal():
    portfolio = make(Limits(open_signals=1, open_signals_per_strategy=1))
    portfolio.hear([Teller().opened()])
    assert code(portfolio.admit(candidate(averaging=True), NOW_MS)) is None
    assert 1 == portfolio.open_signals


def test_a_recovered_worker_says_what_its_file_holds():
    """A reservation that a crash left behind goes, an order that is in the file stays counted, facts go on."""
    portfolio = make()
    teller = Teller()
    portfolio.hear([teller.opened()])
    portfolio.admit(candidate(averaging=True), NOW_MS)
    portfolio.recovered(TREND, BTC, held(pending_notional=50), 1)
    assert Decimal("0.15") == use(portfolio)["gross_exposure"][0]
    portfolio.hear([teller.closed()])
    assert NO_EXPOSURE == portfolio.exposure(TREND, BTC)


def test_a_file_that_begins_anew_is_heard_again():
    portfolio = make()
    old = Teller()
    portfolio.hear([old.opening(), old.opened(), old.closed()])
    portfolio.recovered(TREND, BTC, NO_EXPOSURE, 0)
    portfolio.hear([Teller().opened()])
    assert 1 == portfolio.open_signals


# Facts, marks and equity


def test_equity_is_wallet_plus_closed_booked_and_unrealised():
    portfolio = make()
    long, short = Teller(), Teller(ETH, side=Side.SHORT)
    portfolio.hear([long.opened(held(10, 10, booked=-1)), short.opened(held(5, 20, side=Side.SHORT))])
    portfolio.mark(BTC, 11.5)
    portfolio.mark(ETH, 19.0)
    assert WALLET - 1 + 15 + 5 == portfolio.equity
    portfolio.hear([long.closed(13), decision()])
    assert WALLET + 13 + 5 == portfolio.equity
    assert Decimal(18) == portfolio.day_pnl


@pytest.mark.parametrize("price", [0.0, -1.0, float("nan"), float("inf")])
def test_what_is_no_price_marks_nothing(price):
    portfolio = make()
    portfolio.hear([Teller().opened()])
    portfolio.mark(BTC, 11.0)
    portfolio.mark(BTC, price)
    assert WALLET + 10 == portfolio.equity


def test_a_position_is_valued_at_the_mark_that_was_there_before_it():
    portfolio = make()
    portfolio.mark(BTC, 9.0)
    portfolio.hear([Teller().opened()])
    assert WALLET - 10 == portfolio.equity


def test_a_wallet_seen_again_takes_deposits_in_and_counts_nothing_twice():
    portfolio = make()
    teller = Teller()
    portfolio.hear([teller.opened(held(booked=-1)), teller.closed(9), teller.opened(held(booked=-2))])
    portfolio.set_wallet(WALLET + 9 - 2 + 500)
    assert WALLET + 507 == portfolio.equity


def test_what_coins_cost_is_missing_in_a_wallet_that_paid_for_them_and_is_worth_as_much():
    """On spot: bought 10 at 10, and the mark is 11."""
    portfolio = make()
    portfolio.hear([Teller().opened(held(10, 10, booked=-1))])
    portfolio.mark(BTC, 11.0)
    portfolio.set_wallet(WALLET - 100 - 1, paid=True)
    assert WALLET - 1 + 10 == portfolio.equity


def test_a_fact_heard_twice_counts_once():
    portfolio = make()
    teller = Teller()
    facts = [teller.opening(), teller.opened(), teller.closed(5)]
    portfolio.hear(facts)
    portfolio.hear(facts)
    assert WALLET + 5 == portfolio.equity
    assert 1 == portfolio.counts()["closed"]
    assert 0 == portfolio.open_signals


def test_a_fact_that_cannot_be_taken_in_stops_entries_and_the_others_are_heard():
    """It fails closed: better no trade than one on wrong numbers."""
    problems = Problems()
    portfolio = make(problems=problems)
    broken = replace(Teller().opened(), exposure=cast("Exposure", None))
    with pytest.raises(AttributeError):
        portfolio.hear([broken, Teller(ETH).opened()])
    assert code(portfolio.admit(candidate("SOL/USDT"), NOW_MS)) is DenialCode.CHECK_FAILED
    assert (DenialCode.CHECK_FAILED,) == portfolio.blocks.of(BTC)
    assert held() == portfolio.exposure(TREND, ETH)
    assert "could not take in a fact" in problems.sentences()[0]


def test_a_portfolio_that_raises_while_judging_denies(monkeypatch):
    portfolio = make()
    monkeypatch.setattr(portfolio.blocks, "of", lambda symbol: 1 / 0)
    verdict = portfolio.admit(candidate(), NOW_MS)
    assert isinstance(verdict, Denied)
    assert (DenialCode.CHECK_FAILED, "the portfolio failed: ZeroDivisionError: division by zero") == (
        verdict.code,
        verdict.text,
    )


# Trading state


def lose(portfolio: Portfolio, amount: int, symbol: str = BTC, ts_ms: int = NOW_MS) -> None:
    teller = Teller(symbol)
    teller.ts_ms = ts_ms
    portfolio.hear([teller.closed(-amount)])


def test_daily_loss_reduces_and_the_next_utc_day_lifts_it():
    portfolio = make(Limits(daily_loss=Decimal("0.05")))
    assert portfolio.evaluate(NOW_MS) is None
    lose(portfolio, 50)
    assert code(portfolio.admit(candidate(ETH), NOW_MS)) is DenialCode.DAILY_LOSS
    change = portfolio.evaluate(NOW_MS)
    assert change is not None
    assert (TradingState.REDUCING, False) == (change.present, change.flatten)
    assert portfolio.evaluate(NOW_MS) is None
    assert code(portfolio.admit(candidate(ETH), NOW_MS)) is DenialCode.REDUCING
    assert portfolio.evaluate(DAY_START_MS + DAY_MS - 1) is None
    change = portfolio.evaluate(DAY_START_MS + DAY_MS)
    assert change is not None
    assert TradingState.ACTIVE is change.present
    assert Decimal(0) == portfolio.day_pnl


def test_a_clock_that_goes_back_starts_no_new_day():
    portfolio = make(Limits(daily_loss=Decimal("0.05")))
    portfolio.evaluate(NOW_MS)
    lose(portfolio, 50)
    portfolio.evaluate(NOW_MS)
    assert portfolio.evaluate(NOW_MS - DAY_MS) is None
    assert Decimal(-50) == portfolio.day_pnl
    assert TradingState.REDUCING is portfolio.trading_state


def test_drawdown_counts_from_the_peak_and_halts():
    portfolio = make(Limits(drawdown=Decimal("0.1")))
    portfolio.hear([Teller().opened()])
    portfolio.mark(BTC, 60.0)
    assert portfolio.evaluate(NOW_MS) is None
    portfolio.mark(BTC, 45.0)
    assert (Decimal("0.1"), Decimal("0.1")) == use(portfolio)["drawdown"]
    change = portfolio.evaluate(NOW_MS)
    assert change is not None
    assert TradingState.HALTED is change.present
    assert change.reason == portfolio.state_reason
    portfolio.mark(BTC, 100.0)
    assert portfolio.evaluate(NOW_MS + DAY_MS) is None
    assert code(portfolio.admit(candidate(ETH), NOW_MS)) is DenialCode.HALTED


def test_no_peak_is_believed_while_a_position_has_no_mark():
    """After a restart unrealised losses are not known yet, and a peak without them would be too high for ever."""
    portfolio = make(wallet=None)
    portfolio.restore(PortfolioMemory(peak_equity=Decimal(900)), {(TREND, BTC): held()})
    portfolio.set_wallet(WALLET)
    portfolio.evaluate(NOW_MS)
    assert Decimal(900) == portfolio.memory().peak_equity
    portfolio.mark(BTC, 9.0)
    portfolio.evaluate(NOW_MS)
    assert Decimal(990) == portfolio.memory().peak_equity


@pytest.mark.parametrize(("action", "flatten"), [(LossAction.STOP_OPENING, False), (LossAction.FLATTEN, True)])
def test_the_loss_limit_halts_and_flattens_if_so_configured(action, flatten):
    portfolio = make(loss_limit=LossLimit(ratio=Decimal("0.1"), action=action))
    teller = Teller()
    portfolio.hear([teller.opened()])
    portfolio.mark(BTC, 5.0)
    assert portfolio.evaluate(NOW_MS) is None
    assert (Decimal("0.05"), Decimal("0.1")) == use(portfolio)["loss_limit"]
    lose(portfolio, 50, ETH)
    change = portfolio.evaluate(NOW_MS)
    assert change is not None
    assert (TradingState.HALTED, flatten) == (change.present, change.flatten)
    assert flatten is portfolio.flatten_wanted
    assert portfolio.evaluate(NOW_MS) is None
    assert Denied is type(portfolio.admit(candidate(ETH), NOW_MS))


def test_the_loss_limit_outlives_a_restart_with_its_wish_to_flatten():
    limit = LossLimit(ratio=Decimal("0.1"), action=LossAction.FLATTEN)
    portfolio = make(loss_limit=limit)
    lose(portfolio, 100)
    portfolio.evaluate(NOW_MS)
    again = make(loss_limit=limit, wallet=None)
    again.restore(portfolio.memory(), {})
    assert again.flatten_wanted
    assert TradingState.HALTED is again.trading_state


def test_losses_of_earlier_processes_count_against_the_loss_limit():
    portfolio = make(loss_limit=LossLimit(ratio=Decimal("0.1")), wallet=None)
    teller = Teller()
    closes = [teller.closed(-60), teller.closed(-40)]
    portfolio.restore(None, {}, [*closes, *closes])
    portfolio.set_wallet(Decimal(901))
    assert portfolio.evaluate(NOW_MS) is None
    portfolio.set_wallet(Decimal(900))
    assert portfolio.evaluate(NOW_MS) is not None


def test_after_a_lifted_halt_losses_count_from_there_also_after_a_restart():
    limits, loss_limit = Limits(drawdown=Decimal("0.1")), LossLimit(ratio=Decimal("0.1"))
    portfolio = make(limits, loss_limit=loss_limit)
    lose(portfolio, 200)
    portfolio.evaluate(NOW_MS)
    later_ms = NOW_MS + MINUTE_MS
    change = portfolio.unhalt("looked into it", later_ms)
    assert (TradingState.ACTIVE, False, "looked into it") == (change.present, change.flatten, change.reason)
    assert portfolio.evaluate(later_ms) is None
    again = make(limits, loss_limit=loss_limit, wallet=None)
    old, new = Teller(), Teller(ETH)
    new.ts_ms = later_ms
    again.restore(portfolio.memory(), {}, [old.closed(-200), new.closed(-79)])
    again.set_wallet(Decimal(721))
    assert again.evaluate(later_ms) is None
    lose(again, 1, "SOL/USDT", later_ms)
    assert again.evaluate(later_ms) is not None


def test_open_losses_at_the_time_of_a_lifted_halt_do_not_count_again():
    portfolio = make(loss_limit=LossLimit(ratio=Decimal("0.1")))
    portfolio.hear([Teller().opened(held(100, 10))])
    portfolio.mark(BTC, 8.0)
    assert portfolio.evaluate(NOW_MS) is not None
    portfolio.unhalt("hold on", NOW_MS)
    assert portfolio.evaluate(NOW_MS) is None
    portfolio.mark(BTC, 7.0)
    assert portfolio.evaluate(NOW_MS) is not None


def test_halted_stays_halted_over_a_restart_until_an_operator_lifts_it():
    portfolio = make()
    portfolio.evaluate(NOW_MS)
    change = portfolio.halt("something smells")
    assert (TradingState.HALTED, "something smells", False) == (change.present, change.reason, change.flatten)
    again = make(wallet=None)
    again.restore(portfolio.memory(), {})
    again.set_wallet(WALLET)
    assert again.evaluate(NOW_MS + 3 * DAY_MS) is None
    assert (TradingState.HALTED, "something smells") == (again.trading_state, again.state_reason)
    again.unhalt("it was the cheese", NOW_MS)
    assert code(again.admit(candidate(), NOW_MS)) is None


def test_a_halt_can_be_lifted_before_the_account_is_known():
    portfolio = make(wallet=None)
    portfolio.halt("so")
    portfolio.unhalt("so", NOW_MS)
    portfolio.set_wallet(WALLET)
    assert WALLET == portfolio.memory().peak_equity


def test_lifting_needs_a_halt_and_a_reason():
    portfolio = make()
    with pytest.raises(Rejected, match="not HALTED"):
        portfolio.unhalt("because", NOW_MS)
    portfolio.halt("so")
    with pytest.raises(Rejected, match="needs a reason"):
        portfolio.unhalt("  ", NOW_MS)
    assert TradingState.HALTED is portfolio.trading_state


# Blocks


def test_each_block_denies_by_its_own_code_and_is_lifted_by_itself():
    portfolio = make()
    blocks = portfolio.blocks
    blocks.pause(BTC)
    assert code(portfolio.admit(candidate(), NOW_MS)) is DenialCode.PAUSED
    blocks.foreign(BTC, "the venue holds 3 more")
    assert code(portfolio.admit(candidate(), NOW_MS)) is DenialCode.FOREIGN
    blocks.quarantine(BTC, "failed 6 times")
    assert code(portfolio.admit(candidate(), NOW_MS)) is DenialCode.QUARANTINED
    assert (DenialCode.QUARANTINED, DenialCode.FOREIGN, DenialCode.PAUSED) == blocks.of(BTC)
    assert code(portfolio.admit(candidate(ETH), NOW_MS)) is None
    blocks.lift_quarantine(BTC)
    blocks.foreign(BTC, "")
    assert blocks.resume(BTC, NOW_MS)
    assert not blocks.resume(BTC, NOW_MS)
    assert code(portfolio.admit(candidate(), NOW_MS)) is None


def test_a_closed_gate_denies_everything_for_good():
    portfolio = make()
    portfolio.close_gate()
    assert code(portfolio.admit(candidate(), NOW_MS)) is DenialCode.STOPPING


def test_a_fault_elsewhere_stops_entries_until_it_has_passed():
    portfolio = make()
    portfolio.blocks.fault("ledger", "the ledger is full")
    assert Denied(DenialCode.CHECK_FAILED, "the ledger is full") == portfolio.admit(candidate(), NOW_MS)
    portfolio.blocks.fault("ledger", None)
    portfolio.blocks.fault("ledger", None)
    assert code(portfolio.admit(candidate(), NOW_MS)) is None


def losses(count: int, symbol: str = BTC, *, ts_ms: int = NOW_MS) -> list[SignalClosed]:
    teller = Teller(symbol)
    teller.ts_ms = ts_ms
    return [teller.closed(-1) for _ in range(count)]


def test_a_symbol_below_the_win_rate_is_switched_off_and_comes_back_by_hand():
    portfolio = make(win_rate=WinRate())
    portfolio.hear(losses(9))
    assert code(portfolio.admit(candidate(), NOW_MS)) is None
    portfolio.release(TREND, BTC)
    portfolio.hear(losses(10)[9:])
    assert code(portfolio.admit(candidate(), NOW_MS)) is DenialCode.SWITCHED_OFF
    assert code(portfolio.admit(candidate(ETH), NOW_MS)) is None
    assert ((BTC, NOW_MS),) == portfolio.memory().switched_off
    assert portfolio.blocks.resume(BTC, NOW_MS + 1)
    assert code(portfolio.admit(candidate(), NOW_MS)) is None
    assert 0 == portfolio.blocks.standing(BTC).trades
    assert ((BTC, NOW_MS + 1),) == portfolio.memory().switched_on


def test_a_symbol_comes_back_by_the_rule_when_its_time_has_passed():
    portfolio = make(win_rate=WinRate(off_ms=1000))
    portfolio.hear(losses(10))
    portfolio.evaluate(NOW_MS + 999)
    assert (DenialCode.SWITCHED_OFF,) == portfolio.blocks.of(BTC)
    portfolio.evaluate(NOW_MS + 1000)
    assert () == portfolio.blocks.of(BTC)


def test_the_standing_of_a_symbol_is_rebuilt_from_its_closed_signals():
    """Those before the last switch-on no longer count; one that was off stays off even without the ledger."""
    memory = PortfolioMemory(switched_off=((ETH, NOW_MS),), switched_on=((BTC, NOW_MS + 1),))
    portfolio = make(win_rate=WinRate(), wallet=None)
    teller = Teller()
    early = [teller.closed(-1) for _ in range(20)]
    teller.ts_ms = NOW_MS + 2
    portfolio.restore(memory, {}, [*early, teller.closed(1)])
    assert (1, 1) == (portfolio.blocks.standing(BTC).trades, portfolio.blocks.standing(BTC).wins)
    assert () == portfolio.blocks.of(BTC)
    assert (DenialCode.SWITCHED_OFF,) == portfolio.blocks.of(ETH)
    assert memory == replace(portfolio.memory(), day_start_ms=0)


def test_without_a_win_rate_rule_nothing_is_switched_off():
    portfolio = make()
    portfolio.restore(PortfolioMemory(switched_off=((BTC, NOW_MS),)), {}, losses(20))
    portfolio.hear(losses(40)[20:])
    assert () == portfolio.blocks.of(BTC)


# Memory


def test_it_is_dirty_until_its_present_memory_was_saved():
    portfolio = make(Limits(daily_loss=Decimal("0.05")))
    assert portfolio.dirty
    memory = portfolio.memory()
    portfolio.blocks.pause(BTC)
    portfolio.saved(memory)
    assert portfolio.dirty
    portfolio.saved(portfolio.memory())
    assert not portfolio.dirty
    portfolio.evaluate(NOW_MS)
    assert portfolio.dirty


def test_pauses_and_quarantines_outlive_a_restart_and_foreign_orders_do_not():
    portfolio = make()
    portfolio.blocks.pause(ETH)
    portfolio.blocks.quarantine(BTC, "failed 6 times")
    portfolio.blocks.foreign("SOL/USDT", "there is something")
    memory = portfolio.memory()
    assert ((ETH,), ((BTC, "failed 6 times"),)) == (memory.paused, memory.quarantined)
    again = make()
    again.restore(memory, {})
    assert (DenialCode.PAUSED,) == again.blocks.of(ETH)
    assert (DenialCode.QUARANTINED,) == again.blocks.of(BTC)
    assert () == again.blocks.of("SOL/USDT")
    assert not again.dirty or again.memory() == memory


def test_what_was_dismissed_outlives_a_restart():
    """It is part of the memory, and forgetting it changes the memory too."""
    portfolio = make()
    dismissed = Dismissed(symbol=BTC, quantity=Decimal(-2), orders=())
    portfolio.blocks.dismiss(dismissed)
    memory = portfolio.memory()
    assert (dismissed,) == memory.dismissed
    again = make()
    again.restore(memory, {})
    assert Decimal(-2) == again.blocks.dismissed_quantity(BTC)
    portfolio.saved(memory)
    portfolio.blocks.dismiss(replace(dismissed, quantity=Decimal(0)))
    assert portfolio.dirty


@pytest.mark.parametrize(("quantity", "denied"), [(-2, Side.LONG), (2, Side.SHORT)])
def test_nothing_opens_against_what_was_dismissed(quantity, denied):
    """The venue would net the two."""
    for side in Side:
        portfolio = make()
        portfolio.blocks.dismiss(Dismissed(symbol=BTC, quantity=Decimal(quantity), orders=()))
        expected = DenialCode.OPPOSITE_SIDE if side is denied else None
        assert expected is code(portfolio.admit(candidate(side=side), NOW_MS))
        assert code(portfolio.admit(candidate(ETH, side=side), NOW_MS)) is None


def test_cash_moves_with_profits_fees_and_what_is_invested():
    """As the venue's wallet less the cost of its positions does."""
    portfolio, teller, short = make(), Teller(), Teller(ETH, side=Side.SHORT)
    assert portfolio.cash_moved == 0
    portfolio.hear([teller.opened(held(10, 10, booked=-1))])
    assert portfolio.cash_moved == -101
    portfolio.hear([short.opened(held(2, 10, side=Side.SHORT))])
    assert portfolio.cash_moved == -81
    portfolio.hear([teller.closed(7), short.closed(-3)])
    assert portfolio.cash_moved == 4


def test_a_restart_counts_the_exposures_of_the_files_and_no_close_twice():
    """The outbox is published again after the start; the ledger may have had it."""
    teller = Teller()
    opened, closed = teller.opened(), teller.closed(5)
    portfolio = make(Limits(open_signals=1), wallet=None)
    portfolio.restore(None, {(TREND, ETH): held()}, [closed])
    portfolio.set_wallet(WALLET)
    portfolio.hear([opened, closed, teller.opened(Exposure(side=Side.LONG))])
    assert WALLET == portfolio.equity
    assert 2 == portfolio.open_signals


def test_limits_are_shown_with_what_is_used():
    limits = Limits(
        open_signals=5,
        open_signals_per_strategy=4,
        gross_exposure=Decimal(2),
        symbol_exposure=Decimal(1),
        orders_per_minute=60,
        daily_loss=Decimal("0.1"),
    )
    portfolio = make(limits)
    portfolio.hear([Teller().opened(), Teller(ETH).opened(held(5))])
    portfolio.mark(BTC, 9.0)
    assert {
        "open_signals": (2, 5),
        "open_signals_per_strategy": (2, 4),
        "orders_per_minute": (0, 60),
        "gross_exposure": (Decimal(150) / 990, Decimal(2)),
        "symbol_exposure": (Decimal(100) / 990, Decimal(1)),
        "daily_loss": (Decimal("0.01"), Decimal("0.1")),
    } == use(portfolio)


def test_limits_can_be_shown_before_the_account_is_known():
    assert Decimal(0) == use(make(wallet=None))["gross_exposure"][0]


def test_it_listens_under_its_name():
    assert "portfolio" == make().name
