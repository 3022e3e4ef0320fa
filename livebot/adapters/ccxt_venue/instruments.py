"""From a market as ccxt describes it to an Instrument.

Rules of this file: steps, minimums and the maximum are exact; a market that lacks a step, that is not in trading, or that
counts in contracts of another size than one, is refused with a sentence.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from livebot.adapters.ccxt_venue.answers import Row, info_of, number, optional_number
from livebot.core.market import Instrument
from livebot.core.order import ZERO
from livebot.errors import BadInput, Transient

_NAMES_AS_THEY_ARE = frozenset({"bybit"})  # ccxt writes what is asked for into the address as it is there


def instruments_of(
    markets: Mapping[str, Any], fees: Mapping[str, Any], symbols: Sequence[str], venue: str
) -> dict[str, Instrument]:
    """Instruments by symbol; `fees` (by symbol, with `taker` and `maker`) go before those of the market.

    Raises:
        BadInput: naming every symbol that the venue lacks, or cannot be traded, and why.

    """
    found: dict[str, Instrument] = {}
    wrong: list[str] = []
    told = {info_of(row).get("symbol"): row for row in fees.values() if isinstance(row, dict)}
    for symbol in symbols:
        market = markets.get(symbol)
        try:
            if market is None:
                wrong.append(f"{symbol} is not listed")
            elif market.get("active") is False:
                wrong.append(f"{symbol} is not being traded at present")
            elif venue in _NAMES_AS_THEY_ARE and not str(market.get("id")).isascii():
                wrong.append(f"{symbol} has letters in its name with which ccxt cannot ask {venue} for it")
            else:
                # of spot on Bybit ccxt takes the name for that of a contract
                found[symbol] = instrument_of(market, fees.get(symbol) or told.get(market.get("id")) or {})
        except (BadInput, Transient) as error:
            wrong.append(str(error))
    if wrong:
        raise BadInput(
            f"{venue}: {'; '.join(wrong)}; take what is wrong out of `symbols`, or write it as the venue does"
        )
    return found


def instrument_of(market: Row, fees: Row) -> Instrument:
    """One instrument.  Raises BadInput or Transient naming what is missing."""
    symbol = str(market.get("symbol"))
    contract = market.get("contract") is True
    if contract and (market.get("linear") is not True or number(market, "contractSize", symbol) != 1):
        raise BadInput(f"{symbol} is counted in contracts, and not in its base currency")
    precision, limits = _part(market, "precision"), _part(market, "limits")
    lot_step = number(precision, "amount", f"{symbol} precision")
    tick_size = number(precision, "price", f"{symbol} precision")
    if lot_step <= 0 or tick_size <= 0:
        raise BadInput(f"{symbol} has a step of zero")
    least = optional_number(_part(limits, "amount"), "min", symbol)
    return Instrument(
        symbol=symbol,
        base=str(market.get("base")),
        quote=str(market.get("quote")),
        tick_size=tick_size,
        lot_step=lot_step,
        minimum_quantity=max(least or ZERO, lot_step),
        minimum_notional=optional_number(_part(limits, "cost"), "min", symbol) or ZERO,
        taker_fee=_fee(fees, market, "taker", symbol),
        maker_fee=_fee(fees, market, "maker", symbol),
        can_short=contract,
        fee_in_base=not contract,
        maximum_quantity=_most(market, limits, symbol),
    )


def _most(market: Row, limits: Row, symbol: str) -> Decimal | None:
    """The most of one order, at a price or at the market, None if there is no bound (which venues also write as 0).

    Bybit's bound of orders at the market stands in its own words only: ccxt leaves it out.
    """
    lot = _part(info_of(market), "lotSizeFilter")
    named = (
        optional_number(_part(limits, "amount"), "max", symbol),
        optional_number(_part(limits, "market"), "max", symbol),
        optional_number(lot, "maxMktOrderQty", symbol),  # contracts
        optional_number(lot, "maxMarketOrderQty", symbol),  # spot
    )
    return min((each for each in named if each), default=None)


def _fee(fees: Row, market: Row, name: str, symbol: str) -> Decimal:
    own = optional_number(fees, name, symbol)
    return own if own is not None else number(market, name, symbol)


def _part(row: Row, name: str) -> Row:
    part = row.get(name)
    return part if isinstance(part, dict) else {}
