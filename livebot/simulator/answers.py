"""How a simulated venue answers a request.

Rules of this file: an acceptance repeats what was asked for; a refusal says why.
"""

from livebot.core.inputs import OrderAccepted, OrderRejected
from livebot.core.order import OrderRequest
from livebot.simulator.book import BookOrder
from livebot.simulator.checks import Refusal


def accepted(order: BookOrder, request: OrderRequest, ts_ms: int) -> OrderAccepted:
    """The order is in the book."""
    return OrderAccepted(
        client_order_id=request.client_order_id,
        venue_order_id=order.venue_order_id,
        quantity=request.quantity,
        price=request.price,
        trigger_price=request.trigger_price,
        ts_ms=ts_ms,
    )


def rejected(request: OrderRequest, refusal: Refusal, ts_ms: int) -> OrderRejected:
    """Nothing has changed."""
    return OrderRejected(client_order_id=request.client_order_id, code=refusal.code, text=refusal.text, ts_ms=ts_ms)


def unknown_order(request: OrderRequest) -> Refusal:
    """What cannot be changed or ended, because it does not work."""
    return Refusal("unknown_order", f"{request.symbol}: there is no working order {request.client_order_id}")
