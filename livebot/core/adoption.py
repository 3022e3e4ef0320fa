"""A position that somebody else opened, made an open signal of ours by order of the operator.

Rules of this file: pure; the stop is checked as that of an entry at the present price would be, and asked for in the same
step; what cannot be protected is refused and changes nothing.
"""

from dataclasses import dataclass
from decimal import Decimal

from livebot.core.candidate import Refused
from livebot.core.draft import Draft
from livebot.core.entry import Entry
from livebot.core.facts import SignalOpened, SignalOpening
from livebot.core.inputs import Step, SymbolState
from livebot.core.leaving import protect
from livebot.core.market import Instrument, Side
from livebot.core.order import ZERO, Fill
from livebot.core.rebuild import far_target, open_of
from livebot.core.rules import Rules
from livebot.core.signal import Idle, Opening
from livebot.core.validation import validate
from livebot.core.wording import number


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """What there is and how it shall be protected.

    `quantity` is positive for a long; `entry_price` is the venue's average of it and `price` the present one;
    `take_profit` None sets one so far away that it stands for none.
    """

    quantity: Decimal
    entry_price: Decimal
    price: Decimal
    stop_loss: Decimal
    take_profit: Decimal | None
    ts_ms: int


def adopt(state: SymbolState, adoption: Adoption, rules: Rules) -> Step | Refused:
    """The step from Idle to Open that asks for stop and target, or why it cannot be made.

    It lives as long as the rules allow at most, and is managed by its stop, its target and its strategy.
    """
    if not isinstance(state.signal, Idle):
        return Refused("busy", f"{state.strategy} has a signal on {state.symbol} already ({_name(state)})")
    instrument = rules.instrument
    quantity = instrument.round_quantity(abs(adoption.quantity))
    if quantity <= 0 or quantity < instrument.minimum_quantity:
        text = f"{number(adoption.quantity)} {instrument.base} is too little for a stop order; dismiss it or close it there"
        return Refused("quantity_too_small", text)
    if instrument.fitting(quantity) < quantity:
        return Refused("quantity_too_large", _too_large(adoption.quantity, instrument))
    side = Side.LONG if adoption.quantity > 0 else Side.SHORT
    target = adoption.take_profit
    wanted = Entry(
        side=side,
        stop_loss=float(adoption.stop_loss),
        take_profit=float(far_target(side, adoption.price) if target is None else target),
        lifetime_ms=rules.entry.maximum_lifetime_ms,
    )
    checked = validate(wanted, adoption.price, instrument, rules.entry, rules.schedule_ms)
    if isinstance(checked, Refused):
        return checked
    draft = Draft(state, rules, adoption.ts_ms)
    draft.number += 1
    entry = Fill(
        trade_id=f"adopted-{draft.number}",
        client_order_id="",
        ts_ms=adoption.ts_ms,
        side=side.entry_order,
        price=adoption.entry_price,
        quantity=quantity,
        fee=ZERO,
    )
    return _opened(draft, entry, checked.stop_loss, checked.take_profit)


def _opened(draft: Draft, entry: Fill, stop_loss: Decimal, take_profit: Decimal) -> Step:
    present = open_of(
        draft.number,
        entry,
        stop_loss=stop_loss,
        take_profit=take_profit,
        lifetime_ms=draft.rules.entry.maximum_lifetime_ms,
        reason="adopted by the operator",
    )
    signal, prices = present.signal, {"stop_loss": stop_loss, "take_profit": take_profit}
    draft.move(Opening(signal))
    draft.tell(
        SignalOpening,
        signal,
        quantity=entry.quantity,
        reference_price=entry.price,
        confidence=None,
        reason=signal.reason,
        **prices,
    )
    draft.move(present)
    draft.tell(SignalOpened, signal, quantity=entry.quantity, price=entry.price, **prices)
    protect(draft, present)
    return draft.finish()


def _too_large(quantity: Decimal, instrument: Instrument) -> str:
    most = number(instrument.maximum_quantity or ZERO)
    return (
        f"{number(quantity)} {instrument.base} is more than the venue takes in one order ({most}), so that no stop could "
        "cover it; close what is above that there, or dismiss it"
    )


def _name(state: SymbolState) -> str:
    return f"#{state.number}, {type(state.signal).__name__}"
