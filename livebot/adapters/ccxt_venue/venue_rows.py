"""The rows of the capability table, one per venue and market.

Rules of this file: facts only, ccxt is not imported; a row claims no more than what a captured request, a run against a
local exchange or the venue's documentation shows; where they leave a doubt, the form is left out.
"""

from dataclasses import replace
from types import MappingProxyType
from typing import Final

from livebot.adapters.ccxt_venue.venue_traits import (
    PERPETUAL,
    SPOT,
    Amendable,
    Ask,
    AttachedStop,
    ClientId,
    DeadMansSwitch,
    Form,
    IdStyle,
    PositionMode,
    Repeated,
    Sandbox,
    VenueCapabilities,
)

_UNPROVEN: Final = "it is not proven against a local exchange yet (bybit and binance are)"
_CONTRACTS: Final = "quantities there are numbers of contracts, which livebot does not convert yet"

_TRIGGER = MappingProxyType({"trigger": True})
_BY_CLIENT_ID = Ask("fetch_order", "clientOrderId")
_TRIGGER_BY_CLIENT_ID = Ask("fetch_order", "clientOrderId", _TRIGGER)
_CANCEL = Ask("cancel_order", "clientOrderId")
_CANCEL_TRIGGER = Ask("cancel_order", "clientOrderId", _TRIGGER)

_STREAMS = frozenset({"candles", "orders", "trades"})
_ON_PERPETUALS = frozenset(Form)
_ON_SPOT = frozenset(Form) - {Form.REDUCE_ONLY}
_PRICE_AND_QUANTITY = frozenset({Amendable.PRICE, Amendable.QUANTITY})

_BYBIT_PERPETUAL = VenueCapabilities(
    exchange_id="bybit",
    market=PERPETUAL,
    ccxt_class="bybit",
    client_id=ClientId("clientOrderId", "orderLinkId", 36, repeated=Repeated.REFUSED),
    # fetch_order would ask for order id None
    find=(Ask("fetch_open_orders", "orderLinkId"), Ask("fetch_canceled_and_closed_orders", "orderLinkId")),
    cancel=Ask("cancel_order", "orderLinkId"),
    why="",
    usable=True,
    data=True,
    forms=_ON_PERPETUALS,
    stop_extra=MappingProxyType({"triggerBy": "LastPrice"}),
    attached_stop=AttachedStop.BYBIT_PARTIAL,
    resting_target=True,
    amend=_PRICE_AND_QUANTITY,
    amend_stop=frozenset({Amendable.TRIGGER_PRICE, Amendable.QUANTITY}),
    amend_key="orderLinkId",
    position_mode=PositionMode.SYMBOL,
    receive_window_ms=5_000,
    sandbox=Sandbox.TESTNET,
    streams=_STREAMS,
)
_TPSL = MappingProxyType({"orderFilter": "tpslOrder"})  # without it a cancel looks among the plain orders only
_BYBIT_SPOT = replace(
    _BYBIT_PERPETUAL,
    market=SPOT,
    forms=_ON_SPOT,
    find_stop=(*(replace(ask, extra=_TPSL) for ask in _BYBIT_PERPETUAL.find), *_BYBIT_PERPETUAL.find),
    cancel_stop=Ask("cancel_order", "orderLinkId", _TPSL),
    conditionals_apart=True,
    stop_extra=MappingProxyType({}),
    attached_stop=None,  # with a limit entry only; ccxt raises for a market one
    native_oco=True,
    resting_target=False,
    stop_side_by_price=True,  # `triggerDirection` is for contracts only
    # Bybit v5, "amend order", of `triggerPrice`: "For spot, it is the TP/SL and Conditional order trigger price"; placed
    # anew under its own id it would be refused
    position_mode=PositionMode.NONE,
)

_BINANCE_ID = ClientId(
    "clientOrderId",
    "newClientOrderId",
    36,
    r".A-Z:/a-z0-9_-",
    native_stop="clientAlgoId",
    repeated=Repeated.REFUSED_WHILE_OPEN,
)
_BINANCE_PERPETUAL = VenueCapabilities(
    exchange_id="binance",
    market=PERPETUAL,
    ccxt_class="binanceusdm",
    client_id=_BINANCE_ID,
    find=(_BY_CLIENT_ID,),
    cancel=_CANCEL,
    why="",
    usable=True,
    data=True,
    forms=_ON_PERPETUALS,
    # a stop that was triggered goes on among the plain orders
    find_stop=(_TRIGGER_BY_CLIENT_ID, _BY_CLIENT_ID),
    cancel_stop=_CANCEL_TRIGGER,
    conditionals_apart=True,
    stop_extra=MappingProxyType({"workingType": "CONTRACT_PRICE"}),
    resting_target=True,
    amend=_PRICE_AND_QUANTITY,
    position_mode=PositionMode.ACCOUNT,
    receive_window_ms=10_000,
    sandbox=Sandbox.DEMO,  # ccxt refuses the futures testnet
    streams=_STREAMS,
)
_BINANCEUSDM = replace(_BINANCE_PERPETUAL, exchange_id="binanceusdm")
_BINANCE_SPOT = replace(
    _BINANCE_PERPETUAL,
    market=SPOT,
    ccxt_class="binance",
    client_id=replace(_BINANCE_ID, native_stop=None),
    forms=_ON_SPOT,
    find_stop=None,
    cancel_stop=None,
    conditionals_apart=False,
    stop_extra=MappingProxyType({}),
    native_oco=True,
    resting_target=False,
    amend=frozenset(),
    position_mode=PositionMode.NONE,
    dead_mans_switch=DeadMansSwitch.NONE,
    sandbox=Sandbox.TESTNET,
)

_OKX_SPOT = VenueCapabilities(
    exchange_id="okx",
    market=SPOT,
    ccxt_class="okx",
    client_id=ClientId("clientOrderId", "clOrdId", 32, "A-Za-z0-9"),
    find=(_BY_CLIENT_ID,),
    cancel=_CANCEL,
    why=f"{_UNPROVEN}, and ccxt sends a spot stop as a margin order",
    forms=_ON_SPOT - {Form.STOP_MARKET},
    conditionals_apart=True,
    native_oco=True,
    sandbox=Sandbox.TESTNET,
)
_OKX_PERPETUAL = replace(
    _OKX_SPOT,
    market=PERPETUAL,
    why=f"{_UNPROVEN}, and {_CONTRACTS}",
    forms=frozenset(),
    counts_contracts=True,
    resting_target=True,
    position_mode=PositionMode.ACCOUNT,
)

_KRAKEN_SPOT = VenueCapabilities(
    exchange_id="kraken",
    market=SPOT,
    ccxt_class="kraken",
    # free text is cut off at 18 characters, a UUID of 32 hexadecimal digits is not
    client_id=ClientId(
        "clientOrderId",
        "cl_ord_id",
        32,
        "0-9a-f",
        style=IdStyle.HEX_128,
        repeated=Repeated.REFUSED_WHILE_OPEN,
    ),
    # fetch_order would take our id for a `userref`
    find=(Ask("fetch_open_orders", "clientOrderId"), Ask("fetch_closed_orders", "clientOrderId")),
    cancel=_CANCEL,
    why=_UNPROVEN,
    forms=_ON_SPOT,
    stop_extra=MappingProxyType({"trigger": "last"}),
    dead_mans_switch=DeadMansSwitch.CANCELS_STOPS,
)

_KUCOIN_SPOT = VenueCapabilities(
    exchange_id="kucoin",
    market=SPOT,
    ccxt_class="kucoin",
    client_id=ClientId("clientOrderId", "clientOid", 40),
    find=(_BY_CLIENT_ID,),
    cancel=_CANCEL,
    why=_UNPROVEN,
    forms=_ON_SPOT,
    find_stop=(_TRIGGER_BY_CLIENT_ID, _BY_CLIENT_ID),
    cancel_stop=_CANCEL_TRIGGER,
    conditionals_apart=True,
)
_KUCOIN_PERPETUAL = replace(
    _KUCOIN_SPOT,
    market=PERPETUAL,
    why=f"{_UNPROVEN}, and {_CONTRACTS}",
    forms=frozenset(),
    find_stop=None,
    cancel_stop=None,
    resting_target=True,
    counts_contracts=True,
    position_mode=PositionMode.ACCOUNT,
)

_BITGET_SPOT = VenueCapabilities(
    exchange_id="bitget",
    market=SPOT,
    ccxt_class="bitget",
    client_id=ClientId("clientOrderId", "clientOid", 32),
    find=(_BY_CLIENT_ID,),
    cancel=_CANCEL,
    why=f"{_UNPROVEN}, and a spot stop cannot be placed through ccxt",
    forms=_ON_SPOT - {Form.MARKET_BUY, Form.STOP_MARKET},  # a purchase at the market is measured in quote currency
    conditionals_apart=True,
)
_BITGET_PERPETUAL = replace(
    _BITGET_SPOT,
    market=PERPETUAL,
    why=f"{_UNPROVEN}, and ccxt places a stop of the whole position at the mark price, whatever its quantity",
    forms=_ON_PERPETUALS - {Form.STOP_MARKET},
    resting_target=True,
    position_mode=PositionMode.ACCOUNT,
)

_GATE_SPOT = VenueCapabilities(
    exchange_id="gate",
    market=SPOT,
    ccxt_class="gate",
    # an ended order is found by its text for an hour only
    client_id=ClientId("clientOrderId", "text", 30, "A-Za-z0-9_.-", prefix="t-"),
    find=(_BY_CLIENT_ID,),
    cancel=Ask("cancel_order"),
    why=f"{_UNPROVEN}, and a spot stop dies there after a day",
    forms=_ON_SPOT - {Form.MARKET_BUY, Form.STOP_MARKET},
    conditionals_apart=True,
)
_GATE_PERPETUAL = replace(
    _GATE_SPOT,
    market=PERPETUAL,
    why=f"{_UNPROVEN}, and {_CONTRACTS}",
    forms=frozenset(),
    resting_target=True,
    counts_contracts=True,
    position_mode=PositionMode.ACCOUNT,
    sandbox=Sandbox.TESTNET,
)

# ccxt signs the approval of a fee for itself before the first order there: to be settled before it becomes usable.
_HYPERLIQUID_PERPETUAL = VenueCapabilities(
    exchange_id="hyperliquid",
    market=PERPETUAL,
    ccxt_class="hyperliquid",
    client_id=ClientId("clientOrderId", "c", 34, "0-9a-fx", prefix="0x", style=IdStyle.HEX_128),
    find=(_BY_CLIENT_ID,),
    cancel=_CANCEL,
    why=f"{_UNPROVEN}, and it has no market orders: they and stops go out as limit orders at a price of ccxt's choosing",
    forms=frozenset({Form.LIMIT, Form.POST_ONLY, Form.REDUCE_ONLY}),
    resting_target=True,
    position_mode=PositionMode.ALWAYS_ONE_WAY,
    dead_mans_switch=DeadMansSwitch.CANCELS_STOPS,
    sandbox=Sandbox.TESTNET,
)
_HYPERLIQUID_SPOT = replace(
    _HYPERLIQUID_PERPETUAL,
    market=SPOT,
    forms=frozenset({Form.LIMIT, Form.POST_ONLY}),
    resting_target=False,
    position_mode=PositionMode.NONE,
)

_COINBASE_SPOT = VenueCapabilities(
    exchange_id="coinbase",
    market=SPOT,
    ccxt_class="coinbase",
    # ccxt puts an id of its own in place of a clientOrderId
    client_id=ClientId("client_order_id", "client_order_id", 36),
    find=(Ask("fetch_orders"),),
    cancel=None,
    why=f"{_UNPROVEN}, and it cannot be asked for an order by our id and has no stop order at the market",
    forms=_ON_SPOT - {Form.MARKET_BUY, Form.STOP_MARKET},
    dead_mans_switch=DeadMansSwitch.NONE,
)
_COINBASE_PERPETUAL = replace(
    _COINBASE_SPOT,
    market=PERPETUAL,
    why=f"{_UNPROVEN}, and ccxt turns a reduce-only stop into an order that closes the whole position",
    resting_target=True,
    position_mode=PositionMode.ALWAYS_ONE_WAY,
)

ROWS: Final = (
    _BINANCE_SPOT,
    _BINANCE_PERPETUAL,
    _BINANCEUSDM,
    _BYBIT_SPOT,
    _BYBIT_PERPETUAL,
    _OKX_SPOT,
    _OKX_PERPETUAL,
    _KRAKEN_SPOT,
    _KUCOIN_SPOT,
    _KUCOIN_PERPETUAL,
    _BITGET_SPOT,
    _BITGET_PERPETUAL,
    _GATE_SPOT,
    _GATE_PERPETUAL,
    _HYPERLIQUID_SPOT,
    _HYPERLIQUID_PERPETUAL,
    _COINBASE_SPOT,
    _COINBASE_PERPETUAL,
)
# Markets that a known venue has under another name, or not at all.
ELSEWHERE: Final = MappingProxyType(
    {
        ("kraken", PERPETUAL): "kraken's perpetuals are another venue, krakenfutures, which livebot does not trade",
        ("binanceusdm", SPOT): "binanceusdm has perpetuals only; for spot write binance",
    }
)
