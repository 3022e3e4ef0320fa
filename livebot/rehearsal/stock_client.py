"""The venue as an unmodified ccxt client sees it: the other witness, which shares no code with livebot's adapter.

Rules of this file: stock URLs, redirected at the socket; what the venue says is taken over as it is, in Decimals.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import ccxt.async_support as ccxt
from aiohttp.abc import AbstractResolver, ResolveResult

from livebot.core.order import ZERO
from livebot.errors import Transient
from livebot.rehearsal.sights import SeenOrder, SeenPosition, SeenTrade, Sight

_HOST = "127.0.0.1"
_TIMEOUT_MS = 10_000
_ATTEMPTS = 20
_RETRY_S = 0.25
_PAGE = 50  # Bybit's most
_BINANCE_PAGE = 1000
_PAGES_MAX = 400


class _Here(AbstractResolver):
    """Every host is on this machine."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The local exchange, whatever the name."""
        return [ResolveResult(hostname=host, host=_HOST, port=self._port, family=socket.AF_INET, proto=0, flags=0)]

    async def close(self) -> None:
        """There is nothing to close."""


class StockClient:
    """Looks at one account; calls raise Transient if the venue does not answer."""

    def __init__(self, client: Any, symbols: Sequence[str]) -> None:  # noqa: ANN401 - ccxt has no types
        self._client = client
        self._symbols = tuple(symbols)
        self._spot = ":" not in self._symbols[0]
        self._by_symbol = client.id.startswith("binance")  # it lists nothing without a symbol, and algos apart

    async def look(self) -> Sight:
        """Open orders, positions and equity now."""
        at_s = asyncio.get_running_loop().time()
        rows = [await self._ask("fetch_open_orders", None, None, None, extra) for extra in self._kinds()]
        balance = await self._ask("fetch_balance")
        return Sight(
            at_s=at_s,
            orders=tuple(_order(row) for part in rows for row in part),
            positions=await self._positions(balance),
            equity=_equity(balance),
        )

    async def every_order(self) -> tuple[SeenOrder, ...]:
        """All the venue remembers, open or ended."""
        live = [await self._ask("fetch_open_orders", None, None, None, extra) for extra in self._kinds()]
        if self._by_symbol:
            ended = await self._by_symbols("fetch_orders", self._kinds())
        else:
            ended = await self._by_pages("fetch_canceled_and_closed_orders")
        found = {str(row["id"]): row for row in ended}
        found |= {str(row["id"]): row for part in live for row in part}
        return tuple(_order(row) for row in found.values())

    async def every_trade(self) -> tuple[SeenTrade, ...]:
        """All the venue remembers."""
        if self._by_symbol:
            rows = await self._by_symbols("fetch_my_trades", [{}])
        else:
            rows = await self._by_pages("fetch_my_trades")
        return tuple(
            SeenTrade(
                trade_id=str(row["id"]),
                symbol=row["symbol"],
                side=row["side"],
                quantity=_decimal(row["amount"]),
                price=_decimal(row["price"]),
            )
            for row in rows
        )

    async def _by_pages(self, method: str) -> list[Any]:
        rows: list[Any] = []
        cursor = ""
        for _ in range(_PAGES_MAX):
            extra = {"cursor": cursor} if cursor else {}
            page = await self._ask(method, None, None, _PAGE, extra)
            rows += page
            cursor = next((row["info"]["nextPageCursor"] for row in page if row["info"].get("nextPageCursor")), "")
            if not cursor:
                break
        return rows

    async def _by_symbols(self, method: str, kinds: list[dict[str, Any]]) -> list[Any]:
        rows: list[Any] = []
        for symbol in self._symbols:
            for extra in kinds:
                rows += await self._ask(method, symbol, None, _BINANCE_PAGE, extra)
        return rows

    def _kinds(self) -> list[dict[str, Any]]:
        """One call, or one for plain and one for conditional orders."""
        return [{}, {"trigger": True}] if self._by_symbol and not self._spot else [{}]

    async def _positions(self, balance: Any) -> tuple[SeenPosition, ...]:  # noqa: ANN401
        if self._spot:
            held = ((symbol, _decimal(balance["total"].get(symbol.partition("/")[0]))) for symbol in self._symbols)
            return tuple(
                SeenPosition(symbol=name, quantity=total, price=ZERO, lot_step=self._lot_step(name))
                for name, total in held
                if total
            )
        rows = await self._ask("fetch_positions")
        found = [
            SeenPosition(
                symbol=row["symbol"],
                quantity=_decimal(row["contracts"]) * (1 if row["side"] == "long" else -1),
                price=_decimal(row["entryPrice"]),
            )
            for row in rows
            if _decimal(row["contracts"])
        ]
        return tuple(sorted(found, key=lambda position: position.symbol))

    def _lot_step(self, symbol: str) -> Decimal:
        return _decimal(self._client.markets[symbol]["precision"]["amount"])

    async def _ask(self, method: str, *arguments: Any) -> Any:  # noqa: ANN401
        try:
            return await getattr(self._client, method)(*arguments)
        except ccxt.BaseError as error:
            raise Transient(f"{method}: {type(error).__name__} {error}") from error


@asynccontextmanager
async def stock_client(
    exchange_id: str, port: int, ca_file: Path, key: str, secret: str, symbols: Sequence[str]
) -> AsyncIterator[StockClient]:
    """A client of the local exchange.  Raises Transient if it does not answer."""
    context = ssl.create_default_context(cafile=str(ca_file))
    connector = aiohttp.TCPConnector(resolver=_Here(port), ssl=context)
    async with aiohttp.ClientSession(connector=connector, trust_env=False) as session:
        spot = ":" not in symbols[0]
        client = getattr(ccxt, exchange_id)(
            {
                "apiKey": key,
                "secret": secret,
                "session": session,
                "enableRateLimit": False,
                "timeout": _TIMEOUT_MS,
                "options": {
                    "defaultType": "spot" if spot else "swap",
                    "warnOnFetchOpenOrdersWithoutSymbol": False,
                    "fetchCurrencies": False,
                },
            }
        )
        client.number = str
        try:
            await _load_markets(client)
            yield StockClient(client, symbols)
        finally:
            await client.close()


async def _load_markets(client: Any) -> None:  # noqa: ANN401
    for attempt in range(_ATTEMPTS):
        try:
            await client.load_markets()
        except ccxt.BaseError as error:  # what it asks without a key meets faults like anybody's
            if attempt == _ATTEMPTS - 1:
                raise Transient(f"the local exchange tells no markets: {error}") from error
            await asyncio.sleep(_RETRY_S)
        else:
            return


def _order(row: Any) -> SeenOrder:  # noqa: ANN401
    info = row["info"]
    price = row["price"]
    return SeenOrder(
        client_id=row["clientOrderId"] or None,
        symbol=row["symbol"],
        side=row["side"],
        live=row["status"] == "open",
        quantity=_decimal(row["amount"]),
        filled=_decimal(row["filled"]),
        stop=_is_stop(row, info),
        reduces=bool(row["reduceOnly"]),
        price=_decimal(price) if price and row["type"] == "limit" else None,
    )


def _is_stop(row: Any, info: Any) -> bool:  # noqa: ANN401
    """Whether it waits for the price to go against the position."""
    if not row["triggerPrice"]:
        return False
    kinds = (str(info.get(name, "")).upper() for name in ("stopOrderType", "type", "orderType"))
    if any("TAKE_PROFIT" in kind or "TAKEPROFIT" in kind for kind in kinds):
        return False
    direction = str(info.get("triggerDirection", ""))
    if direction in {"1", "2"}:
        return direction == ("1" if row["side"] == "buy" else "2")
    return True


def _equity(balance: Any) -> Decimal:  # noqa: ANN401
    rows = balance["info"].get("result", {}).get("list", [])
    if rows:
        return _decimal(rows[0]["totalEquity"])
    margin = balance["info"].get("totalMarginBalance")
    return _decimal(margin if margin is not None else balance["total"].get("USDT"))


def _decimal(value: Any) -> Decimal:  # noqa: ANN401
    return Decimal(str(value)) if value not in (None, "") else ZERO
