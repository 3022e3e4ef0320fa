"""From what a strategy wants to a candidate the portfolio can judge: checks, size, signal, first order.

Rules of this file: it changes nothing; the signal number is the next one and is used up only when the candidate is
admitted, so a denied candidate leaves no trace in the state.
"""

from dataclasses import dataclass
from decimal import Decimal

from livebot.core.candidate import Candidate, Refused
from livebot.core.entry import Entry
from livebot.core.inputs import SymbolState
from livebot.core.order import Leg, OrderKind, OrderRequest, client_order_id
from livebot.core.rules import Rules
from livebot.core.signal import Signal
from livebot.core.sizing import size
from livebot.core.validation import validate


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What an entry is judged against: last price, equity (both quote), market time, the model's confidence if any."""

    price: Decimal
    equity: Decimal
    ts_ms: int
    confidence: float | None = None


def propose(state: SymbolState, entry: Entry, now: Circumstances, rules: Rules) -> Candidate | Refused:
    """The candidate for an Idle state, or why there can be none."""
    checked = validate(entry, now.price, rules.instrument, rules.entry, rules.schedule_ms)
    if isinstance(checked, Refused):
        return checked
    price = checked.entry_price
    quantity = size(
        rules.sizing, price=price, stop_loss=checked.stop_loss, equity=now.equity, instrument=rules.instrument
    )
    if isinstance(quantity, Refused):
        return quantity
    number = state.number + 1
    scheduled = checked.limit_price is not None
    signal = Signal(
        number=number,
        side=entry.side,
        quantity=quantity,
        reference_price=now.price,
        limit_price=checked.limit_price,
        stop_loss=checked.stop_loss,
        take_profit=checked.take_profit,
        lifetime_ms=entry.lifetime_ms,
        created_ms=now.ts_ms,
        schedule_expires_ms=now.ts_ms + checked.schedule_ms if scheduled else None,
        exits=entry.exits or rules.exits,
        confidence=now.confidence,
        reason=entry.reason,
    )
    order = OrderRequest(
        client_order_id=client_order_id(
            state.system, state.strategy, state.symbol, number=number, leg=Leg.ENTRY, attempt=1
        ),
        symbol=state.symbol,
        leg=Leg.ENTRY,
        attempt=1,
        side=entry.side.entry_order,
        kind=OrderKind.LIMIT if scheduled else OrderKind.MARKET,
        quantity=quantity,
        price=checked.limit_price,
    )
    return Candidate(
        strategy=state.strategy,
        symbol=state.symbol,
        side=entry.side,
        order=order,
        signal=signal,
        price=price,
        notional=quantity * price,
        risk=quantity * abs(price - checked.stop_loss),
        confidence=now.confidence,
        ts_ms=now.ts_ms,
    )
