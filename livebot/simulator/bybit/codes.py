"""Bybit's own words for a refusal.

Rules of this file: a refusal of the matching engine becomes the retCode that Bybit gives for it, by category; texts are
Bybit's where known.
"""

from livebot.core.inputs import OrderRejected

BAD_PARAMETER = 10001
BAD_TIME = 10002
BAD_KEY = 10003
BAD_SIGNATURE = 10004
NO_PERMISSION = 10005
TOO_MANY_VISITS = 10006
NO_SUCH_PATH = 10017
KEY_EXPIRED = 33004
NOT_MODIFIED = 34040
ORDER_NOT_FOUND = 110001
TOO_DEAR = 110007
REDUCE_ONLY = 110017
MODE_NOT_MODIFIED = 110025
LEVERAGE_NOT_MODIFIED = 110043
DUPLICATE_LINK_ID = 110072
EXPECT_RISING = 110092
EXPECT_FALLING = 110093
BELOW_NOTIONAL = 110094

_LINEAR = {
    "unknown_symbol": (BAD_PARAMETER, "Not supported symbols"),
    "duplicate_client_order_id": (DUPLICATE_LINK_ID, "OrderLinkedID is duplicate"),
    "invalid_quantity_step": (BAD_PARAMETER, "Qty invalid"),
    "below_minimum_quantity": (BAD_PARAMETER, "The number of contracts exceeds minimum limit allowed"),
    "above_maximum_quantity": (BAD_PARAMETER, "The number of contracts exceeds maximum limit allowed: too large"),
    "invalid_price_step": (BAD_PARAMETER, "Price invalid"),
    "below_minimum_notional": (BELOW_NOTIONAL, "Order does not meet minimum order value"),
    "reduce_only": (REDUCE_ONLY, "current position is zero, cannot fix reduce-only order qty"),
    "insufficient_funds": (TOO_DEAR, "ab not enough for new order"),
    "unknown_order": (ORDER_NOT_FOUND, "order not exists or too late to replace"),
}
_SPOT = {
    "unknown_symbol": (170121, "Invalid symbol."),
    "duplicate_client_order_id": (170141, "Duplicate clientOrderId"),
    "invalid_quantity_step": (170137, "Order volume decimal too long."),
    "below_minimum_quantity": (170136, "Order quantity lower than the minimum."),
    "above_maximum_quantity": (170135, "Order quantity too large."),
    "invalid_price_step": (170134, "Order price decimal too long."),
    "below_minimum_notional": (170140, "Transaction amount lower than the minimum."),
    "insufficient_funds": (170131, "Insufficient balance."),
    "unknown_order": (170213, "Order does not exist."),
}


class Refused(Exception):
    """The venue's definite no: an answer with a retCode that is not 0."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = text


def refusal_of(category: str, rejected: OrderRejected) -> Refused:
    """What Bybit says where the engine says this."""
    known = _SPOT if category == "spot" else _LINEAR
    code, text = known.get(rejected.code, (BAD_PARAMETER, rejected.text))
    return Refused(code, text)


def unknown_order(category: str, verb: str) -> Refused:
    """There is no such order that could be cancelled or replaced."""
    if category == "spot":
        return Refused(*_SPOT["unknown_order"])
    return Refused(ORDER_NOT_FOUND, f"order not exists or too late to {verb}")


def bad_parameter(text: str) -> Refused:
    """A parameter is missing, or not what it has to be."""
    return Refused(BAD_PARAMETER, text)
