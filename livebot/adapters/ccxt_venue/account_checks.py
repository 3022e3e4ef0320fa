"""Whether this account can trade as livebot trades, found out before the first order.

Rules of this file: what is wrong is Fatal, with what to do about it; nothing is changed at the venue; what the venue does
not say is not held against it.
"""

import asyncio
import contextlib
from collections.abc import Sequence

from livebot.adapters.ccxt_venue.answers import Row, account_of, hedged, info_of, rows_of
from livebot.adapters.ccxt_venue.capabilities import PERPETUAL, PositionMode
from livebot.adapters.ccxt_venue.connection import Connection
from livebot.adapters.ccxt_venue.failures import VENUE_ERRORS, at_open, failure_of
from livebot.errors import Fatal, Transient

_AT_ONCE = 10  # questions under way
_BINANCE_PERMISSIONS = {
    "perpetual": ("enableFutures", "Enable Futures"),
    "spot": ("enableSpotAndMarginTrading", "Enable Spot & Margin Trading"),
}
_PERMISSIONS = {"perpetual": ("ContractTrade", ("Order", "Position")), "spot": ("Spot", ("SpotTrade",))}


async def check_account(connection: Connection, symbols: Sequence[str]) -> None:
    """Keys, permissions, account type, position mode.  Raises Fatal with the mend, or Transient."""
    try:
        if connection.family == "bybit":
            _check_bybit_key(await connection.orders.privateGetV5UserQueryApi(), connection.market)
        if connection.family == "binance":
            _check_binance_key(await _binance_key(connection), connection)
        _check_balance(await connection.orders.fetch_balance(), connection)
        await _check_position_mode(connection, symbols)
    except VENUE_ERRORS as error:
        # The cause is left out: it holds the signed request.
        raise at_open(failure_of(error), "the account could not be checked", connection.exchange_id) from None


async def check_symbols(connection: Connection, symbols: Sequence[str]) -> None:
    """Position mode of further symbols, once the account is known to be fit.  Raises Fatal with the mend, or Transient."""
    try:
        await _check_position_mode(connection, symbols)
    except VENUE_ERRORS as error:
        raise at_open(failure_of(error), "the position mode could not be read", connection.exchange_id) from None


def _check_bybit_key(answer: object, market: str) -> None:
    key = answer.get("result") if isinstance(answer, dict) else None
    if not isinstance(key, dict):
        return
    if str(key.get("readOnly")) == "1":
        raise Fatal("bybit: the key may only read: make one that may trade, or use mode paper")
    if str(key.get("uta")) == "0" and str(key.get("unified")) != "1":
        raise Fatal("bybit: the account is a classic one: upgrade it to a unified trading account at the venue")
    group, wanted = _PERMISSIONS[market]
    permissions = key.get("permissions")
    granted = permissions.get(group) if isinstance(permissions, dict) else None
    lacking = [each for each in wanted if isinstance(granted, list) and each not in granted]
    if lacking:
        raise Fatal(f"bybit: the key lacks the permission {group} {' and '.join(lacking)}: allow it at the venue")


async def _binance_key(connection: Connection) -> object:
    """What the key may do; None where the venue does not say it, such as in the sandbox."""
    with contextlib.suppress(*VENUE_ERRORS):  # a key that is wrong is refused when it asks for the balance
        return await connection.orders.sapiGetAccountApiRestrictions()
    return None


def _check_binance_key(key: object, connection: Connection) -> None:
    granted, as_shown = _BINANCE_PERMISSIONS[connection.market]
    if isinstance(key, dict) and key.get(granted) is False:
        raise Fatal(
            f"{connection.exchange_id}: the key may not trade here: switch on '{as_shown}' for it at the venue "
            "(a key that is older than the futures account never may: make a new one), or use mode paper"
        )


def _check_balance(balance: object, connection: Connection) -> None:
    venue, currency = connection.exchange_id, connection.currency
    if isinstance(balance, dict) and info_of(balance).get("canTrade") is False:
        raise Fatal(f"{venue}: the key or the account may not trade: allow it at the venue, or use mode paper")
    try:
        account_of(balance, currency, connection.family)
    except Transient:
        raise Fatal(f"{venue}: the account holds no {currency}: transfer some into it before livebot trades") from None


async def _check_position_mode(connection: Connection, symbols: Sequence[str]) -> None:
    """A venue with a mode for each symbol is asked about each; they are read, never changed."""
    if connection.market != PERPETUAL:
        return
    venue = connection.exchange_id
    if connection.capabilities.position_mode is PositionMode.ACCOUNT:
        if await _is_hedged(connection):
            raise hedged(venue, "the account")
        return
    if connection.capabilities.position_mode is PositionMode.SYMBOL:
        for begin in range(0, len(symbols), _AT_ONCE):
            await asyncio.gather(*(_check_symbol(connection, each) for each in symbols[begin : begin + _AT_ONCE]))


async def _is_hedged(connection: Connection) -> bool:
    """Of an account with one mode for all symbols."""
    if connection.family == "binance":  # the mode alone weighs 30, with all else that is set of the account it weighs 5
        with contextlib.suppress(*VENUE_ERRORS):
            told = (await connection.orders.fapiPrivateGetAccountConfig()).get("dualSidePosition")
            if isinstance(told, bool):
                return told
    mode = await connection.orders.fetch_position_mode()
    return isinstance(mode, dict) and mode.get("hedged") is True


async def _check_symbol(connection: Connection, symbol: str) -> None:
    """Also a flat symbol has a row, in hedge mode one for each side."""
    rows: list[Row] = rows_of(await connection.orders.fetch_positions([symbol]), f"position mode of {symbol}")
    if any(row.get("hedged") is True for row in rows):
        raise hedged(connection.exchange_id, symbol)
