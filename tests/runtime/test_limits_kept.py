"""The portfolio keeps each limit: what is counted against it, what gives room back, and what a restart still knows."""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal

import pytest

from livebot.core.candidate import Candidate
from livebot.core.denial import DenialCode, Denied
from livebot.core.facts import Fact, SignalScheduled
from livebot.core.limits import Limits, RepeatedExecutions
from livebot.core.market import DAY_MS, MINUTE_MS, Side
from livebot.core.order import Leg, OrderKind, client_order_id
from livebot.core.performance import WinRate
from livebot.core.risk import Approved
from livebot.core.streak import LosingStreak, StreakScope
from livebot.ports import LimitUse, PortfolioMemory
from livebot.runtime.portfolio.portfolio import Portfolio
from livebot.runtime.problems import Problems
from tests.runtime.samples import BTC, ETH, NOW_MS, TREND, Teller, candidate, held, pending

D = Decimal
WALLET = D(1000)
SOL, BTC_SPOT = "SOL/USDT:USDT", "BTC/USDC"


def make(limits: Limits, problems: Problems | None = None, wallet: Decimal = WALLET) -> Portfolio:
    portfolio = Portfolio(limits, loss_limit=None, win_rate=None, report=(problems or Problems()).report)
    portfolio.set_wallet(wallet)
    return portfolio


def code(verdict: Approved | Denied) -> DenialCode | None:
    return verdict.code if isinstance(verdict, Denied) else None


def asks(portfolio: Portfolio, asked: Candidate, now_ms: int = NOW_MS, age_ms: int = 0) -> DenialCode | None:
    return code(portfolio.admit(asked, now_ms, age_ms=age_ms))


def use(portfolio: Portfolio, name: str) -> tuple[Decimal, Decimal | None]:
    (row,) = [row for row in portfolio.limit_use() if row.name == name]
    return row.used, row.allowed


def again(portfolio: Portfolio, limits: Limits, facts: Iterable[Fact], problems: Problems | None = None) -> Portfolio:
    """The next process, with what the first one's files and ledger hold."""
    facts = list(facts)
    fresh = make(limits, problems)
    closes = [fact for fact in facts if type(fact).__name__ == "SignalClosed"]
    fresh.restore(portfolio.memory(), {}, closes, entries=facts)
    return fresh


# Clusters


def test_signals_of_a_cluster_count_together_and_other_symbols_are_each_their_own():
    portfolio = make(Limits(open_signals_per_cluster=2))
    portfolio.set_clusters({BTC: "majors", ETH: "majors", SOL: "majors"})
    assert asks(portfolio, candidate(BTC)) is None
    portfolio.hear([Teller(ETH).opened()])
    assert asks(portfolio, candidate(SOL)) is DenialCode.OPEN_SIGNALS_CLUSTER
    assert asks(portfolio, candidate(BTC)) is None  # its own reservation does not count against it
    assert asks(portfolio, candidate("X/USDT")) is None
    assert asks(portfolio, candidate("Y/USDT")) is None
    assert (D(2), D(2)) == use(portfolio, "open_signals_per_cluster")
    portfolio.release(TREND, BTC)
    assert asks(portfolio, candidate(SOL)) is None


def test_other_clusters_count_what_is_open_already():
    portfolio = make(Limits(open_signals_per_cluster=1))
    assert asks(portfolio, candidate(BTC)) is None
    assert asks(portfolio, candidate(ETH)) is None
    portfolio.set_clusters({BTC: "majors", ETH: "majors", SOL: "majors"})
    assert (D(2), D(1)) == use(portfolio, "open_signals_per_cluster")
    verdict = portfolio.admit(candidate(SOL), NOW_MS)
    assert (
        Denied(DenialCode.OPEN_SIGNALS_CLUSTER, "open signals of the cluster majors: 2 used and 1 asked, 1 allowed")
        == verdict
    )
    portfolio.set_clusters({})
    assert asks(portfolio, candidate(SOL)) is None


# Exposures


def test_what_is_pending_on_the_other_side_lowers_no_net_exposure():
    """It may never fill; what is open there does."""
    portfolio = make(Limits(net_exposure=D("0.2")))
    assert asks(portfolio, candidate(ETH, side=Side.SHORT, notional=150)) is None
    assert asks(portfolio, candidate(BTC, notional=200)) is None
    assert asks(portfolio, candidate(SOL, notional=1)) is DenialCode.NET_EXPOSURE
    short = Teller(ETH, side=Side.SHORT)
    portfolio.hear([short.opening(150)])
    assert asks(portfolio, candidate(SOL, notional=1)) is DenialCode.NET_EXPOSURE
    portfolio.hear([short.opened(held(10, 10, side=Side.SHORT, pending_notional=50))])
    assert asks(portfolio, candidate(SOL, notional=101)) is DenialCode.NET_EXPOSURE
    assert asks(portfolio, candidate(SOL, notional=100)) is None
    assert (D("0.2"), D("0.2")) == use(portfolio, "net_exposure")


def test_each_side_has_its_own_net_exposure():
    portfolio = make(Limits(net_exposure=D("0.2")))
    portfolio.hear([Teller(BTC).opened(held(20))])
    assert asks(portfolio, candidate(ETH, notional=1)) is DenialCode.NET_EXPOSURE
    assert asks(portfolio, candidate(ETH, side=Side.SHORT, notional=400)) is None
    assert asks(portfolio, candidate(ETH, side=Side.SHORT, notional=400)) is None  # and not twice
    assert asks(portfolio, candidate(SOL, side=Side.SHORT, notional=1)) is DenialCode.NET_EXPOSURE


def test_a_base_asset_is_one_over_all_its_symbols():
    portfolio = make(Limits(base_exposure=D("0.15")))
    assert asks(portfolio, candidate(BTC)) is None
    assert asks(portfolio, candidate(BTC_SPOT)) is DenialCode.BASE_EXPOSURE
    assert asks(portfolio, candidate(BTC_SPOT, notional=50)) is None
    assert asks(portfolio, candidate(ETH, notional=150)) is None
    assert (D("0.15"), D("0.15")) == use(portfolio, "base_exposure")
    portfolio.release(TREND, BTC)
    portfolio.release(TREND, BTC_SPOT)
    assert asks(portfolio, candidate(BTC_SPOT, strategy="other", notional=150)) is None


# Risk


def test_risk_is_kept_for_a_reservation_and_taken_over_from_facts_as_it_fills():
    """A candidate of these tests risks a tenth of its notional."""
    portfolio = make(Limits(risk_in_all=D("0.03"), risk_per_trade=D("0.02")))
    assert asks(portfolio, candidate(BTC, notional=201)) is DenialCode.RISK_PER_TRADE
    assert asks(portfolio, candidate(BTC, notional=200)) is None
    assert asks(portfolio, candidate(ETH, notional=101)) is DenialCode.RISK_IN_ALL
    teller = Teller(BTC)
    portfolio.hear([replace(teller.opening(200), exposure=replace(pending(200), risk_to_stop=D(20)))])
    assert (D("0.02"), D("0.03")) == use(portfolio, "risk_in_all")
    portfolio.hear([teller.opened(replace(held(10, 10, pending_notional=100), risk_to_stop=D(20)))])
    assert (D("0.02"), D("0.02")) == use(portfolio, "risk_per_trade")
    assert asks(portfolio, candidate(ETH, notional=101)) is DenialCode.RISK_IN_ALL
    portfolio.hear([teller.stop_moved(replace(held(10, 10), risk_to_stop=D(5)))])  # the rest was cancelled
    assert asks(portfolio, candidate(ETH, notional=200)) is None
    portfolio.hear([Teller(ETH).cancelled(), teller.closed(0)])
    assert (D(0), D("0.03")) == use(portfolio, "risk_in_all")


def test_the_risk_of_averaging_comes_on_top_of_what_its_signal_risks_already():
    portfolio = make(Limits(risk_per_trade=D("0.02")))
    portfolio.hear([Teller(BTC).opened(replace(held(15, 10), risk_to_stop=D(15)))])
    assert asks(portfolio, candidate(BTC, notional=51, averaging=True)) is DenialCode.RISK_PER_TRADE
    assert asks(portfolio, candidate(BTC, notional=50, averaging=True)) is None
    assert asks(portfolio, candidate(BTC, notional=50, averaging=True)) is None
    assert (D("0.02"), D("0.02")) == use(portfolio, "risk_per_trade")


# One order


def test_the_last_price_is_the_last_mark():
    portfolio = make(Limits(price_collar=D("0.1")))
    verdict = portfolio.admit(candidate(), NOW_MS)
    assert (
        Denied(DenialCode.PRICE_COLLAR, f"{BTC} has no last price yet that the price of an order could be held against")
        == verdict
    )
    portfolio.mark(BTC, 11.2)
    assert asks(portfolio, candidate()) is DenialCode.PRICE_COLLAR
    portfolio.mark(BTC, 11.0)
    assert asks(portfolio, candidate()) is None
    assert (D("0.0909"), D("0.1")) == tuple(round(each, 4) for each in use(portfolio, "price_collar") if each)


def test_old_data_open_nothing():
    portfolio = make(Limits(stale_data_ms=2000))
    assert asks(portfolio, candidate(), age_ms=2001) is DenialCode.STALE_DATA
    assert asks(portfolio, candidate(), age_ms=1500) is None
    assert (D("1.5"), D(2)) == use(portfolio, "stale_data_seconds")


def test_limits_on_one_order_show_the_last_one_that_was_approved():
    limits = Limits(order_notional=D(200), minimum_confidence=D("0.5"))
    portfolio = make(limits)
    floor = next(row for row in portfolio.limit_use() if row.name == "minimum_confidence")
    assert LimitUse(name="minimum_confidence", used=D(0), allowed=D("0.5"), floor=True) == floor
    assert 0.0 == floor.share
    assert asks(portfolio, replace(candidate(), confidence=0.625)) is None
    assert asks(portfolio, replace(candidate(ETH, notional=201), confidence=0.9)) is DenialCode.ORDER_NOTIONAL
    assert (D(100), D(200)) == use(portfolio, "order_notional")
    floor = next(row for row in portfolio.limit_use() if row.name == "minimum_confidence")
    assert (D("0.625"), 0.8) == (floor.used, floor.share)


@pytest.mark.parametrize(
    ("used", "allowed", "share"), [("1", "2", 0.5), ("1", "0", 1.0), ("0", "0", 1.0), ("5", None, 0.0)]
)
def test_how_near_a_limit_is(used, allowed, share):
    assert share == LimitUse(name="any", used=D(used), allowed=None if allowed is None else D(allowed)).share


# The same order twice


def test_an_order_that_was_sent_is_never_let_through_again():
    """Told of by a fact, it was sent: whoever asks for it again has gone wrong, now and after a restart."""
    portfolio = make(Limits())
    teller = Teller()
    assert asks(portfolio, candidate()) is None
    facts = [teller.opening(), teller.opened(), teller.closed(0)]
    portfolio.hear(facts)
    assert asks(portfolio, candidate()) is DenialCode.DUPLICATE_ORDER
    assert asks(portfolio, candidate(number=2)) is None
    assert asks(portfolio, candidate(strategy="other")) is None
    restarted = again(portfolio, Limits(), facts)
    assert asks(restarted, candidate()) is DenialCode.DUPLICATE_ORDER
    assert asks(restarted, candidate(number=2)) is None


def test_what_was_not_sent_may_be_asked_for_again():
    """A released order, one whose worker began anew, and the candidate's own reservation."""
    portfolio = make(Limits(duplicate_order_ms=MINUTE_MS))
    assert asks(portfolio, candidate()) is None
    assert asks(portfolio, candidate()) is None
    portfolio.release(TREND, BTC)
    assert asks(portfolio, candidate()) is None
    portfolio.recovered(TREND, BTC, held(0), 0)
    assert asks(portfolio, candidate()) is None


def averaging(attempt: int) -> Candidate:
    made = candidate(averaging=True)
    name = client_order_id("test", TREND, BTC, number=1, leg=Leg.AVERAGE, attempt=attempt)
    return replace(made, order=replace(made.order, client_order_id=name, attempt=attempt))


def test_an_averaging_order_that_was_sent_is_never_let_through_again():
    portfolio = make(Limits())
    teller = Teller()
    portfolio.hear([teller.opened()])
    assert asks(portfolio, averaging(1)) is None
    portfolio.hear([teller.failed()])
    assert asks(portfolio, averaging(1)) is DenialCode.DUPLICATE_ORDER
    assert asks(portfolio, averaging(2)) is None
    portfolio.recovered(TREND, BTC, held(pending_notional=100), 2)  # the file has it, though no fact told of it
    assert asks(portfolio, averaging(2)) is DenialCode.DUPLICATE_ORDER
    assert asks(portfolio, averaging(3)) is None
    portfolio.recovered(TREND, BTC, held(), 2)
    assert asks(portfolio, averaging(3)) is None


def test_an_order_like_one_before_is_a_mistake_for_a_while_whoever_asks():
    portfolio = make(Limits(duplicate_order_ms=MINUTE_MS))
    assert asks(portfolio, candidate()) is None
    other = candidate(strategy="other")
    verdict = portfolio.admit(other, NOW_MS + 1000)
    assert isinstance(verdict, Denied)
    assert verdict.text.startswith(f"the same order (buy 10 of {BTC} at the market) was let through 1 s ago")
    assert asks(portfolio, candidate(strategy="other", notional=99), NOW_MS) is None
    limit = replace(other, order=replace(other.order, kind=OrderKind.LIMIT, price=D(10)))
    assert asks(portfolio, limit, NOW_MS) is None
    teller = Teller()
    portfolio.hear([teller.opening(), teller.cancelled()])
    assert asks(portfolio, candidate(number=2), NOW_MS + MINUTE_MS - 1) is DenialCode.DUPLICATE_ORDER
    assert asks(portfolio, candidate(number=2), NOW_MS + MINUTE_MS) is None


def test_an_order_that_was_given_up_is_no_order_before():
    portfolio = make(Limits(duplicate_order_ms=MINUTE_MS))
    assert asks(portfolio, candidate()) is None
    portfolio.release(TREND, BTC)
    assert asks(portfolio, candidate(strategy="other")) is None
    assert asks(portfolio, candidate()) is DenialCode.DUPLICATE_ORDER
    assert asks(portfolio, candidate(strategy="other", notional=50)) is None  # instead of the one before
    assert asks(portfolio, candidate()) is None


def test_with_more_orders_than_can_be_remembered_each_is_taken_for_a_mistake(monkeypatch):
    monkeypatch.setattr("livebot.runtime.portfolio.order_history._ALIKE_REMEMBERED", 2)
    portfolio = make(Limits(duplicate_order_ms=MINUTE_MS))
    assert [None, None, DenialCode.DUPLICATE_ORDER] == [asks(portfolio, candidate(each)) for each in (BTC, ETH, SOL)]
    assert asks(portfolio, candidate(SOL), NOW_MS + MINUTE_MS) is None


# Rates


def test_orders_of_the_second_the_minute_and_the_utc_day_count():
    begin = NOW_MS - NOW_MS % DAY_MS + DAY_MS - 2 * MINUTE_MS
    portfolio = make(Limits(orders_per_second=1, orders_per_minute=2, orders_per_day=3))
    symbols = iter(f"S{index}/USDT" for index in range(20))

    def next_at(ms: int) -> DenialCode | None:
        return asks(portfolio, candidate(next(symbols)), begin + ms)

    assert next_at(0) is None
    assert next_at(999) is DenialCode.ORDERS_PER_SECOND
    assert next_at(1000) is None
    assert next_at(59_999) is DenialCode.ORDERS_PER_MINUTE
    assert next_at(60_000) is None
    assert next_at(62_000) is DenialCode.ORDERS_PER_DAY
    assert (D(3), D(3)) == use(portfolio, "orders_per_day")
    assert next_at(2 * MINUTE_MS) is None
    assert (D(1), D(3)) == use(portfolio, "orders_per_day")
    assert next_at(MINUTE_MS) is DenialCode.ORDERS_PER_SECOND  # a clock that goes back gives no room


def scheduled_entry() -> Fact:
    opening = Teller(ETH).opening()
    same = {name: getattr(opening, name) for name in ("strategy", "symbol", "sequence", "ts_ms", "signal_id", "side")}
    same |= {name: getattr(opening, name) for name in ("exposure", "quantity", "stop_loss", "take_profit")}
    return SignalScheduled(**same, limit_price=D(10), confidence=None, reason="")


def test_a_restart_counts_the_orders_of_the_ledger_again():
    limits = Limits(orders_per_minute=3, orders_per_day=5)
    old, teller = Teller("OLD/USDT"), Teller()
    old.ts_ms = NOW_MS - DAY_MS
    scheduled = scheduled_entry()
    facts = [old.opening(), old.cancelled(), teller.opening(), scheduled]
    entry_fill = replace(teller.increased(held()), leg=Leg.ENTRY)
    facts += [entry_fill, teller.increased(held()), teller.failed(), replace(teller.failed(), leg=Leg.STOP)]
    portfolio = again(make(limits), limits, [*facts, *facts])
    assert (D(4), D(5)) == use(portfolio, "orders_per_day")  # two entries, a fill and a failure of averaging
    assert asks(portfolio, candidate(SOL), NOW_MS + 1) is DenialCode.ORDERS_PER_MINUTE
    assert asks(portfolio, candidate(SOL), NOW_MS + MINUTE_MS) is None
    assert asks(portfolio, candidate("X/USDT"), NOW_MS + MINUTE_MS) is DenialCode.ORDERS_PER_DAY
    portfolio.hear(facts)
    assert (D(5), D(5)) == use(portfolio, "orders_per_day")


def test_what_is_shown_after_a_restart_are_the_orders_of_the_last_minute_only():
    limits = Limits(orders_per_minute=9)
    old, teller = Teller("OLD/USDT"), Teller()
    old.ts_ms = NOW_MS - 5 * MINUTE_MS
    later = replace(teller.failed(), leg=Leg.STOP)  # which opens nothing
    restarted = again(make(limits), limits, [old.opening(), later])
    assert (D(0), D(9)) == use(restarted, "orders_per_minute")


def test_a_restart_knows_the_orders_that_others_may_look_like():
    limits = Limits(duplicate_order_ms=MINUTE_MS)
    teller = Teller()
    restarted = again(make(limits), limits, [teller.opening(), scheduled_entry()])
    assert asks(restarted, candidate(strategy="other"), NOW_MS + 1000) is DenialCode.DUPLICATE_ORDER
    asked = candidate(ETH, strategy="other")
    assert asks(restarted, asked, NOW_MS + 1000) is None  # at the market; the one before was not
    asked = replace(asked, order=replace(asked.order, kind=OrderKind.LIMIT, price=D(10)))
    assert asks(restarted, asked, NOW_MS + 1000) is DenialCode.DUPLICATE_ORDER
    assert asks(restarted, asked, NOW_MS + MINUTE_MS) is None


def test_it_looks_back_a_day_or_as_long_as_repeated_executions_need():
    assert DAY_MS == make(Limits()).looks_back_ms
    assert (
        2 * DAY_MS
        == make(Limits(repeated_executions=RepeatedExecutions(maximum=1, window_ms=2 * DAY_MS))).looks_back_ms
    )
    assert DAY_MS == make(Limits(repeated_executions=RepeatedExecutions(maximum=1, window_ms=1))).looks_back_ms


# Losing streaks


def closed(portfolio: Portfolio, symbol: str, pnl: str, ts_ms: int, sequence: int) -> Fact:
    teller = Teller(symbol)
    teller.sequence, teller.ts_ms, teller.number = sequence, ts_ms, sequence + 1
    fact = teller.closed(D(pnl))
    portfolio.hear([fact])
    return fact


@pytest.mark.parametrize("scope", StreakScope)
def test_after_a_losing_streak_nothing_opens_for_a_while(scope):
    limits = Limits(losing_streak=LosingStreak(losses=2, cooldown_ms=MINUTE_MS, scope=scope))
    portfolio = make(limits)
    fact = closed(portfolio, BTC, "-1", NOW_MS, 0)
    assert asks(portfolio, candidate(BTC, number=9)) is None
    portfolio.release(TREND, BTC)
    facts = [fact, closed(portfolio, ETH, "0", NOW_MS, 0), closed(portfolio, ETH, "-2", NOW_MS + 1, 1)]
    if scope is StreakScope.SYMBOL:
        assert asks(portfolio, candidate(ETH, number=9), NOW_MS + 2) is None
        portfolio.release(TREND, ETH)
        facts.append(closed(portfolio, ETH, "-2", NOW_MS + 1, 2))
    for each in (portfolio, again(portfolio, limits, facts)):
        assert asks(each, candidate(ETH, number=9), NOW_MS + MINUTE_MS) is DenialCode.LOSING_STREAK
        free = asks(each, candidate(SOL), NOW_MS + MINUTE_MS) is None
        assert (scope is StreakScope.SYMBOL) == free
        assert (D(2), D(2)) == use(each, "losing_streak")
        assert asks(each, candidate(ETH, number=9), NOW_MS + 1 + MINUTE_MS) is None
        each.evaluate(NOW_MS + 1 + MINUTE_MS)
        assert (D(1) if scope is StreakScope.SYMBOL else D(0), D(2)) == use(each, "losing_streak")


def test_a_win_ends_a_losing_streak():
    portfolio = make(Limits(losing_streak=LosingStreak(losses=2, cooldown_ms=MINUTE_MS, scope=StreakScope.ALL)))
    for place, pnl in enumerate(("-1", "1", "-1")):
        closed(portfolio, BTC, pnl, NOW_MS + place, place)
    assert asks(portfolio, candidate(ETH), NOW_MS + 3) is None
    assert (D(1), D(2)) == use(portfolio, "losing_streak")


# Repeated executions


def entered(portfolio: Portfolio, ts_ms: int, number: int, symbol: str = BTC) -> list[Fact]:
    """One entry that came to nothing."""
    teller = Teller(symbol)
    teller.ts_ms, teller.number, teller.sequence = ts_ms, number, 10 * number
    facts: list[Fact] = [teller.opening(), teller.cancelled()]
    portfolio.hear(facts)
    return facts


def test_entries_that_repeat_too_often_pause_the_symbol_until_a_human_resumes_it():
    limits = Limits(repeated_executions=RepeatedExecutions(maximum=2, window_ms=MINUTE_MS))
    problems = Problems()
    portfolio = make(limits, problems)
    facts = entered(portfolio, NOW_MS, 1)
    assert asks(portfolio, candidate(number=2)) is None
    facts += entered(portfolio, NOW_MS + 1, 2)
    assert asks(portfolio, candidate(number=3), NOW_MS + DAY_MS) is DenialCode.REPEATED_EXECUTIONS
    assert asks(portfolio, candidate(ETH)) is None
    assert (BTC,) == portfolio.blocks.paused
    sentence = (
        f"{BTC} is paused: trend has entered it 2 times within 1 min, and risk.limits.repeated_executions allows no more; "
        f"look into why, then `livebot resume {BTC}`"
    )
    assert (sentence,) == problems.sentences()
    assert (D(2), D(2)) == use(portfolio, "repeated_executions")

    told = Problems()
    restarted = again(portfolio, limits, facts, told)
    assert (sentence,) == told.sentences()
    assert asks(restarted, candidate(number=3), NOW_MS + 5) is DenialCode.REPEATED_EXECUTIONS

    assert restarted.blocks.resume(BTC, NOW_MS + 10)
    assert () == told.sentences()
    assert asks(restarted, candidate(number=3), NOW_MS + 10) is None
    facts += entered(restarted, NOW_MS + 11, 3)
    assert (D(1), D(2)) == use(restarted, "repeated_executions")  # the count began anew

    third = again(restarted, limits, facts)
    assert asks(third, candidate(number=4), NOW_MS + 12) is None
    assert (D(1), D(2)) == use(third, "repeated_executions")
    entered(third, NOW_MS + 12, 4)
    assert asks(third, candidate(number=5), NOW_MS + 13) is DenialCode.REPEATED_EXECUTIONS


def test_entries_outside_the_window_or_before_a_resumption_do_not_count():
    portfolio = make(Limits(repeated_executions=RepeatedExecutions(maximum=2, window_ms=MINUTE_MS)))
    entered(portfolio, NOW_MS, 1)
    entered(portfolio, NOW_MS + MINUTE_MS, 2)
    assert () == portfolio.blocks.paused
    entered(portfolio, NOW_MS + MINUTE_MS + 1, 3)
    assert (BTC,) == portfolio.blocks.paused
    entered(portfolio, NOW_MS + MINUTE_MS + 2, 4)  # of another process, say: paused it is already
    assert portfolio.blocks.resume(BTC, NOW_MS + 2 * MINUTE_MS)
    entered(portfolio, NOW_MS + MINUTE_MS + 3, 5)
    entered(portfolio, NOW_MS + 2 * MINUTE_MS, 6, ETH)
    assert (D(1), D(2)) == use(portfolio, "repeated_executions")
    assert ((BTC, NOW_MS + 2 * MINUTE_MS),) == portfolio.memory().resumed
    portfolio.evaluate(NOW_MS + 2 * MINUTE_MS + DAY_MS - 1)
    assert portfolio.memory().resumed  # as long as a restart looks back at entries of before
    portfolio.evaluate(NOW_MS + 2 * MINUTE_MS + DAY_MS)
    assert () == portfolio.memory().resumed


def test_an_entry_that_was_saved_and_that_nobody_heard_of_pauses_its_symbol_after_the_restart():
    limits = Limits(repeated_executions=RepeatedExecutions(maximum=2, window_ms=MINUTE_MS))
    portfolio, problems = make(limits), Problems()
    facts = entered(portfolio, NOW_MS, 1)
    facts += entered(make(limits), NOW_MS + 1, 2)
    restarted = again(portfolio, limits, facts, problems)
    assert asks(restarted, candidate(number=3)) is DenialCode.REPEATED_EXECUTIONS
    assert 1 == len(problems.sentences())


def test_a_pause_by_hand_is_lifted_as_ever():
    portfolio = make(Limits(repeated_executions=RepeatedExecutions(maximum=2, window_ms=MINUTE_MS)))
    portfolio.blocks.pause(BTC)
    assert asks(portfolio, candidate()) is DenialCode.PAUSED
    assert portfolio.blocks.resume(BTC, NOW_MS)
    assert PortfolioMemory(day_start_equity=WALLET, peak_equity=WALLET) == portfolio.memory()


# Other limits


def test_replaced_limits_hold_from_then_on():
    portfolio = make(Limits(open_signals=5, orders_per_minute=5))
    teller = Teller()
    portfolio.hear([teller.opened()])
    assert asks(portfolio, candidate(ETH)) is None
    streak = LosingStreak(losses=1, cooldown_ms=MINUTE_MS, scope=StreakScope.ALL)
    limits = Limits(open_signals=1, orders_per_minute=2, losing_streak=streak, duplicate_order_ms=1000)
    portfolio.replace_limits(limits, loss_limit=None, win_rate=WinRate(minimum_trades=1))
    assert (D(2), D(1)) == use(portfolio, "open_signals")
    assert asks(portfolio, candidate(SOL)) is DenialCode.OPEN_SIGNALS
    portfolio.hear([teller.closed(-1)])
    assert asks(portfolio, candidate(BTC, number=2)) is DenialCode.SWITCHED_OFF
    assert asks(portfolio, candidate(SOL)) is DenialCode.OPEN_SIGNALS
    repeated = RepeatedExecutions(maximum=1, window_ms=MINUTE_MS)
    wider = Limits(open_signals=5, orders_per_minute=2, repeated_executions=repeated, drawdown=D("0.0001"))
    portfolio.replace_limits(wider, loss_limit=None, win_rate=None)
    portfolio.blocks.venue("feed", SOL, stands=False)
    assert asks(portfolio, candidate(SOL)) is DenialCode.DRAWDOWN
    change = portfolio.evaluate(NOW_MS + 1)
    assert change is not None and "drawdown" in change.reason
    portfolio.unhalt("looked at", NOW_MS + 1)
    assert asks(portfolio, candidate(BTC, number=2), NOW_MS + 1) is None  # win rate and streak are off
    assert asks(portfolio, candidate(SOL), NOW_MS + 1) is DenialCode.ORDERS_PER_MINUTE  # the ones before count on
    entered(portfolio, NOW_MS + 2, 3, SOL)
    assert (SOL,) == portfolio.blocks.paused
    portfolio.replace_limits(Limits(), loss_limit=None, win_rate=None)
    assert asks(portfolio, candidate(SOL, number=4)) is DenialCode.REPEATED_EXECUTIONS  # paused it stays
    assert portfolio.blocks.resume(SOL, NOW_MS + 3)
    assert asks(portfolio, candidate(SOL, number=4)) is None


def test_another_scope_of_streaks_begins_with_none():
    all_of_them = LosingStreak(losses=1, cooldown_ms=MINUTE_MS, scope=StreakScope.ALL)
    portfolio = make(Limits(losing_streak=all_of_them))
    closed(portfolio, BTC, "-1", NOW_MS, 0)
    portfolio.replace_limits(Limits(losing_streak=replace(all_of_them, losses=3)), loss_limit=None, win_rate=None)
    assert asks(portfolio, candidate(ETH)) is DenialCode.LOSING_STREAK  # the cooldown that has begun goes on
    by_symbol = replace(all_of_them, scope=StreakScope.SYMBOL)
    portfolio.replace_limits(Limits(losing_streak=by_symbol), loss_limit=None, win_rate=None)
    assert asks(portfolio, candidate(ETH)) is None


def test_what_is_adopted_is_told_which_limits_it_exceeds():
    limits = Limits(
        open_signals_per_cluster=0,
        net_exposure=D("0.05"),
        base_exposure=D("0.05"),
        risk_per_trade=D("0.001"),
        risk_in_all=D("0.001"),
    )
    names = [text.split(" ")[0] for text in make(limits).exceeded(candidate(), NOW_MS)]
    assert [
        f"risk.limits.{name}"
        for name in ("open_signals_per_cluster", "net_exposure", "base_exposure", "risk_per_trade", "risk_in_all")
    ] == names


def test_every_limit_that_is_set_has_its_row():
    streak = LosingStreak(losses=1, cooldown_ms=MINUTE_MS, scope=StreakScope.ALL)
    one = D("0.5")
    limits = Limits(
        open_signals=1,
        open_signals_per_strategy=1,
        open_signals_per_cluster=1,
        gross_exposure=one,
        net_exposure=one,
        symbol_exposure=one,
        base_exposure=one,
        risk_per_trade=one,
        risk_in_all=one,
        order_notional=one,
        price_collar=one,
        stale_data_ms=1,
        minimum_confidence=one,
        duplicate_order_ms=1,
        repeated_executions=RepeatedExecutions(maximum=1, window_ms=1),
        orders_per_second=1,
        orders_per_minute=1,
        orders_per_day=1,
        losing_streak=streak,
        daily_loss=one,
        drawdown=one,
    )
    names = {row.name for row in make(limits, wallet=D(0)).limit_use()}
    fields = set(Limits.__dataclass_fields__)
    without = {"duplicate_order_ms"}  # nothing of it can be used up
    assert fields - without - {"stale_data_ms"} | {"stale_data_seconds"} == names
    assert {"gross_exposure"} == {row.name for row in make(Limits()).limit_use()}
