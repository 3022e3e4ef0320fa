"""A state made anew from what the venue shows."""

from dataclasses import replace
from decimal import Decimal

import pytest

from livebot.core.entry import NO_EXIT_PLAN
from livebot.core.exposure import protected
from livebot.core.inputs import CandleClosed, SymbolState
from livebot.core.kernel import step
from livebot.core.market import MINUTE_MS, Candle, OrderSide, Side
from livebot.core.order import Leg, OrderKind, OrderStatus, VenueOrder, VenuePosition, client_order_id
from livebot.core.rebuild import NUMBER_MARGIN, REBUILT_LIFETIME_MS, SEQUENCE_MARGIN, is_ours, rebuild
from livebot.core.rules import EntryRules, FixedNotional, Rules
from livebot.core.signal import CloseReason, Closing, Idle, Open
from tests.core.examples import INSTRUMENT

D = Decimal
BTC = "BTC/USDT"
EMPTY = SymbolState(system="test", strategy="trend", symbol=BTC, sequence=40, number=7, signal=Idle())
LONG = VenuePosition(symbol=BTC, quantity=D(2), average_price=D("100.123"))
SHORT = VenuePosition(symbol=BTC, quantity=D(-2), average_price=D("100.123"))
NOW_MS = 1_000_000


def order(leg: Leg, number: int = 9, attempt: int = 1, *, side: OrderSide = OrderSide.SELL, **changes) -> VenueOrder:
    """A working order of the signal."""
    limit = leg is Leg.TARGET
    values = {
        "client_order_id": client_order_id("test", "trend", BTC, number=number, leg=leg, attempt=attempt),
        "venue_order_id": f"v-{leg.value}{number}{attempt}",
        "symbol": BTC,
        "side": side,
        "kind": OrderKind.LIMIT if limit else OrderKind.STOP_MARKET,
        "quantity": D(2),
        "filled": D(0),
        "status": OrderStatus.WORKING,
        "price": D(120) if limit else None,
        "trigger_price": None if limit else D(90),
        **changes,
    }
    return VenueOrder(**values)


STOP, TARGET = order(Leg.STOP), order(Leg.TARGET)


def rebuilt(*orders: VenueOrder, position=LONG, instrument=INSTRUMENT) -> SymbolState:
    return rebuild(EMPTY, orders, position, instrument, now_ms=NOW_MS)


def test_a_live_stop_and_a_position_make_an_open_signal():
    """At the venue's average price, protected as it is there, for a fixed time from now."""
    state = rebuilt(STOP, TARGET)
    present = state.signal
    assert isinstance(present, Open)
    assert present.position.quantity == 2
    assert present.position.entry_price == D("100.123")
    assert (present.stop_loss, present.take_profit) == (D(90), D(120))
    assert present.signal.take_profit == D(120)
    assert (present.signal.side, present.signal.number) == (Side.LONG, 9)
    assert present.opened_ms == NOW_MS
    assert present.signal.lifetime_ms == REBUILT_LIFETIME_MS
    assert [record.request.client_order_id for record in state.orders] == [
        STOP.client_order_id,
        TARGET.client_order_id,
    ]
    assert protected(present, state.orders)


def test_a_short_is_found_by_its_stop_above():
    """And its target below."""
    sides = {"side": OrderSide.BUY}
    state = rebuilt(
        order(Leg.STOP, trigger_price=D(110), **sides), order(Leg.TARGET, price=D(80), **sides), position=SHORT
    )
    assert isinstance(state.signal, Open)
    assert (state.signal.signal.side, state.signal.position.quantity) == (Side.SHORT, 2)
    assert (state.signal.stop_loss, state.signal.take_profit) == (D(110), D(80))


@pytest.mark.parametrize(
    ("position", "side", "expected"), [(LONG, OrderSide.SELL, "200.25"), (SHORT, OrderSide.BUY, "50.06")]
)
def test_without_a_target_there_one_is_set_far_away_on_a_tick(position, side, expected):
    """The kernel places it; the stop is what matters."""
    state = rebuilt(order(Leg.STOP, side=side), position=position)
    assert isinstance(state.signal, Open)
    assert state.signal.take_profit == state.signal.signal.take_profit == D(expected)
    assert len(state.orders) == 1


def test_only_what_the_stop_still_covers_is_ours():
    """The rest of the position is another strategy's, or nobody's; of what filled of the stop we know no more."""
    state = rebuilt(order(Leg.STOP, quantity=D("1.5"), filled=D("0.5")))
    assert isinstance(state.signal, Open)
    assert state.signal.position.quantity == 1
    assert state.orders[0].filled == state.orders[0].reported_filled == D("0.5")
    small = rebuilt(STOP, position=replace(LONG, quantity=D("0.3")))
    assert isinstance(small.signal, Open)
    assert small.signal.position.quantity == D("0.3")


@pytest.mark.parametrize(
    "found",
    [
        ((), LONG),
        ((TARGET,), LONG),
        ((STOP,), None),
        ((STOP,), SHORT),  # the stop is on the wrong side for it
        ((order(Leg.STOP, trigger_price=None),), LONG),
        ((order(Leg.STOP, kind=OrderKind.LIMIT, price=D(90)),), LONG),
        ((order(Leg.STOP, filled=D(2)),), LONG),
        ((order(Leg.ENTRY, kind=OrderKind.LIMIT, price=D(99)),), None),
    ],
)
def test_without_a_live_stop_and_a_position_behind_it_there_is_nothing_of_ours(found):
    """The position, if there is one, is then reported as not ours."""
    orders, position = found
    state = rebuilt(*orders, position=position)
    assert isinstance(state.signal, Idle)
    assert state.orders == ()


def test_a_venue_that_lacks_the_symbol_holds_nothing_of_it():
    """There is no instrument to work with."""
    assert isinstance(rebuilt(STOP, instrument=None).signal, Idle)


def test_numbers_go_on_above_everything_that_was_ever_used():
    """By the ledger, by the lost file as far as can be guessed, and by the orders at the venue."""
    assert (rebuilt().number, rebuilt().sequence) == (7 + NUMBER_MARGIN, 40 + SEQUENCE_MARGIN)
    assert rebuilt(order(Leg.STOP, number=500)).number == 500
    assert rebuilt(order(Leg.ENTRY, number=900), position=None).number == 900


def test_the_newest_stop_counts():
    """Of the highest signal number, and in it of the highest attempt; a target of another signal is left out."""
    newest = order(Leg.STOP, number=10, attempt=2, trigger_price=D(91))
    state = rebuilt(
        STOP, order(Leg.STOP, number=10), newest, TARGET, order(Leg.TARGET, number=10, attempt=3, price=D(130))
    )
    assert isinstance(state.signal, Open)
    assert (state.signal.stop_loss, state.signal.take_profit) == (D(91), D(130))
    assert [record.request.attempt for record in state.orders] == [2, 3]


def test_a_target_that_is_no_limit_order_is_none():
    """Whatever its id says."""
    for strange in (
        order(Leg.TARGET, kind=OrderKind.MARKET, price=None),
        order(Leg.TARGET, price=D(1), kind=OrderKind.STOP_MARKET),
    ):
        state = rebuilt(STOP, strange)
        assert isinstance(state.signal, Open)
        assert [record.request.leg for record in state.orders] == [Leg.STOP]


@pytest.mark.parametrize(
    ("order_id", "ours"),
    [
        (STOP.client_order_id, True),
        (None, False),
        ("somebody's", False),
        (client_order_id("test", "other", BTC, number=9, leg=Leg.STOP, attempt=1), False),
        (client_order_id("test", "trend", "ETH/USDT", number=9, leg=Leg.STOP, attempt=1), False),
        (f"{STOP.client_order_id}0", False),
        (str(STOP.client_order_id)[:-1], False),
        (str(STOP.client_order_id)[:-9] + "zzzzzzs01", False),
    ],
)
def test_only_orders_with_the_id_of_this_strategy_and_symbol_are_ours(order_id, ours):
    """An id that only begins like ours must not stop the recovery of all."""
    strange = replace(STOP, client_order_id=order_id)
    assert is_ours(EMPTY, strange) is ours
    assert isinstance(rebuilt(strange).signal, Open) is ours


def test_the_kernel_goes_on_with_what_was_rebuilt():
    """It is closed when its time is over, under ids that were not used before."""
    state = rebuilt(STOP, TARGET)
    rules = Rules(
        system="test",
        strategy="trend",
        instrument=INSTRUMENT,
        sizing=FixedNotional(D(100)),
        entry=EntryRules(),
        exits=NO_EXIT_PLAN,
        schedule_ms=MINUTE_MS,
    )
    end_ms = NOW_MS + REBUILT_LIFETIME_MS
    made = step(state, CandleClosed(Candle(0, 100.0, 100.0, 100.0, 100.0, 1.0), end_ms), rules)
    assert isinstance(made.state.signal, Closing)
    assert made.state.signal.reason is CloseReason.TIME_EXPIRED
    assert made.facts[0].sequence == state.sequence + 1
    exits = [record.request for record in made.state.orders if record.request.leg is Leg.EXIT]
    assert [(each.quantity, each.client_order_id) for each in exits] == [
        (2, client_order_id("test", "trend", BTC, number=9, leg=Leg.EXIT, attempt=1))
    ]
