"""The checks of a candidate against the limits, in the order in which they are made.

Rules of this file: a check is a function of (usage, limits, candidate) that says what is wrong, or None; texts carry the
figures and are built only when there is something to say.
"""

from collections.abc import Callable
from decimal import Decimal

from livebot.core.candidate import Candidate
from livebot.core.denial import STATE_CODES, DenialCode, Denied, TradingState, blocked
from livebot.core.limits import Equities, Limits, Usage
from livebot.core.market import base_asset, decimal_of
from livebot.core.streak import StreakScope
from livebot.core.wording import about, duration, number, percent

Check = Callable[[Usage, Limits, Candidate], Denied | None]


def _blocked(usage: Usage, _: Limits, candidate: Candidate) -> Denied | None:
    if not usage.blocks:
        return None
    return blocked(usage.blocks[0], candidate.symbol)


def _trading_state(usage: Usage, _: Limits, candidate: Candidate) -> Denied | None:
    if usage.trading_state is TradingState.ACTIVE:
        return None
    return blocked(STATE_CODES[usage.trading_state], candidate.symbol)


def _opposite_side(usage: Usage, _: Limits, candidate: Candidate) -> Denied | None:
    held = usage.symbol_side
    if held is None or held is candidate.side:
        return None
    text = f"{candidate.symbol} is {held.value} or about to be; a {candidate.side.value} would net against it"
    return Denied(DenialCode.OPPOSITE_SIDE, text)


def _open_signals(usage: Usage, limits: Limits, candidate: Candidate) -> Denied | None:
    allowed = limits.open_signals
    if allowed is None or candidate.signal is None or usage.open_signals < allowed:
        return None
    text = f"open signals: {usage.open_signals} used and 1 asked, {allowed} allowed"
    return Denied(DenialCode.OPEN_SIGNALS, text)


def _open_signals_of_strategy(usage: Usage, limits: Limits, candidate: Candidate) -> Denied | None:
    allowed = limits.open_signals_per_strategy
    if allowed is None or candidate.signal is None or usage.open_signals_of_strategy < allowed:
        return None
    used = usage.open_signals_of_strategy
    text = f"open signals of {candidate.strategy}: {used} used and 1 asked, {allowed} allowed"
    return Denied(DenialCode.OPEN_SIGNALS_STRATEGY, text)


def _open_signals_of_cluster(usage: Usage, limits: Limits, candidate: Candidate) -> Denied | None:
    allowed, used = limits.open_signals_per_cluster, usage.open_signals_of_cluster
    if allowed is None or candidate.signal is None or used < allowed:
        return None
    text = f"open signals of the cluster {usage.cluster}: {used} used and 1 asked, {allowed} allowed"
    return Denied(DenialCode.OPEN_SIGNALS_CLUSTER, text)


def _gross_exposure(usage: Usage, limits: Limits, candidate: Candidate) -> Denied | None:
    allowed = limits.gross_exposure
    if allowed is None or usage.gross_exposure + candidate.notional <= allowed * usage.equity:
        return None
    text = f"gross exposure: {_amounts(usage.gross_exposure, candidate.notional, allowed, usage.equity)}"
    return Denied(DenialCode.GROSS_EXPOSURE, text)


def _net_exposure(usage: Usage, limits: Limits, candidate: Candidate) -> Denied | None:
    allowed = limits.net_exposure
    if allowed is None or usage.net_exposure + candidate.notional <= allowed * usage.equity:
        return None
    amounts = _amounts(usage.net_exposure, candidate.notional, allowed, usage.equity)
    text = f"net {candidate.side.value} exposure, if nothing pending on the other side fills: {amounts}"
    return Denied(DenialCode.NET_EXPOSURE, text)


def _symbol_exposure(usage: Usage, limits: Limits, candidate: Candidate) -> Denied | None:
    allowed = limits.symbol_exposure
    if allowed is None or usage.symbol_exposure + candidate.notional <= allowed * usage.equity:
        return None
    amounts = _amounts(usage.symbol_exposure, candidate.notional, allowed, usage.equity)
    return Denied(DenialCode.SYMBOL_EXPOSURE, f"exposure in {candidate.symbol}: {amounts}")


def _base_exposure(usage: Usage, limits: Limits, candidate: Candidate) -> Denied | None:
    allowed = limits.base_exposure
    if allowed is None or usage.base_exposure + candidate.notional <= allowed * usage.equity:
        return None
    amounts = _amounts(usage.base_exposure, candidate.notional, allowed, usage.equity)
    text = f"exposure in {base_asset(candidate.symbol)}, over all its symbols: {amounts}"
    return Denied(DenialCode.BASE_EXPOSURE, text)


def _risk_per_trade(usage: Usage, limits: Limits, candidate: Candidate) -> Denied | None:
    allowed = limits.risk_per_trade
    if allowed is None or usage.risk_of_signal + candidate.risk <= allowed * usage.equity:
        return None
    amounts = _amounts(usage.risk_of_signal, candidate.risk, allowed, usage.equity)
    return Denied(DenialCode.RISK_PER_TRADE, f"loss of this trade at its stop: {amounts}")


def _risk_in_all(usage: Usage, limits: Limits, candidate: Candidate) -> Denied | None:
    allowed = limits.risk_in_all
    if allowed is None or usage.risk_in_all + candidate.risk <= allowed * usage.equity:
        return None
    amounts = _amounts(usage.risk_in_all, candidate.risk, allowed, usage.equity)
    return Denied(DenialCode.RISK_IN_ALL, f"loss of all trades at their stops: {amounts}")


def _order_notional(_: Usage, limits: Limits, candidate: Candidate) -> Denied | None:
    allowed = limits.order_notional
    if allowed is None or candidate.notional <= allowed:
        return None
    text = f"notional of one order: {number(candidate.notional)} asked, {number(allowed)} allowed"
    return Denied(DenialCode.ORDER_NOTIONAL, text)


def _price_collar(usage: Usage, limits: Limits, candidate: Candidate) -> Denied | None:
    allowed = limits.price_collar
    if allowed is None:
        return None
    if usage.last_price is None:
        text = f"{candidate.symbol} has no last price yet that the price of an order could be held against"
        return Denied(DenialCode.PRICE_COLLAR, text)
    last, price = decimal_of(usage.last_price), candidate.order.price or candidate.price
    if abs(price - last) <= allowed * last:
        return None
    text = (
        f"price {number(price)} of {candidate.symbol}: {percent(abs(price - last) / last)} from the last price "
        f"{number(last)}, {percent(allowed)} allowed"
    )
    return Denied(DenialCode.PRICE_COLLAR, text)


def _stale_data(usage: Usage, limits: Limits, candidate: Candidate) -> Denied | None:
    allowed = limits.stale_data_ms
    if allowed is None or usage.age_ms <= allowed:
        return None
    text = f"data of {candidate.symbol}: {_seconds(usage.age_ms)} old, {_seconds(allowed)} allowed"
    return Denied(DenialCode.STALE_DATA, text)


def _minimum_confidence(_: Usage, limits: Limits, candidate: Candidate) -> Denied | None:
    least, confidence = limits.minimum_confidence, candidate.confidence
    if least is None or (confidence is not None and confidence >= float(least)):
        return None
    if confidence is None:
        text = f"the signal has no confidence and at least {number(least)} is asked for: nothing gives {candidate.strategy} one"
    else:
        text = f"confidence: {confidence:.6g}, at least {number(least)} is asked for"
    return Denied(DenialCode.MINIMUM_CONFIDENCE, text)


def _sent_before(usage: Usage, _: Limits, candidate: Candidate) -> Denied | None:
    if not usage.sent_before:
        return None
    text = f"order {candidate.order.client_order_id} of {candidate.symbol} was sent before and is not sent twice"
    return Denied(DenialCode.DUPLICATE_ORDER, text)


def _same_order(usage: Usage, limits: Limits, candidate: Candidate) -> Denied | None:
    allowed, order = limits.duplicate_order_ms, candidate.order
    if allowed is None or usage.same_order_ms is None:
        return None
    price = "the market" if order.price is None else number(order.price)
    text = (
        f"the same order ({order.side.value} {number(order.quantity)} of {candidate.symbol} at {price}) was let through "
        f"{duration(usage.same_order_ms)} ago; within {duration(allowed)} it is taken for a mistake"
    )
    return Denied(DenialCode.DUPLICATE_ORDER, text)


def _orders_per_second(usage: Usage, limits: Limits, _: Candidate) -> Denied | None:
    allowed = limits.orders_per_second
    if allowed is None or usage.orders_last_second < allowed:
        return None
    text = f"orders in the last second: {usage.orders_last_second} used and 1 asked, {allowed} allowed"
    return Denied(DenialCode.ORDERS_PER_SECOND, text)


def _orders_per_minute(usage: Usage, limits: Limits, _: Candidate) -> Denied | None:
    allowed = limits.orders_per_minute
    if allowed is None or usage.orders_last_minute < allowed:
        return None
    text = f"orders in the last minute: {usage.orders_last_minute} used and 1 asked, {allowed} allowed"
    return Denied(DenialCode.ORDERS_PER_MINUTE, text)


def _orders_per_day(usage: Usage, limits: Limits, _: Candidate) -> Denied | None:
    allowed = limits.orders_per_day
    if allowed is None or usage.orders_today < allowed:
        return None
    text = f"orders of this UTC day: {usage.orders_today} used and 1 asked, {allowed} allowed"
    return Denied(DenialCode.ORDERS_PER_DAY, text)


def _losing_streak(usage: Usage, limits: Limits, candidate: Candidate) -> Denied | None:
    rule = limits.losing_streak
    if rule is None or usage.cooldown_ms <= 0:
        return None
    where = f" of {candidate.symbol}" if rule.scope is StreakScope.SYMBOL else ""
    text = (
        f"losing streak: {rule.losses} closes{where} in a row lost; nothing opens for {duration(rule.cooldown_ms)} after "
        f"that, {about(usage.cooldown_ms)} are left"
    )
    return Denied(DenialCode.LOSING_STREAK, text)


def _daily_loss(usage: Usage, limits: Limits, _: Candidate) -> Denied | None:
    text = daily_loss_reached(usage, limits)
    return None if text is None else Denied(DenialCode.DAILY_LOSS, text)


def _drawdown(usage: Usage, limits: Limits, _: Candidate) -> Denied | None:
    text = drawdown_reached(usage, limits)
    return None if text is None else Denied(DenialCode.DRAWDOWN, text)


def daily_loss_reached(usage: Equities, limits: Limits) -> str | None:
    """What was lost since the day began, if that is as much as may be lost; else None."""
    allowed, start = limits.daily_loss, usage.day_start_equity
    if allowed is None or start - usage.equity < allowed * start:
        return None
    return f"daily loss: {_losses(start, usage.equity, allowed)} of the equity the day began with"


def drawdown_reached(usage: Equities, limits: Limits) -> str | None:
    """What was lost since equity was highest, if that is as much as may be lost; else None."""
    allowed, start = limits.drawdown, usage.peak_equity
    if allowed is None or start - usage.equity < allowed * start:
        return None
    return f"drawdown: {_losses(start, usage.equity, allowed)} of the highest equity"


def _amounts(used: Decimal, asked: Decimal, allowed: Decimal, equity: Decimal) -> str:
    return (
        f"{number(used)} used and {number(asked)} asked, {number(allowed * equity)} allowed "
        f"({percent(allowed)} of equity {number(equity)})"
    )


def _seconds(milliseconds: int) -> str:
    return f"{number(Decimal(milliseconds) / 1000)} s"


def _losses(start: Decimal, equity: Decimal, allowed: Decimal) -> str:
    return (
        f"{number(start - equity)} lost of {number(start)}, {number(allowed * start)} allowed; "
        f"the limit is {percent(allowed)}"
    )


CHECKS: tuple[Check, ...] = (
    _blocked,
    _trading_state,
    _opposite_side,
    # of the order alone
    _sent_before,
    _stale_data,
    _minimum_confidence,
    _order_notional,
    _price_collar,
    _risk_per_trade,
    _same_order,
    # of all that there is
    _open_signals,
    _open_signals_of_strategy,
    _open_signals_of_cluster,
    _gross_exposure,
    _net_exposure,
    _symbol_exposure,
    _base_exposure,
    _risk_in_all,
    # over time
    _orders_per_second,
    _orders_per_minute,
    _orders_per_day,
    _losing_streak,
    _daily_loss,
    _drawdown,
)

# Those that bind what is there already too, by name in the config
SIZES: tuple[tuple[str, Check], ...] = (
    ("open_signals", _open_signals),
    ("open_signals_per_strategy", _open_signals_of_strategy),
    ("open_signals_per_cluster", _open_signals_of_cluster),
    ("gross_exposure", _gross_exposure),
    ("net_exposure", _net_exposure),
    ("symbol_exposure", _symbol_exposure),
    ("base_exposure", _base_exposure),
    ("risk_per_trade", _risk_per_trade),
    ("risk_in_all", _risk_in_all),
)
