"""The shapes of Binance's messages about what a futures account holds: positions, balances.

Rules of this file: as in `forms`.  There is one account: contracts and coins draw on the same quote coin, of which
Binance would have two wallets.
"""

from decimal import Decimal
from typing import Any, Protocol

from livebot.core.order import ZERO
from livebot.simulator.binance.forms import money
from livebot.simulator.binance.records import Records
from livebot.simulator.binance.settings import BinanceSettings
from livebot.simulator.holdings import Holding
from livebot.simulator.venue import SimulatedVenue
from livebot.simulator.venue_listings import Listing, Listings
from livebot.simulator.venue_listings import text as plain

Row = dict[str, Any]
MAINTENANCE = Decimal("0.005")


class Books(Protocol):
    """What the rows about an account are made of."""

    listings: Listings
    records: Records
    settings: BinanceSettings
    venue: SimulatedVenue

    def now_ms(self) -> int:
        """The venue's time."""
        ...

    def held(self, symbol: str) -> Decimal:
        """The signed position."""
        ...

    def holding(self, symbol: str) -> Holding | None:
        """A position with its cost."""
        ...

    def realised(self, symbol: str) -> Decimal:
        """What the symbol has earned."""
        ...

    def moved_ms(self, symbol: str) -> int:
        """When its position last changed."""
        ...


def account_message(account: Books, listing: Listing) -> Row:
    """Balance and position after a trade, as the stream tells them."""
    symbol = listing.symbol
    held = account.holding(symbol)
    wallet, _ = quote_balances(account)
    position = {
        "s": listing.name,
        "pa": plain(held.quantity) if held else "0",
        "ep": plain(money(held.average_price)) if held else "0",
        "cr": plain(money(account.realised(symbol))),
        "up": plain(money(_unrealised(account, symbol))),
        "mt": "cross",
        "iw": "0",
        "ps": "BOTH",
        "ma": listing.instrument.quote,
        "bep": plain(money(held.average_price)) if held else "0",
    }
    balance = {"a": listing.instrument.quote, "wb": plain(wallet), "cw": plain(wallet), "bc": "0"}
    now = account.now_ms()
    return {"e": "ACCOUNT_UPDATE", "T": now, "E": now, "a": {"B": [balance], "P": [position], "m": "ORDER"}}


def position_row(account: Books, listing: Listing, *, version: int) -> Row:
    """The position in one contract, as positionRisk of version 2 or 3 has it."""
    symbol, leverage = listing.symbol, account.settings.leverage
    held, mark = account.holding(symbol), account.venue.price(symbol)
    notional = (held.quantity if held else ZERO) * mark
    row: Row = {
        "symbol": listing.name,
        "positionSide": "BOTH",
        "positionAmt": plain(held.quantity) if held else "0",
        "entryPrice": plain(money(held.average_price)) if held else "0.0",
        "breakEvenPrice": plain(money(held.average_price)) if held else "0.0",
        "markPrice": plain(mark),
        "unRealizedProfit": plain(money(_unrealised(account, symbol))),
        "liquidationPrice": "0",
        "isolatedMargin": "0",
        "notional": plain(notional),
        "isolatedWallet": "0",
        "updateTime": account.moved_ms(symbol),
    }
    if version == 2:  # noqa: PLR2004 - /fapi/v2
        return row | {
            "leverage": plain(leverage),
            "maxNotionalValue": "1000000",
            "marginType": "cross",
            "isAutoAddMargin": "false",
        }
    initial = money(abs(notional) / leverage)
    return row | {
        "marginAsset": listing.instrument.quote,
        "initialMargin": plain(initial),
        "maintMargin": plain(money(abs(notional) * MAINTENANCE)),
        "positionInitialMargin": plain(initial),
        "openOrderInitialMargin": "0",
        "adl": 2,
        "bidNotional": "0",
        "askNotional": "0",
    }


def account_row(account: Books, *, version: int) -> Row:
    """The whole account."""
    contracts = [listing for listing in _contracts(account) if version == 2 or account.held(listing.symbol)]  # noqa: PLR2004
    sums = _sums(account)
    now = account.now_ms()
    asset = {"asset": quote_of(account), **sums, "updateTime": now}
    row: Row = {
        "totalInitialMargin": sums["initialMargin"],
        "totalMaintMargin": sums["maintMargin"],
        "totalWalletBalance": sums["walletBalance"],
        "totalUnrealizedProfit": sums["unrealizedProfit"],
        "totalMarginBalance": sums["marginBalance"],
        "totalPositionInitialMargin": sums["positionInitialMargin"],
        "totalOpenOrderInitialMargin": sums["openOrderInitialMargin"],
        "totalCrossWalletBalance": sums["crossWalletBalance"],
        "totalCrossUnPnl": sums["crossUnPnl"],
        "availableBalance": sums["availableBalance"],
        "maxWithdrawAmount": sums["maxWithdrawAmount"],
        "assets": [asset],
        "positions": [_account_position(account, listing, version=version) for listing in contracts],
    }
    if version == 2:  # noqa: PLR2004
        asset["marginAvailable"] = True
        row |= {
            "feeTier": 0,
            "canTrade": True,
            "canDeposit": True,
            "canWithdraw": True,
            "updateTime": 0,
            "multiAssetsMargin": False,
            "tradeGroupId": -1,
        }
    return row


def balance_rows(account: Books) -> list[Row]:
    """The balance by asset."""
    sums = _sums(account)
    return [
        {
            "accountAlias": "SgsR",
            "asset": quote_of(account),
            "balance": sums["walletBalance"],
            "crossWalletBalance": sums["crossWalletBalance"],
            "crossUnPnl": sums["crossUnPnl"],
            "availableBalance": sums["availableBalance"],
            "maxWithdrawAmount": sums["maxWithdrawAmount"],
            "marginAvailable": True,
            "updateTime": account.now_ms(),
        }
    ]


def quote_balances(account: Books) -> tuple[Decimal, Decimal]:
    """Quote coin without and with the contracts' unrealised profit; what was spent on coins is gone."""
    total = account.venue.account()
    spot = [each for each in account.venue.positions() if account.listings.of_symbol(each.symbol).spot]
    cost = sum((each.quantity * each.average_price for each in spot), ZERO)
    worth = sum((each.quantity * account.venue.price(each.symbol) for each in spot), ZERO)
    return money(total.wallet - cost), money(total.equity - worth)


def quote_of(account: Books) -> str:
    """The one quote coin of this account."""
    return next((account.listings.of_symbol(symbol).instrument.quote for symbol in account.venue.symbols), "USDT")


def _sums(account: Books) -> Row:
    wallet, equity = quote_balances(account)
    leverage = account.settings.leverage
    worths = [abs(account.held(each.symbol)) * account.venue.price(each.symbol) for each in _contracts(account)]
    positions = sum(worths, ZERO) / leverage
    ordered = _ordered(account) / leverage
    available = plain(money(max(equity - positions - ordered, ZERO)))
    return {
        "walletBalance": plain(wallet),
        "unrealizedProfit": plain(equity - wallet),
        "marginBalance": plain(equity),
        "maintMargin": plain(money(sum(worths, ZERO) * MAINTENANCE)),
        "initialMargin": plain(money(positions + ordered)),
        "positionInitialMargin": plain(money(positions)),
        "openOrderInitialMargin": plain(money(ordered)),
        "crossWalletBalance": plain(wallet),
        "crossUnPnl": plain(equity - wallet),
        "availableBalance": available,
        "maxWithdrawAmount": available,
    }


def _ordered(account: Books) -> Decimal:
    """Notional of open orders that would open something; conditional ones take no margin before they trigger."""
    return sum(
        (
            record.left * (record.request.price or account.venue.price(record.listing.symbol))
            for record in account.records.live()
            if not record.listing.spot and not record.request.reduce_only
        ),
        ZERO,
    )


def _account_position(account: Books, listing: Listing, *, version: int) -> Row:
    row = position_row(account, listing, version=3)
    names = ("symbol", "positionSide", "positionAmt", "isolatedWallet", "initialMargin", "maintMargin", "updateTime")
    shown = {name: row[name] for name in names} | {"unrealizedProfit": row["unRealizedProfit"]}
    if version != 2:  # noqa: PLR2004
        return shown | {"isolatedMargin": "0", "notional": row["notional"]}
    return shown | {
        "positionInitialMargin": row["positionInitialMargin"],
        "openOrderInitialMargin": "0",
        "leverage": plain(account.settings.leverage),
        "isolated": False,
        "entryPrice": row["entryPrice"],
        "maxNotional": "1000000",
        "bidNotional": "0",
        "askNotional": "0",
    }


def _contracts(account: Books) -> list[Listing]:
    listings = [account.listings.of_symbol(symbol) for symbol in account.venue.symbols]
    return [listing for listing in listings if not listing.spot]


def _unrealised(account: Books, symbol: str) -> Decimal:
    held = account.holding(symbol)
    return held.quantity * account.venue.price(symbol) - held.cost if held else ZERO
