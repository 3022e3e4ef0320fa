"""What is remembered of a symbol's orders when their signal has closed: enough to know the venue's last words for old news.

Rules of this file: an order that the venue has ended can do nothing any more, whatever is told of it late; a trade counts
once; what a venue had called refused or unknown, and tells of all the same, is no old news.
"""

from collections import OrderedDict

from livebot.core.inputs import Input, OrderAbsent, OrderAccepted, OrderEvent, OrderFilled, OrderRejected

REMEMBERED = 256  # trades, and orders that were never there


class PastOrders:
    """One for each run of a worker."""

    def __init__(self) -> None:
        """Nothing was heard yet."""
        self._trades: OrderedDict[str, None] = OrderedDict()
        self._never_there: OrderedDict[str, None] = OrderedDict()

    def heard(self, event: Input) -> None:
        """This was told to the kernel."""
        if isinstance(event, OrderFilled):
            _remember(self._trades, event.fill.trade_id)
        elif isinstance(event, OrderAbsent | OrderRejected):
            _remember(self._never_there, event.client_order_id)

    def knows(self, event: OrderEvent) -> bool:
        """Whether this, of an order of ours that is on record no more, is nothing new."""
        if isinstance(event, OrderFilled):
            return event.fill.trade_id in self._trades
        return not isinstance(event, OrderAccepted) or event.client_order_id not in self._never_there


def _remember(things: OrderedDict[str, None], name: str) -> None:
    things[name] = None
    if len(things) > REMEMBERED:
        things.popitem(last=False)
