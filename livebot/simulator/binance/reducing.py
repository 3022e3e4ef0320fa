"""How reduce-only limits share a position.

Rules of this file: as Binance tells it. The limits of one side that may still reduce together reduce no more than the
position: where a new one has the better price, those with worse prices expire; where it has the worst, it is refused.
A position that is closed otherwise takes them all with it.
"""

from collections.abc import Sequence
from decimal import Decimal

from livebot.core.order import ZERO
from livebot.simulator.binance.codes import REDUCE_ONLY, Refused
from livebot.simulator.binance.records import OrderRecord


def reduces(record: OrderRecord, held: Decimal) -> bool:
    """Whether there is something for it to reduce; `held` is the signed position."""
    return held > 0 if record.side == "SELL" else held < 0


def displaced_by(record: OrderRecord, working: Sequence[OrderRecord], held: Decimal) -> list[OrderRecord]:
    """Those for which no position is left once this one rests too.

    Raises:
        Refused: it is this one.

    """
    if record.order_type != "LIMIT" or not record.request.reduce_only:
        return []
    rivals = [
        each
        for each in working
        if each.listing is record.listing
        and each.request.reduce_only
        and each.order_type == "LIMIT"
        and each.side == record.side
    ]
    sign = 1 if record.side == "SELL" else -1
    free = abs(held)
    displaced = []
    for each in sorted((*rivals, record), key=lambda each: sign * (each.request.price or ZERO)):
        if free <= 0 and each is record:
            raise Refused(REDUCE_ONLY, "ReduceOnly Order is rejected.")
        if free <= 0:
            displaced.append(each)
        free -= each.left
    return displaced
