"""Orders of ours that may still trade, as an operator sees them.

Rules of this file: what was last saved is what there is, for every order is saved before it leaves; nothing is kept.
"""

from collections.abc import Iterable, Iterator

from livebot.control_ports import OrderLine
from livebot.core.inputs import SymbolState
from livebot.core.order import OrderRecord


def order_lines(states: Iterable[SymbolState], symbol: str | None) -> Iterator[OrderLine]:
    """Those of one symbol, or of all, one after another."""
    for state in states:
        if symbol in (None, state.symbol):
            yield from (_line(state, record) for record in state.orders if record.status.live)


def _line(state: SymbolState, record: OrderRecord) -> OrderLine:
    request = record.request
    return OrderLine(
        symbol=state.symbol,
        strategy=state.strategy,
        signal_id=f"{state.strategy}/{state.symbol}#{state.number}",
        client_order_id=request.client_order_id,
        venue_order_id=record.venue_order_id,
        leg=request.leg.name.lower(),
        side=request.side.value,
        kind=request.kind.value,
        status=record.status.value,
        quantity=request.quantity,
        filled=record.filled,
        price=request.price,
        trigger_price=request.trigger_price,
        reduce_only=request.reduce_only,
        confirmed=record.confirmed,
        cancel_requested=record.cancel_requested,
        sent_ms=record.sent_ms,
    )
