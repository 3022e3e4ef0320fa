"""What the venue says of orders whose signal has closed: old news, or something to ask about."""

from decimal import Decimal

from livebot.core.inputs import ExitRequested, OrderAbsent, OrderAccepted, OrderEnded, OrderFilled, OrderRejected
from livebot.core.market import OrderSide
from livebot.core.order import Fill, OrderStatus
from livebot.core.signal import CloseReason
from livebot.runtime.symbol.past_orders import REMEMBERED, PastOrders

ONE = Decimal(1)


def accepted(order_id: str) -> OrderAccepted:
    return OrderAccepted(
        client_order_id=order_id, venue_order_id="v", quantity=ONE, price=None, trigger_price=None, ts_ms=0
    )


def filled(trade_id: str) -> OrderFilled:
    fill = Fill(
        trade_id=trade_id, client_order_id="a", ts_ms=0, side=OrderSide.BUY, price=ONE, quantity=ONE, fee=Decimal(0)
    )
    return OrderFilled(fill, 0)


def test_that_an_order_was_taken_is_nothing_new_unless_it_was_said_never_to_have_been():
    past = PastOrders()
    assert past.knows(accepted("a"))
    past.heard(OrderAbsent(client_order_id="a", ts_ms=0))
    past.heard(OrderRejected(client_order_id="b", code="no", text="", ts_ms=0))
    assert [past.knows(accepted(each)) for each in "abc"] == [False, False, True]
    assert past.knows(OrderEnded(client_order_id="a", status=OrderStatus.CANCELED, filled=Decimal(0), ts_ms=0))


def test_a_trade_that_was_counted_is_nothing_new_and_any_other_is():
    past = PastOrders()
    past.heard(filled("1"))
    assert (past.knows(filled("1")), past.knows(filled("2"))) == (True, False)


def test_only_the_last_of_them_are_remembered():
    past = PastOrders()
    for number in range(REMEMBERED + 1):
        past.heard(filled(str(number)))
    past.heard(ExitRequested(CloseReason.OPERATOR, 0))  # says nothing of an order
    assert (past.knows(filled("0")), past.knows(filled("1"))) == (False, True)
