"""What a simulated venue refuses about an order's shape, whatever the account holds.

Rules of this file: a check returns the refusal, it does not raise; codes are stable, texts are for people.
"""

from dataclasses import dataclass
from decimal import Decimal

from livebot.core.market import Candle, Instrument, OrderSide, decimal_of
from livebot.core.order import OrderKind, OrderRequest


@dataclass(frozen=True, slots=True)
class Refusal:
    """The venue's no, before it becomes an OrderRejected."""

    code: str
    text: str


def refuse_shape(request: OrderRequest, instrument: Instrument, price: Decimal) -> Refusal | None:
    """Steps, minimums, and prices on the wrong side of the present `price`."""
    return (
        _quantity(request, instrument)
        or _ticks(request, instrument)
        or _notional(request, instrument, price)
        or _wrong_side(request, price)
    )


def only_reduces(request: OrderRequest, instrument: Instrument) -> bool:
    """Whether it can never trade more than the position."""
    return request.reduce_only or (not instrument.can_short and request.side is OrderSide.SELL)


def crosses(request: OrderRequest, price: Decimal) -> bool:
    """Whether a limit order would trade at once at this price."""
    if request.kind is not OrderKind.LIMIT:
        return False
    limit = _set(request.price)
    return limit >= price if request.side is OrderSide.BUY else limit <= price


def stop_start(request: OrderRequest, candle: Candle) -> Decimal:
    """Where a triggered stop starts to trade: at its trigger, or at the open if that is beyond it."""
    trigger, begin = _set(request.trigger_price), decimal_of(candle.open)
    return max(trigger, begin) if request.side is OrderSide.BUY else min(trigger, begin)


def _quantity(request: OrderRequest, instrument: Instrument) -> Refusal | None:
    if request.quantity % instrument.lot_step:
        return Refusal(
            "invalid_quantity_step",
            f"quantity {request.quantity} is not a multiple of {instrument.lot_step}",
        )
    if request.quantity < instrument.minimum_quantity:
        text = f"quantity {request.quantity} is below the minimum of {instrument.minimum_quantity}"
        return Refusal("below_minimum_quantity", text)
    # Venues take larger orders at a price than at the market, and a stop trades at the market.
    if request.kind is not OrderKind.LIMIT and instrument.fitting(request.quantity) < request.quantity:
        text = f"quantity {request.quantity} is above the maximum of {instrument.maximum_quantity}"
        return Refusal("above_maximum_quantity", text)
    return None


def _ticks(request: OrderRequest, instrument: Instrument) -> Refusal | None:
    for value in (request.price, request.trigger_price, request.attached_stop):
        if value is not None and value % instrument.tick_size:
            return Refusal("invalid_price_step", f"price {value} is not a multiple of {instrument.tick_size}")
    return None


def _notional(request: OrderRequest, instrument: Instrument, price: Decimal) -> Refusal | None:
    notional = request.quantity * (request.price or request.trigger_price or price)
    if request.reduce_only or notional >= instrument.minimum_notional:
        return None  # what closes a position may be small: otherwise a remainder could never be closed
    return Refusal(
        "below_minimum_notional", f"notional {notional} is below the minimum of {instrument.minimum_notional}"
    )


def _wrong_side(request: OrderRequest, price: Decimal) -> Refusal | None:
    if request.kind is OrderKind.STOP_MARKET:
        trigger = _set(request.trigger_price)
        if trigger <= price if request.side is OrderSide.BUY else trigger >= price:
            text = f"the trigger {trigger} would fire at once, the price is {price}"
            return Refusal("would_trigger_immediately", text)
    attached, level = request.attached_stop, request.price or price
    if attached is not None and (attached >= level if request.side is OrderSide.BUY else attached <= level):
        return Refusal("attached_stop_side", f"the attached stop {attached} is on the wrong side of {level}")
    if request.post_only and crosses(request, price):
        text = f"a post-only order at {request.price} would trade at once, the price is {price}"
        return Refusal("post_only_would_cross", text)
    return None


def _set(value: Decimal | None) -> Decimal:
    assert value is not None  # OrderRequest sees to it, by its kind
    return value
