"""How much of each limit is used, for those who watch.

Rules of this file: a name is the one in the config; counts are counts, exposures, risks and losses ratios, amounts quote
currency, times seconds; of a limit on single orders what the last approved one had is shown; nothing is changed.
"""

from collections.abc import Iterator
from decimal import Decimal

from livebot.core.candidate import Candidate
from livebot.core.limits import Limits, Usage
from livebot.core.market import decimal_of
from livebot.core.order import ZERO
from livebot.ports import LimitUse
from livebot.runtime.portfolio.counting import Counting

_SECOND_MS = 1000


def limit_use(limits: Limits, counted: Counting) -> tuple[LimitUse, ...]:
    """A row for each limit that is set, and one for gross exposure always.

    `duplicate_order_seconds` has none: there is nothing that could be used up.
    """
    rows = (*_counts(limits, counted), *_ratios(limits, counted), *_of_one_order(limits, counted.last))
    return tuple(row for row in rows if row.allowed is not None or row.name == "gross_exposure")


def _counts(limits: Limits, counted: Counting) -> Iterator[LimitUse]:
    book, orders, now_ms = counted.book, counted.orders, counted.now_ms
    repeated, streak = limits.repeated_executions, limits.losing_streak
    for name, used, allowed in (
        ("open_signals", book.open_signals, limits.open_signals),
        ("open_signals_per_strategy", book.largest_of_strategy(), limits.open_signals_per_strategy),
        ("open_signals_per_cluster", book.largest_of_cluster(), limits.open_signals_per_cluster),
        ("orders_per_second", orders.last_second(now_ms), limits.orders_per_second),
        ("orders_per_minute", orders.last_minute(now_ms), limits.orders_per_minute),
        ("orders_per_day", orders.today(now_ms), limits.orders_per_day),
        ("repeated_executions", counted.blocks.most_entries(now_ms), None if repeated is None else repeated.maximum),
        ("losing_streak", counted.streaks.longest(now_ms), None if streak is None else streak.losses),
    ):
        yield LimitUse(name=name, used=Decimal(used), allowed=None if allowed is None else Decimal(allowed))


def _ratios(limits: Limits, counted: Counting) -> Iterator[LimitUse]:
    book, watch, equity = counted.book, counted.watch, counted.account.equity
    for name, amount, allowed in (
        ("gross_exposure", book.notional, limits.gross_exposure),
        ("net_exposure", book.largest_net(), limits.net_exposure),
        ("symbol_exposure", book.largest_notional_of_symbol(), limits.symbol_exposure),
        ("base_exposure", book.largest_notional_of_base(), limits.base_exposure),
        ("risk_per_trade", book.largest_risk(), limits.risk_per_trade),
        ("risk_in_all", book.risk, limits.risk_in_all),
    ):
        yield LimitUse(name=name, used=amount / equity if equity > 0 else ZERO, allowed=allowed)
    for name, loss, allowed in (
        ("daily_loss", _loss(watch.day_start_equity, equity), limits.daily_loss),
        ("drawdown", _loss(watch.peak_equity, equity), limits.drawdown),
        ("loss_limit", watch.loss_ratio(counted.worth()), watch.loss_limit_ratio),
    ):
        yield LimitUse(name=name, used=loss, allowed=allowed)


def _of_one_order(limits: Limits, last: tuple[Candidate, Usage] | None) -> Iterator[LimitUse]:
    notional = distance = age_s = confidence = ZERO
    if last is not None:
        candidate, usage = last
        notional, age_s = candidate.notional, Decimal(usage.age_ms) / _SECOND_MS
        confidence = ZERO if candidate.confidence is None else decimal_of(candidate.confidence)
        if usage.last_price is not None:
            price = decimal_of(usage.last_price)
            distance = abs((candidate.order.price or candidate.price) - price) / price
    stale_s = None if limits.stale_data_ms is None else Decimal(limits.stale_data_ms) / _SECOND_MS
    yield LimitUse(name="order_notional", used=notional, allowed=limits.order_notional)
    yield LimitUse(name="price_collar", used=distance, allowed=limits.price_collar)
    yield LimitUse(name="stale_data_seconds", used=age_s, allowed=stale_s)
    yield LimitUse(name="minimum_confidence", used=confidence, allowed=limits.minimum_confidence, floor=True)


def _loss(start: Decimal | None, equity: Decimal) -> Decimal:
    return ZERO if start is None or start <= 0 else max(ZERO, (start - equity) / start)
