"""A signal under the venue's present steps: lots and ticks may have become coarser since it was opened.

Rules of this file: what is held stays what it is, and is closed in whole lots of today; stop and target go to the next tick
on the tighter side, so that nothing is loosened.
"""

from decimal import Decimal

from livebot.core.draft import Draft
from livebot.core.facts import StopMoved, TargetMoved
from livebot.core.market import Instrument, Side
from livebot.core.position import Position
from livebot.core.quick_init import changed
from livebot.core.signal import Closing, Idle, Open, Opening, Scheduled

TICK = "tick_size"  # the cause under which a moved stop is told
_HOLDING = (Open, Closing)


def follow_steps(draft: Draft) -> bool:
    """Bring the present signal in line with the instrument; whether it was not (it nearly always is)."""
    present, instrument = draft.present, draft.rules.instrument
    if isinstance(present, _HOLDING):
        if _fits(present.position, instrument) and _on_ticks(present.stop_loss, present.take_profit, instrument):
            return False
        _hold_on_steps(draft, present, instrument)
        return True
    if isinstance(present, Idle) or _on_ticks(present.signal.stop_loss, present.signal.take_profit, instrument):
        return False
    _wait_on_ticks(draft, present, instrument)
    return True


def _wait_on_ticks(draft: Draft, present: Scheduled | Opening, instrument: Instrument) -> None:
    signal = present.signal
    stop_loss = _rounded(signal.stop_loss, instrument, up=signal.side is Side.LONG)
    take_profit = _rounded(signal.take_profit, instrument, up=signal.side is Side.SHORT)
    draft.move(changed(present, signal=changed(signal, stop_loss=stop_loss, take_profit=take_profit)))


def _hold_on_steps(draft: Draft, present: Open | Closing, instrument: Instrument) -> None:
    signal, position = present.signal, present.position
    if not _fits(position, instrument):
        position = changed(position, lot_step=instrument.lot_step)
    stop_loss = _rounded(present.stop_loss, instrument, up=signal.side is Side.LONG)
    take_profit = _rounded(present.take_profit, instrument, up=signal.side is Side.SHORT)
    draft.move(changed(present, position=position, stop_loss=stop_loss, take_profit=take_profit))
    if stop_loss != present.stop_loss:
        draft.tell(StopMoved, signal, stop_loss=stop_loss, cause=TICK)
    if take_profit != present.take_profit:
        draft.tell(TargetMoved, signal, take_profit=take_profit)


def _fits(position: Position, instrument: Instrument) -> bool:
    step = instrument.lot_step
    return position.lot_step == step or not (position.lot_step or position.quantity % step)


def _on_ticks(stop_loss: Decimal, take_profit: Decimal, instrument: Instrument) -> bool:
    tick = instrument.tick_size
    return not (stop_loss % tick or take_profit % tick)


def _rounded(price: Decimal, instrument: Instrument, *, up: bool) -> Decimal:
    return instrument.round_price_up(price) if up else max(instrument.round_price_down(price), instrument.tick_size)
