"""How much to trade: from a sizing rule and equity to a quantity on the lot step.

Rules of this file: every rounding is down, so that no size is above what its rule allows; what one order cannot close is
cut to what it can; too little to trade is refused, never raised to the minimum; a rule that lacks what it looks at refuses
and never guesses.
"""

from dataclasses import dataclass
from decimal import ROUND_DOWN, Context, Decimal
from math import isfinite
from typing import assert_never

from livebot.core.candidate import Refused
from livebot.core.market import Instrument, decimal_of
from livebot.core.order import ZERO
from livebot.core.rules import CappedKelly, FixedNotional, FractionOfEquity, RiskToStop, Sizing, VolatilityParity
from livebot.core.wording import number

_DOWN = Context(prec=28, rounding=ROUND_DOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What some rules look at besides price and stop; None: it is not known.

    `take_profit` and `atr` (average true range) are in quote, `confidence` is a probability.
    """

    take_profit: Decimal | None = None
    confidence: float | None = None
    atr: float | None = None


NO_OUTLOOK = Outlook()


def size(
    sizing: Sizing,
    *,
    price: Decimal,
    stop_loss: Decimal,
    equity: Decimal,
    instrument: Instrument,
    outlook: Outlook = NO_OUTLOOK,
    held: Decimal = ZERO,
) -> Decimal | Refused:
    """The quantity in base currency, or why there can be none.  `price` is the entry price, above 0.

    `held` is what the position begins with; all of it will be closed in one order, and so fits into one.
    """
    if not equity.is_finite() or equity <= 0:
        return Refused("no_equity", f"equity is {equity} {instrument.quote}; nothing can be opened with that")
    if isinstance(sizing, RiskToStop | CappedKelly) and stop_loss == price:
        text = f"the stop is at the entry price {number(price)}, so the risk to it is 0 and sets no size"
        return Refused("no_stop_distance", text)
    wanted = _wanted(sizing, price, stop_loss, equity, instrument, outlook)
    if isinstance(wanted, Refused):
        return wanted
    quantity = instrument.round_quantity(instrument.fitting(wanted, held))
    sellable = quantity
    if instrument.fee_in_base:  # what is left after the fee must still be enough for a stop
        sellable = instrument.round_quantity(_DOWN.multiply(quantity, 1 - instrument.taker_fee))
    return _too_small(sellable, wanted, price, instrument) or quantity


def _wanted(
    sizing: Sizing, price: Decimal, stop_loss: Decimal, equity: Decimal, instrument: Instrument, outlook: Outlook
) -> Decimal | Refused:
    match sizing:
        case FixedNotional():
            return _DOWN.divide(sizing.notional, price)
        case FractionOfEquity():
            return _DOWN.divide(_DOWN.multiply(equity, sizing.fraction), price)
        case RiskToStop():
            by_risk = _DOWN.divide(_DOWN.multiply(equity, sizing.fraction), abs(price - stop_loss))
            return min(by_risk, _ceiling(sizing.maximum_fraction, equity, price))
        case VolatilityParity():
            by_range = _by_range(sizing, equity, outlook.atr)
            cap = _ceiling(sizing.maximum_fraction, equity, price)
            return by_range if isinstance(by_range, Refused) else min(by_range, cap)
        case CappedKelly():
            by_odds = _by_odds(sizing, price, stop_loss, equity, instrument, outlook)
            cap = _ceiling(sizing.maximum_fraction, equity, price)
            return by_odds if isinstance(by_odds, Refused) else min(by_odds, cap)
        case _:
            assert_never(sizing)


def _ceiling(maximum_fraction: Decimal, equity: Decimal, price: Decimal) -> Decimal:
    return _DOWN.divide(_DOWN.multiply(equity, maximum_fraction), price)


def _by_range(sizing: VolatilityParity, equity: Decimal, atr: float | None) -> Decimal | Refused:
    """`equity * fraction / ATR`: the "unit" of the Turtles (C. Faith, Way of the Turtle, 2007), with Wilder's range.

    The average true range is that of J. W. Wilder, New Concepts in Technical Trading Systems, 1978.
    """
    if atr is None or not isfinite(atr):
        text = f"the average true range of {sizing.period} candles is not known yet, and the size follows from it"
        return Refused("no_atr", text)
    if atr <= 0:
        text = f"the price has not moved in the last {sizing.period} candles, so its range is 0 and sets no size"
        return Refused("no_atr", text)
    return _DOWN.divide(_DOWN.multiply(equity, sizing.fraction), decimal_of(atr))


def _by_odds(
    sizing: CappedKelly, price: Decimal, stop_loss: Decimal, equity: Decimal, instrument: Instrument, outlook: Outlook
) -> Decimal | Refused:
    """`equity * kelly_fraction * f / loss` with `f = p - (1 - p) / b` and `b = gain / loss`, both of one unit, after fees.

    f is the part of equity that is lost if the bet is (J. L. Kelly, A New Interpretation of Information Rate, Bell System
    Technical Journal 35, 1956; E. O. Thorp, The Kelly Criterion in Blackjack, Sports Betting and the Stock Market, 2006);
    so here it is lost at the stop.  Fees are the taker's, on the way in and on the way out.
    """
    if outlook.confidence is None or outlook.take_profit is None:
        text = "neither a model nor the strategy says how likely the target is, and the size follows from that"
        return Refused("no_confidence", text)
    fee, target = instrument.taker_fee, outlook.take_profit
    gain = abs(target - price) - fee * (price + target)
    loss = abs(price - stop_loss) + fee * (price + stop_loss)
    probability = decimal_of(outlook.confidence)
    edge = probability * gain - (1 - probability) * loss  # what one unit earns on average
    if gain <= 0 or edge <= 0:
        text = (
            f"a win of {number(gain)} against a loss of {number(loss)} a unit, after fees, is not worth a bet at a "
            f"confidence of {number(probability)}"
        )
        return Refused("no_edge", text)
    stake = _DOWN.multiply(_DOWN.multiply(equity, sizing.kelly_fraction), _DOWN.divide(edge, gain))
    return _DOWN.divide(stake, loss)


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
