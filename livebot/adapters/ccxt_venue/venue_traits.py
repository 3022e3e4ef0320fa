"""The words in which the capability table speaks of a venue.

Rules of this file: values only, ccxt is not imported; a default is the more careful of the choices.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Any, Final

from livebot.core.order import Leg

SPOT: Final = "spot"
PERPETUAL: Final = "perpetual"

# Beyond the receive window: what a venue's own queues and a clock that is a little off may add.
RECEIVE_MARGIN_MS = 15_000
# For venues whose requests carry no time after which they are refused.
NO_RECEIVE_WINDOW_MS = 60_000
Params = Mapping[str, Any]


class Form(Enum):
    """A kind of order for which a captured request proves what ccxt makes of it."""

    MARKET_BUY = "market purchase"
    MARKET_SELL = "market sale"
    LIMIT = "limit order"
    POST_ONLY = "post-only order"
    REDUCE_ONLY = "reduce-only order"
    STOP_MARKET = "stop order at the market"


class AttachedStop(Enum):
    """How a stop travels in the same request as the entry it protects."""

    # Each fill of the entry gets a stop of its own quantity; those have no client order id of ours.
    BYBIT_PARTIAL = "tpslMode Partial"


class Amendable(Enum):
    """What of a working order can be changed in place; what is not listed takes a cancel and a new order."""

    PRICE = "price"
    QUANTITY = "quantity"
    TRIGGER_PRICE = "trigger price"


class PositionMode(Enum):
    """How it is made sure that a symbol has one net position."""

    NONE = "no positions"  # spot
    ALWAYS_ONE_WAY = "one-way only"
    ACCOUNT = "set for the account"  # client.set_position_mode(False)
    SYMBOL = "set for each symbol"  # client.set_position_mode(False, symbol)


class DeadMansSwitch(Enum):
    """What a venue does with open orders when it no longer hears of us.

    Not one venue promises to leave protective stops alone, so livebot uses none of them.
    """

    NONE = "none"
    CANCELS_STOPS = "not used: takes stops back too"
    UNPROVEN = "not used: may take stops back too"


class Sandbox(Enum):
    """The method of ccxt's client that leads to play money, called with True."""

    TESTNET = "set_sandbox_mode"
    DEMO = "enable_demo_trading"


class IdStyle(Enum):
    """How our client order id is written for a venue."""

    TEXT = "text"  # as it is, after the venue's prefix
    HEX_128 = "128 bits in hexadecimal"  # for venues that take no free text of 25 characters


class Repeated(Enum):
    """What a venue does with an order that comes under a client order id which it was sent before.

    Only where it is refused may a protective stop that was perhaps never sent be sent again under its own id.  Sources:
    the description of the id in each venue's documentation of "place order".  Bybit v5, `orderLinkId`: "Futures, Perps &
    Spot: always unique".  Binance spot and USD-M, `newClientOrderId` and `clientAlgoId`: "a unique id among open orders".
    Kraken, "Spot Client Order Identifiers": uniqueness is verified "across open orders for each client".
    """

    REFUSED = "refused for ever"
    REFUSED_WHILE_OPEN = (
        "refused while the first one is open"  # one that was triggered could be placed again: ask first
    )
    UNPROVEN = "not known"


@dataclass(frozen=True, slots=True)
class ClientId:
    """A client order id at creation.

    `key` is the parameter of ccxt, `native` the field it goes out as (`native_stop` on stop orders), `longest` counts
    characters with the prefix, `alphabet` is the inside of a regular expression's brackets.
    """

    key: str
    native: str
    longest: int
    alphabet: str = "A-Za-z0-9_-"
    prefix: str = ""
    style: IdStyle = IdStyle.TEXT
    native_stop: str | None = None
    repeated: Repeated = Repeated.UNPROVEN


def _no_params() -> Params:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Ask:
    """One call about one order of ours; `key` is the parameter that carries our id.

    None: where an order is cancelled, the id is the first argument; where one is looked for, the venue cannot be asked by
    our id and answers with a list to look through.
    """

    method: str
    key: str | None = None
    extra: Params = field(default_factory=_no_params)


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueCapabilities:
    """One venue in one market.

    `usable` is whether livebot may send it orders, `data` whether it may take candles from it (paper trading); `why` says
    in one sentence what is missing.  `find_stop` and `cancel_stop` None: as for any other order.  `conditionals_apart`:
    stops are listed, found and cancelled in a place of their own.  `native_oco`: the venue has it (livebot has no form
    for it).  `resting_target`: a stop and a target may rest side by side.  `stop_side_by_price`: nothing but the price at
    which it comes in tells a stop from a target.  `amend` and `amend_stop`: what livebot changes in place.  `streams`: what
    livebot listens to.
    """

    exchange_id: str
    market: str
    ccxt_class: str
    client_id: ClientId
    find: tuple[Ask, ...]
    cancel: Ask | None
    why: str
    usable: bool = False
    data: bool = False
    forms: frozenset[Form] = frozenset()
    find_stop: tuple[Ask, ...] | None = None
    cancel_stop: Ask | None = None
    conditionals_apart: bool = False
    stop_extra: Params = field(default_factory=_no_params)
    attached_stop: AttachedStop | None = None
    native_oco: bool = False
    resting_target: bool = False
    stop_side_by_price: bool = False
    counts_contracts: bool = False
    amend: frozenset[Amendable] = frozenset()
    amend_stop: frozenset[Amendable] = frozenset()
    amend_key: str | None = None
    position_mode: PositionMode = PositionMode.NONE
    dead_mans_switch: DeadMansSwitch = DeadMansSwitch.UNPROVEN
    receive_window_ms: int = NO_RECEIVE_WINDOW_MS
    receive_margin_ms: int = RECEIVE_MARGIN_MS
    sandbox: Sandbox | None = None
    streams: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.exchange_id} {self.market}"

    def finding(self, leg: Leg) -> tuple[Ask, ...]:
        """How an order for this leg is looked for, in turn."""
        return self.find_stop if leg is Leg.STOP and self.find_stop is not None else self.find

    def cancelling(self, leg: Leg) -> Ask | None:
        """How an order for this leg is taken back, None if the venue cannot be told by our id."""
        return self.cancel_stop if leg is Leg.STOP and self.cancel_stop is not None else self.cancel

    @property
    def replaces_stops(self) -> bool:
        """Whether a stop that moves is another order, placed before the old one is taken back.

        Where both would lock the same coins it cannot be, and the old one is taken back first.
        """
        in_place = {Amendable.TRIGGER_PRICE, Amendable.QUANTITY} <= self.amend_stop
        return self.resting_target and not in_place

    def amendable(self, leg: Leg) -> frozenset[Amendable]:
        """What of an order for this leg can be changed in place."""
        return self.amend_stop if leg is Leg.STOP else self.amend
