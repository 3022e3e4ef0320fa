"""How much to trade: from a sizing rule and equity to a quantity on the lot step.

Rules of this file: every rounding is down, so that no size is above what its rule allows; too little to trade is
refused, never raised to the minimum.
"""

from decimal import ROUND_DOWN, Context, Decimal
from typing import assert_never

from livebot.core.candidate import Refused
from livebot.core.market import Instrument
from livebot.core.rules import FixedNotional, FractionOfEquity, RiskToStop, Sizing
from livebot.core.wording import number

_DOWN = Context(prec=28, rounding=ROUND_DOWN)


def size(
    sizing: Sizing, *, price: Decimal, stop_loss: Decimal, equity: Decimal, instrument: Instrument
) -> Decimal | Refused:
    """The quantity in base currency, or why there can be none.  `price` is the entry price, above 0."""
    if not equity.is_finite() or equity <= 0:
        return Refused("no_equity", f"equity is {equity} {instrument.quote}; nothing can be opened with that")
    if isinstance(sizing, RiskToStop) and stop_loss == price:
        text = f"the stop is at the entry price {number(price)}, so the risk to it is 0 and sets no size"
        return Refused("no_stop_distance", text)
    wanted = _wanted(sizing, price=price, stop_loss=stop_loss, equity=equity)
    quantity = instrument.round_quantity(wanted)
    sellable = quantity
    if instrument.fee_in_base:  # what is left after the fee must still be enough for a stop
        sellable = instrument.round_quantity(_DOWN.multiply(quantity, 1 - instrument.taker_fee))
    return _too_small(sellable, wanted, price, instrument) or quantity


def _wanted(sizing: Sizing, *, price: Decimal, stop_loss: Decimal, equity: Decimal) -> Decimal:
    match sizing:
        case FixedNotional():
            return _DOWN.divide(sizing.notional, price)
        case FractionOfEquity():
            return _DOWN.divide(_DOWN.multiply(equity, sizing.fraction), price)
        case RiskToStop():
            by_risk = _DOWN.divide(_DOWN.multiply(equity, sizing.fraction), abs(price - stop_loss))
            ceiling = _DOWN.divide(_DOWN.multiply(equity, sizing.maximum_fraction), price)
            return min(by_risk, ceiling)
        case _:
            assert_never(sizing)


def _too_small(quantity: Decimal, wanted: Decimal, price: Decimal, instrument: Instrument) -> Refused | None:
    # A venue may name no minimum quantity; then one lot is the least there is.
    least = max(instrument.minimum_quantity, instrument.lot_step)
    sized = (
        f"{instrument.symbol}: the size comes to {number(wanted)} {instrument.base} at {number(price)}, "
        f"{number(quantity)} in whole lots of {number(instrument.lot_step)}"
    )
    if quantity < least:
        return Refused("minimum_quantity", f"{sized}; the venue takes {number(least)} or more")
    notional = quantity * price
    if notional < instrument.minimum_notional:
        text = f"{sized}, worth {number(notional)} {instrument.quote}"
        return Refused("minimum_notional", f"{text}; the venue takes {number(instrument.minimum_notional)} or more")
    return None
