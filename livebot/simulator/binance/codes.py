"""Binance's own words for a refusal.

Rules of this file: a refusal of the matching engine becomes the code and text that Binance gives for it, by market; on
spot the text decides what a client makes of it (-2010 and -1013 stand for many things), so texts are Binance's.
"""

from livebot.core.inputs import OrderRejected
from livebot.core.market import Instrument
from livebot.simulator.venue_listings import text as plain

INTERNAL = -1001
TOO_MANY_REQUESTS = -1003
TOO_MANY_ORDERS = -1015
BAD_TIME = -1021
BAD_SIGNATURE = -1022
ILLEGAL = -1100
MISSING = -1102
UNREAD = -1104
BAD_PRECISION = -1111
BAD_TYPE = -1116
BAD_SIDE = -1117
BAD_SYMBOL = -1121
BAD_LISTEN_KEY = -1125
BAD_INTERVAL = -1120
BAD_DATA = -1130
WINDOW_TOO_LONG = -1131
FILTER = -1013
ORDER_REJECTED = -2010
CANCEL_REJECTED = -2011
NO_SUCH_ORDER = -2013
BAD_KEY_FORMAT = -2014
BAD_KEY = -2015
NO_MARGIN = -2019
WOULD_TRIGGER = -2021
REDUCE_ONLY = -2022
BAD_CLIENT_ID = -4015
PRICE_TOO_HIGH = -4016
PRICE_TOO_LOW = -4024
NO_LEVERAGE = -4028
NO_MARGIN_TYPE_CHANGE = -4046
NO_SIDE_CHANGE = -4059
BAD_POSITION_SIDE = -4061
DUPLICATE = -4116
USE_ALGO = -4120
CLOSE_EXISTS = -4130
NOTHING_TO_CLOSE = -4509
BELOW_NOTIONAL = -4164
NOT_A_MAKER = -5022
NOT_A_LIMIT = -5025
NOTHING_TO_MODIFY = -5027

_STATUS = {
    BAD_KEY_FORMAT: 401,
    BAD_KEY: 401,
    TOO_MANY_REQUESTS: 429,
    TOO_MANY_ORDERS: 429,
    INTERNAL: 500,
}
_LINEAR = {
    "unknown_symbol": (BAD_SYMBOL, "Invalid symbol."),
    "duplicate_client_order_id": (DUPLICATE, "ClientOrderId is duplicated."),
    "invalid_quantity_step": (-4023, "Quantity not increased by step size."),
    "invalid_price_step": (-4014, "Price not increased by tick size."),
    "below_minimum_quantity": (-4004, "Quantity less than min quantity."),
    "above_maximum_quantity": (-4005, "Quantity greater than max quantity."),
    "reduce_only": (REDUCE_ONLY, "ReduceOnly Order is rejected."),
    "insufficient_funds": (NO_MARGIN, "Margin is insufficient."),
    "would_trigger_immediately": (WOULD_TRIGGER, "Order would immediately trigger."),
    "post_only_would_cross": (
        NOT_A_MAKER,
        "Due to the order could not be executed as maker, the Post Only order will be rejected.",
    ),
    "unknown_order": (NO_SUCH_ORDER, "Order does not exist."),
}
_SPOT = {
    "unknown_symbol": (BAD_SYMBOL, "Invalid symbol."),
    "duplicate_client_order_id": (ORDER_REJECTED, "Duplicate order sent."),
    "invalid_quantity_step": (FILTER, "Filter failure: LOT_SIZE"),
    "below_minimum_quantity": (FILTER, "Filter failure: LOT_SIZE"),
    "above_maximum_quantity": (FILTER, "Filter failure: MARKET_LOT_SIZE"),
    "invalid_price_step": (FILTER, "Filter failure: PRICE_FILTER"),
    "below_minimum_notional": (FILTER, "Filter failure: NOTIONAL"),
    "insufficient_funds": (ORDER_REJECTED, "Account has insufficient balance for requested action."),
    "would_trigger_immediately": (ORDER_REJECTED, "Stop price would trigger immediately."),
    "post_only_would_cross": (ORDER_REJECTED, "Order would immediately match and take."),
}


class Refused(Exception):
    """The venue's definite no: an HTTP status that is not 200, a code and a text."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = text

    @property
    def status(self) -> int:
        """Of the HTTP answer."""
        return _STATUS.get(self.code, 400)


def refusal_of(rejected: OrderRejected, instrument: Instrument, *, spot: bool) -> Refused:
    """What Binance says where the engine says this."""
    if spot:
        return Refused(*_SPOT.get(rejected.code, (ORDER_REJECTED, rejected.text)))
    if rejected.code == "below_minimum_notional":
        least = plain(instrument.minimum_notional)
        return Refused(
            BELOW_NOTIONAL, f"Order's notional must be no smaller than {least} (unless you choose reduce only)."
        )
    return Refused(*_LINEAR.get(rejected.code, (BAD_DATA, rejected.text)))


def too_precise(value: object, step: object) -> bool:
    """Whether a number has more decimals than its step."""
    return _decimals(value) > _decimals(step)


def precision() -> Refused:
    """A number has too many decimals."""
    return Refused(BAD_PRECISION, "Precision is over the maximum defined for this asset.")


def missing(name: str) -> Refused:
    """A parameter is missing, or not what it has to be."""
    return Refused(MISSING, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def bad_data(name: str) -> Refused:
    """A parameter has a value that cannot be."""
    return Refused(BAD_DATA, f"Data sent for parameter '{name}' is not valid.")


def not_offered(what: str) -> Refused:
    """Binance has it, this exchange does not."""
    return Refused(BAD_DATA, f"{what} not offered by this local exchange.")


def no_such_order() -> Refused:
    """Asked for an order that is not known."""
    return Refused(NO_SUCH_ORDER, "Order does not exist.")


def cannot_cancel() -> Refused:
    """There is no such order that could be cancelled."""
    return Refused(CANCEL_REJECTED, "Unknown order sent.")


def _decimals(value: object) -> int:
    return len(str(value).partition(".")[2].rstrip("0"))
