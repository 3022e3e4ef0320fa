"""From what a strategy wants to a candidate the portfolio can judge: checks, size, signal, first order.

Rules of this file: it changes nothing; the signal number is the next one and is used up only when the candidate is
admitted, so a denied candidate leaves no trace in the state.
"""

from dataclasses import dataclass, replace
from decimal import Decimal

from livebot.core.candidate import Candidate, Refused
from livebot.core.entry import Entry
from livebot.core.inputs import SymbolState
from livebot.core.order import Leg, OrderKind, OrderRequest, client_order_id
from livebot.core.quick_init import quick_init
from livebot.core.repricing import resting_price, worst_price
from livebot.core.rules import Rules
from livebot.core.signal import Signal
from livebot.core.sizing import Outlook, size
from livebot.core.validation import CheckedEntry, validate


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What an entry is judged against: last price, equity (both quote), market time, the model's confidence if any.

    `model` is what gave that confidence, `scope/version`.
    `atr` (quote) is the average true range of the strategy's own candles, where the sizing rule looks at it.
    """

    price: Decimal
    equity: Decimal
    ts_ms: int
    confidence: float | None = None
    model: str | None = None
    atr: float | None = None


def trusted(entry: Entry, now: Circumstances) -> float | None:
    """How likely the entry is to win, as the model has it, or else as the strategy does; None: nobody says, or nonsense."""
    confidence = entry.confidence if now.confidence is None else now.confidence
    return float(confidence) if confidence is not None and 0 <= confidence <= 1 else None


def propose(state: SymbolState, entry: Entry, now: Circumstances, rules: Rules) -> Candidate | Refused:
    """The candidate for an Idle state, or why there can be none."""
    limits = rules.limit_entries if entry.limit_price is None else None
    if limits is not None:
        price = resting_price(entry.side, now.price, limits, rules.instrument)
        entry = replace(entry, limit_price=float(price), schedule_ms=limits.timeout_ms)
    checked = validate(entry, now.price, rules.instrument, rules.entry, rules.schedule_ms)
    if isinstance(checked, Refused):
        return checked
    worst = None
    if limits is not None and limits.reprices:
        worst = worst_price(entry.side, checked.entry_price, limits, rules.instrument)
    prices = (checked.entry_price,) if worst is None else (checked.entry_price, worst)
    confidence = trusted(entry, now)
    outlook = Outlook(take_profit=checked.take_profit, confidence=confidence, atr=now.atr)
    quantity = _size(prices, checked.stop_loss, now.equity, rules, outlook, state.remainder)
    if isinstance(quantity, Refused):
        return quantity
    dearest = max(prices)  # so that there is room for it wherever it fills
    return Candidate(
        strategy=state.strategy,
        symbol=state.symbol,
        side=entry.side,
        order=_order(state, checked, quantity, rules),
        signal=Signal(
            number=state.number + 1,
            side=entry.side,
            quantity=quantity,
            reference_price=now.price,
            limit_price=checked.limit_price,
            stop_loss=checked.stop_loss,
            take_profit=checked.take_profit,
            lifetime_ms=entry.lifetime_ms,
            created_ms=now.ts_ms,
            schedule_expires_ms=None if checked.limit_price is None else now.ts_ms + checked.schedule_ms,
            exits=entry.exits or rules.exits,
            confidence=confidence,
            model=now.model,
            reason=entry.reason,
            worst_price=worst,
            reprices_left=limits.reprices if limits is not None else 0,
        ),
        price=dearest,
        notional=quantity * dearest,
        risk=quantity * max(abs(price - checked.stop_loss) for price in prices),
        confidence=confidence,
        ts_ms=now.ts_ms,
    )


def _order(state: SymbolState, checked: CheckedEntry, quantity: Decimal, rules: Rules) -> OrderRequest:
    scheduled = checked.limit_price is not None
    return OrderRequest(
        client_order_id=client_order_id(
            state.system, state.strategy, state.symbol, number=state.number + 1, leg=Leg.ENTRY, attempt=1
        ),
        symbol=state.symbol,
        leg=Leg.ENTRY,
        attempt=1,
        side=checked.side.entry_order,
        kind=OrderKind.LIMIT if scheduled else OrderKind.MARKET,
        quantity=quantity,
        price=checked.limit_price,
        post_only=scheduled and rules.post_only,
        attached_stop=checked.stop_loss if rules.attached_stop else None,
    )


def _size(
    prices: tuple[Decimal, ...], stop_loss: Decimal, equity: Decimal, rules: Rules, outlook: Outlook, held: Decimal
) -> Decimal | Refused:
    """What is right at each price that the entry may have."""
    smallest = None
    for price in prices:
        quantity = size(
            rules.sizing,
            price=price,
            stop_loss=stop_loss,
            equity=equity,
            instrument=rules.instrument,
            outlook=outlook,
            held=held,
        )
        if isinstance(quantity, Refused):
            return quantity
        smallest = quantity if smallest is None else min(smallest, quantity)
    assert smallest is not None  # there is at least one price
    return smallest
