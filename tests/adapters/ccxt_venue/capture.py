"""Stock ccxt with its network cut off: a call is made, and what it would have sent is kept."""

import base64
import json
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import ccxt.async_support

from livebot.adapters.ccxt_venue.capabilities import PERPETUAL, SPOT, VenueCapabilities
from livebot.adapters.ccxt_venue.order_forms import Call

TICK, LOT = "0.1", "0.001"
SYMBOLS = {SPOT: "BTC/USDT", PERPETUAL: "BTC/USDT:USDT"}
# What each venue calls these, as its documentation writes them.
NAMES = {
    ("okx", SPOT): "BTC-USDT",
    ("okx", PERPETUAL): "BTC-USDT-SWAP",
    ("kraken", SPOT): "XBTUSDT",
    ("kucoin", SPOT): "BTC-USDT",
    ("kucoin", PERPETUAL): "XBTUSDTM",
    ("gate", SPOT): "BTC_USDT",
    ("gate", PERPETUAL): "BTC_USDT",
    ("hyperliquid", SPOT): "@142",
    ("hyperliquid", PERPETUAL): "0",
    ("coinbase", SPOT): "BTC-USDC",
    ("coinbase", PERPETUAL): "BTC-PERP-INTX",
}
_BASES = {("hyperliquid", SPOT): "10142", ("hyperliquid", PERPETUAL): "0"}
_QUOTES = {"hyperliquid": "USDC", "coinbase": "USDC"}
_OPTIONS: dict[str, dict[str, Any]] = {
    "bybit": {"enableUnifiedMargin": False, "enableUnifiedAccount": True, "unifiedMarginStatus": 6},
    "gate": {"unifiedAccount": False},
    "hyperliquid": {"approvedBuilderFee": True, "builderFee": False, "refSet": True, "enableUnifiedMargin": False},
    "kucoin": {"uta": False},
    "bitget": {"uta": False},
}
_SIGNING = {"timestamp", "signature", "recvWindow", "nonce", "vaultAddress", "expiresAfter"}
_ORDER_TYPES = ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP", "STOP_MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT"]


def symbol_of(known: VenueCapabilities) -> str:
    """The unified symbol that is traded in these tests."""
    quote = _QUOTES.get(known.exchange_id, "USDT")
    return f"BTC/{quote}" if known.market == SPOT else f"BTC/{quote}:{quote}"


def name_of(known: VenueCapabilities) -> str:
    """The same in the venue's words."""
    return NAMES.get((known.exchange_id, known.market), "BTCUSDT")


@dataclass(frozen=True, slots=True)
class Sent:
    """One captured request.  `fields`: all parameters by name, wherever they stood; nested ones by `outer.inner`."""

    method: str
    path: str
    headers: dict[str, str]
    fields: dict[str, Any]

    def values(self) -> set[str]:
        return {str(value) for value in self.fields.values()}

    def documented(self) -> str:
        """All that is about the order, in one line, without what signs and dates the request.

        `name=text`, and `name:=value` for what is not text.
        """
        about = {name: value for name, value in self.fields.items() if name.split(".")[0] not in _SIGNING}
        words = [
            f"{name}={value}" if isinstance(value, str) else f"{name}:={json.dumps(value)}"
            for name, value in about.items()
        ]
        return " ".join((self.method, self.path, *sorted(words)))


@dataclass(slots=True)
class Captured:
    """A client and what it sent."""

    client: Any
    sent: list[Sent] = field(default_factory=list)

    async def call(self, call: Call) -> Sent:
        """Make a call as the adapter does; the one request that came of it."""
        self.sent.clear()
        await getattr(self.client, call.method)(*call.arguments, params=call.params)
        assert len(self.sent) == 1, [each.path for each in self.sent]
        return self.sent[0]

    async def fetch(self, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        parts = urlsplit(url)
        fields: dict[str, Any] = dict(parse_qsl(parts.query, keep_blank_values=True))
        if body:
            fields |= _flat(_decoded(body))
        self.sent.append(Sent(method, parts.path, dict(headers or {}), fields))
        return _answer(self.client.id)


def client_of(known: VenueCapabilities) -> Captured:
    """A stock client of one venue with one hand-written market."""
    client = getattr(ccxt.async_support, known.ccxt_class)(
        {
            "apiKey": "key",
            "secret": base64.b64encode(b"secret").decode(),
            "password": "password",
            "uid": "1",
            "walletAddress": "0x" + "1" * 40,
            "privateKey": "0x" + "2" * 64,
            "enableRateLimit": False,
            "number": str,
            "options": {
                "defaultType": "spot" if known.market == SPOT else "swap",
                **_OPTIONS.get(known.exchange_id, {}),
            },
        }
    )
    client.set_markets([_market(known, client)])
    captured = Captured(client)
    client.fetch = captured.fetch
    return captured


def _market(known: VenueCapabilities, client: Any) -> dict[str, Any]:
    spot, symbol = known.market == SPOT, symbol_of(known)
    quote = symbol.split("/")[1].split(":")[0]
    return client.safe_market_structure(
        {
            "id": name_of(known),
            "symbol": symbol,
            "base": "BTC",
            "quote": quote,
            "settle": None if spot else quote,
            "baseId": _BASES.get((known.exchange_id, known.market), "BTC"),
            "quoteId": quote,
            "settleId": None if spot else quote.lower() if known.exchange_id == "gate" else quote,
            "type": "spot" if spot else "swap",
            "spot": spot,
            "margin": False,
            "swap": not spot,
            "future": False,
            "option": False,
            "active": True,
            "contract": not spot,
            "linear": None if spot else True,
            "inverse": None if spot else False,
            "contractSize": None if spot else "1",
            "taker": "0.001",
            "maker": "0.001",
            "precision": {"amount": LOT, "price": TICK},
            "limits": {"amount": {"min": LOT}, "price": {}, "cost": {}, "leverage": {}},
            "info": {"orderTypes": _ORDER_TYPES, "quantoMultiplier": "1"},
        }
    )


def _decoded(body: Any) -> Any:
    text = body.decode() if isinstance(body, bytes) else body
    return json.loads(text) if text[:1] in "{[" else dict(parse_qsl(text, keep_blank_values=True))


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        rows = [_flat(inner, f"{name}.{key}" if name else key) for key, inner in value.items()]
    elif isinstance(value, list):
        rows = [_flat(inner, name if len(value) == 1 else f"{name}.{index}") for index, inner in enumerate(value)]
    else:
        return {name: value}
    return {key: inner for row in rows for key, inner in row.items()}


def _answer(exchange_id: str) -> Any:
    """The least that lets ccxt return: an order by its venue id, or an empty list."""
    return deepcopy(_ANSWERS["binance" if exchange_id.startswith("binance") else exchange_id])


_ANSWERS: dict[str, Any] = {
    "binance": {"orderId": 1, "algoId": 1, "symbol": "BTCUSDT"},
    "bybit": {"retCode": 0, "result": {"orderId": "1", "list": []}},
    "okx": {"code": "0", "data": [{"ordId": "1", "algoId": "1", "sCode": "0"}]},
    "kraken": {"error": [], "result": {"txid": ["1"], "count": 1, "open": {}, "closed": {}, "descr": {"order": ""}}},
    "kucoin": {"code": "200000", "data": {"orderId": "1", "items": []}},
    "bitget": {"code": "00000", "data": {"orderId": "1", "clientOid": "", "entrustedOrders": None, "orderList": []}},
    "gate": {"id": "1"},
    "hyperliquid": {"status": "ok", "response": {"type": "order", "data": {"statuses": [{"resting": {"oid": 1}}]}}},
    "coinbase": {"success": True, "success_response": {"order_id": "1"}, "results": [{"success": True}], "orders": []},
}
