"""What the venue holds on this account that is not ours.

Rules of this file: it is left alone, told to the operator, and stops entries on its symbol for as long as it is there, or
until the operator has dismissed it; what was dismissed may stay exactly as it was, and any change of it is told anew.
"""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal

import structlog

from livebot.core.order import ZERO, VenueOrder
from livebot.core.wording import number
from livebot.errors import Rejected
from livebot.ports import Dismissed
from livebot.runtime.portfolio.blocks import Blocks
from livebot.runtime.problems import Problems

_log = structlog.get_logger(__name__)


class Foreign:
    """One for the whole system.  What was dismissed is kept by `blocks`, which outlives a restart."""

    def __init__(self, problems: Problems, blocks: Blocks) -> None:
        """Nothing is known to be there."""
        self._problems = problems
        self._blocks = blocks
        self._orders: dict[str, dict[VenueOrder, str]] = {}  # all that are there, and why they are not ours
        self._quantities: dict[str, Decimal] = {}
        self._told: dict[tuple[str, str], str] = {}  # by (kind, symbol)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Where something is that is not ours, dismissed or not."""
        return tuple(sorted(self._orders.keys() | self._quantities.keys()))

    def quantity(self, symbol: str) -> Decimal:
        """What the venue holds beyond ours, dismissed or not, when it was last looked at."""
        return self._quantities.get(symbol, ZERO)

    def orders_of(self, symbol: str) -> tuple[VenueOrder, ...]:
        """Open orders that are not ours, dismissed or not."""
        return tuple(self._orders.get(symbol, ()))

    def dismissed_quantity(self, symbol: str) -> Decimal:
        """The part of the venue's position that is not ours and may stay there as it is."""
        return self._blocks.dismissed_quantity(symbol)

    def beside(self, symbol: str) -> bool:
        """Whether something lies there that is not ours, dismissed or not, as far as is known; orders do not count."""
        return bool(self.quantity(symbol) or self.dismissed_quantity(symbol))

    # What a look has shown

    def orders(self, found: Iterable[tuple[VenueOrder, str]]) -> None:
        """All open orders of the account that are not ours, each with the reason in words."""
        seen: dict[str, dict[VenueOrder, str]] = {}
        for order, why in found:
            seen.setdefault(order.symbol, {})[order] = why
        dismissed = {each.symbol for each in self._blocks.dismissed() if each.orders}
        before, self._orders = self._orders, seen
        for symbol in sorted(before.keys() | seen.keys() | dismissed):
            self._see_orders(symbol, seen.get(symbol, {}))

    def _see_orders(self, symbol: str, seen: dict[VenueOrder, str]) -> None:
        dismissed = self._blocks.dismissal(symbol)
        kept = tuple(order for order in dismissed.orders if order in seen)
        if kept != dismissed.orders:
            self._changed(replace(dismissed, orders=kept), "an order that was dismissed is gone or has changed")
        text = None
        for order, why in seen.items():
            if order not in kept:
                text = (
                    f"{symbol}: the venue has an open order {order.venue_order_id} ({order.side.value} "
                    f"{order.quantity}) and {why}; it is left alone and the symbol opens nothing: cancel it there, or "
                    f"`livebot adopt --dismiss {symbol}`"
                )
        self._tell("foreign-order", symbol, text)

    def position(self, symbol: str, quantity: Decimal, *, nobody: bool = False, certain: bool = True) -> None:
        """The venue holds so much beyond ours (positive long, 0: nothing); `nobody` runs the symbol.

        Not `certain`: a trade of ours that nobody has heard of yet may explain it, so a dismissal stands for now.
        """
        if quantity:
            self._quantities[symbol] = quantity
        else:
            self._quantities.pop(symbol, None)
        dismissed = self._blocks.dismissal(symbol)
        if certain and dismissed.quantity and dismissed.quantity != quantity:
            self._changed(replace(dismissed, quantity=ZERO), f"the position that was dismissed is now {quantity}")
            dismissed = self._blocks.dismissal(symbol)
        if quantity == dismissed.quantity:
            self._tell("foreign-position", symbol, None)
            return
        runs = ", and nobody runs the symbol" if nobody else ""
        mend = "close it there" if nobody else f"`livebot adopt {symbol}`"
        text = (
            f"{symbol}: the venue holds {quantity} that is not ours{runs}; it is left alone, the symbol opens "
            f"nothing: {mend}, or `livebot adopt --dismiss {symbol}`"
        )
        self._tell("foreign-position", symbol, text)

    def _changed(self, following: Dismissed, what: str) -> None:
        _log.warning("dismissed_changed", symbol=following.symbol, what=what)
        self._blocks.dismiss(following)

    def _tell(self, kind: str, symbol: str, text: str | None) -> None:
        if text is None:
            self._told.pop((kind, symbol), None)
        else:
            self._told[kind, symbol] = text
        standing = self._told.get(("foreign-position", symbol)) or self._told.get(("foreign-order", symbol))
        self._blocks.foreign(symbol, standing)
        self._problems.report(f"{kind}:{symbol}", text)

    # What the operator says

    def dismiss(self, symbol: str) -> str:
        """Let stay there what is there, and trade the symbol again; says what it is, in words.

        Raises:
            Rejected: nothing is there.

        """
        orders, quantity = self.orders_of(symbol), self.quantity(symbol)
        if not orders and not quantity:
            raise Rejected(f"{symbol}: the venue shows nothing that is not ours; nothing was changed")
        self._blocks.dismiss(Dismissed(symbol=symbol, quantity=quantity, orders=orders))
        self._tell("foreign-order", symbol, None)
        self._tell("foreign-position", symbol, None)
        parts = [f"a position of {number(quantity)}"] if quantity else []
        parts += [f"order {order.venue_order_id}" for order in orders]
        return f"{symbol}: {', '.join(parts)}"
