"""What the venue holds against what the files say."""

from dataclasses import replace
from decimal import Decimal

import pytest

from livebot.core.entry import NO_EXIT_PLAN
from livebot.core.inputs import SymbolState
from livebot.core.market import OrderSide, Side
from livebot.core.order import (
    Leg,
    OrderKind,
    OrderRecord,
    OrderRequest,
    OrderStatus,
    VenueOrder,
    VenuePosition,
    owner_prefix,
)
from livebot.core.position import Position
from livebot.core.signal import Idle, Open, Signal
from livebot.runtime.venue.reconcile import (
    close_enough,
    confirmed_by,
    expected_quantity,
    foreign_orders,
    missing_orders,
    shortfalls,
    snapshot_of,
    trades_untold,
)
from tests.core.examples import fill

D = Decimal
BTC, ETH = "BTC/USDT", "ETH/USDT"
REQUEST = OrderRequest(
    client_order_id="stop-1",
    symbol=BTC,
    leg=Leg.STOP,
    attempt=1,
    side=OrderSide.SELL,
    kind=OrderKind.STOP_MARKET,
    quantity=D(2),
    trigger_price=D(90),
    reduce_only=True,
)
RECORD = OrderRecord(request=REQUEST, status=OrderStatus.WORKING, sent_ms=0, venue_order_id="v1", confirmed=True)
SEEN = VenueOrder(
    client_order_id="stop-1",
    venue_order_id="v1",
    symbol=BTC,
    side=OrderSide.SELL,
    kind=OrderKind.STOP_MARKET,
    quantity=D(2),
    filled=D(0),
    status=OrderStatus.WORKING,
    trigger_price=D(90),
)


def holding(strategy: str, quantity: int, side: Side = Side.LONG, *orders: OrderRecord) -> SymbolState:
    signal = Signal(
        number=1,
        side=side,
        quantity=D(quantity),
        reference_price=D(100),
        limit_price=None,
        stop_loss=D(90),
        take_profit=D(120),
        lifetime_ms=1,
        created_ms=0,
        schedule_expires_ms=None,
        exits=NO_EXIT_PLAN,
    )
    position = Position(side).with_entry(fill(quantity, 100))
    present = Open(signal=signal, position=position, opened_ms=0, stop_loss=D(90), take_profit=D(120))
    return SymbolState(system="test", strategy=strategy, symbol=BTC, signal=present, orders=orders)


IDLE = SymbolState(system="test", strategy="idle", symbol=BTC, signal=Idle())


def test_a_snapshot_knows_orders_by_our_id_and_positions_by_symbol():
    """What has no client order id stands apart, but for stops that came with an order; what is flat is 0."""
    unnamed = replace(SEEN, client_order_id=None)
    attached = replace(unnamed, attached=True)
    seen = snapshot_of([SEEN, unnamed, attached], [VenuePosition(symbol=BTC, quantity=D(-3), average_price=D(1))])
    assert dict(seen.orders) == {"stop-1": SEEN}
    assert seen.unnamed == (unnamed,)
    assert (seen.quantity(BTC), seen.quantity(ETH)) == (-3, 0)


@pytest.mark.parametrize(
    ("record", "seen", "is_confirmed"),
    [
        (RECORD, SEEN, True),
        (RECORD, None, False),
        (replace(RECORD, status=OrderStatus.UNKNOWN), SEEN, False),
        (replace(RECORD, confirmed=False), SEEN, False),
        (replace(RECORD, cancel_requested=True), SEEN, False),
        (RECORD, replace(SEEN, filled=D(1)), False),
        (RECORD, replace(SEEN, quantity=D(3)), False),
        (RECORD, replace(SEEN, trigger_price=D(91)), False),
        (RECORD, replace(SEEN, price=D(91)), False),
    ],
)
def test_nothing_need_be_asked_of_an_order_that_stands_as_we_remember_it(record, seen, is_confirmed):
    """In every respect."""
    assert confirmed_by(record, snapshot_of([seen] if seen else [], [])) is is_confirmed


@pytest.mark.parametrize(
    ("record", "seen", "untold"),
    [
        (RECORD, SEEN, False),
        (RECORD, None, False),
        (RECORD, replace(SEEN, filled=D(1)), True),
        (replace(RECORD, filled=D(1)), replace(SEEN, filled=D(1)), False),
        (replace(RECORD, filled=D(1)), SEEN, False),
        (replace(RECORD, status=OrderStatus.FILLED, reported_filled=D(2)), None, True),
        (replace(RECORD, status=OrderStatus.FILLED, reported_filled=D(2), filled=D(2)), None, False),
    ],
)
def test_a_trade_is_untold_while_an_order_has_filled_further_than_its_trades_say(record, seen, untold):
    """By what the venue lists, or by what it has said of its end."""
    assert trades_untold(record, snapshot_of([seen] if seen else [], [])) is untold


def test_what_we_expect_is_the_net_of_all_strategies():
    """Longs less shorts; who is Idle holds nothing."""
    assert expected_quantity([holding("a", 3), holding("b", 2), IDLE]) == 5
    assert expected_quantity([holding("a", 3, Side.SHORT), IDLE]) == -3
    assert expected_quantity([]) == 0


@pytest.mark.parametrize(
    ("side", "actual", "missing", "beyond"),
    [
        (Side.LONG, 5, {}, 0),
        (Side.LONG, 7, {}, 2),
        (Side.LONG, 4, {"b": 1}, 0),
        (Side.LONG, 1, {"a": 2, "b": 2}, 0),
        (Side.LONG, 0, {"a": 3, "b": 2}, 0),
        (Side.LONG, -1, {"a": 3, "b": 2}, -1),
        (Side.SHORT, -4, {"b": 1}, 0),
        (Side.SHORT, -6, {}, -1),
        (Side.SHORT, 2, {"a": 3, "b": 2}, 2),
    ],
)
def test_what_is_missing_is_shared_out_by_name_and_what_is_beyond_is_nobodys(side, actual, missing, beyond):
    """The venue nets positions and cannot say whose it was."""
    states = [holding("b", 2, side), IDLE, holding("a", 3, side)]
    assert shortfalls(states, D(actual)) == (missing, beyond)


def test_what_closed_positions_have_left_is_ours_and_is_counted_last():
    """Fees that are taken in coins leave less than a lot of a position; it may be gone, too."""
    idle = replace(IDLE, remainder=D("0.4"))
    both = [idle, replace(holding("a", 3), remainder=D("0.1"))]
    assert expected_quantity(both) == D("3.5")
    assert shortfalls(both, D("3.5")) == ({}, 0)
    assert shortfalls(both, D(4)) == ({}, D("0.5"))
    assert shortfalls(both, D("3.2")) == ({"idle": D("0.3")}, 0)
    assert shortfalls(both, D(2)) == ({"a": D("1.1"), "idle": D("0.4")}, 0)


@pytest.mark.parametrize(
    ("beyond", "lot_step", "enough"),
    [
        ("0", "1", True),
        ("0.9", "1", True),
        ("-0.4", "1", True),
        ("-0.6", "1", False),
        ("1", "1", False),
        ("0", "0", False),
    ],
)
def test_less_than_a_lot_of_coins_is_no_difference_as_long_as_all_can_be_sold(beyond, lot_step, enough):
    """Of 2.5 coins 2 can be sold, so that 0.5 may be missing; where fees are not taken in coins nothing may."""
    state = holding("a", 2)
    coins = Position(Side.LONG, lot_step=D(1)).with_entry(fill(3, 100, base_fee=D("0.5")))
    state = replace(state, signal=replace(state.signal, position=coins))
    assert close_enough([state, IDLE], D(beyond), D(lot_step)) is enough


def test_orders_that_should_work_there_and_do_not():
    """What is only on its way is no surprise."""
    intended = replace(RECORD, status=OrderStatus.INTENDED, request=replace(REQUEST, client_order_id="stop-2"))
    states = [holding("a", 2, Side.LONG, RECORD, intended)]
    assert missing_orders(states, snapshot_of([SEEN], [])) == ()
    assert missing_orders(states, snapshot_of([], [])) == (RECORD,)


def test_an_order_that_the_venue_shows_otherwise_than_it_confirmed_is_missing():
    """A late change may have undone a newer one; what it has not confirmed yet is being asked for anyway."""
    smaller, elsewhere = replace(SEEN, quantity=D(1)), replace(SEEN, trigger_price=D(80))
    for seen in (smaller, elsewhere):
        assert missing_orders([holding("a", 2, Side.LONG, RECORD)], snapshot_of([seen], [])) == (RECORD,)
        changing = replace(RECORD, confirmed=False)
        assert missing_orders([holding("a", 2, Side.LONG, changing)], snapshot_of([seen], [])) == ()


def test_orders_that_no_file_of_ours_explains():
    """With the reason in words."""
    ours = owner_prefix("test")
    known = replace(SEEN, client_order_id=f"{ours}known")
    orphan = replace(SEEN, client_order_id=f"{ours}orphan")
    other = replace(SEEN, client_order_id="somebody's")
    unnamed = replace(SEEN, client_order_id=None)
    found = foreign_orders("test", snapshot_of([known, orphan, other, unnamed], []), frozenset({f"{ours}known"}))
    assert {order.client_order_id: why for order, why in found} == {
        None: "it has no client order id",
        f"{ours}orphan": "it carries our id, but no state file knows it",
        "somebody's": "it was not placed by this system",
    }
