"""Client order ids, order shapes, and when an order is over."""

import re
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livebot.core.market import OrderSide
from livebot.core.order import (
    Account,
    Leg,
    OrderKind,
    OrderRecord,
    OrderStatus,
    VenueOrder,
    VenuePosition,
    client_order_id,
    leg_of,
    owner_prefix,
)
from tests.core.examples import ORDER

LEGAL = re.compile(r"[a-z0-9]{1,32}")
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="|"), min_size=1, max_size=20)
KEYS = st.tuples(
    NAMES, NAMES, NAMES, st.integers(0, 16**6 - 1), st.sampled_from(Leg), st.integers(0, 255)
)  # system, strategy, symbol, number, leg, attempt


def id_of(key):
    """The client order id of such a tuple."""
    system, strategy, symbol, number, leg, attempt = key
    return client_order_id(system, strategy, symbol, number=number, leg=leg, attempt=attempt)


@given(KEYS)
def test_a_client_order_id_is_legal_at_every_venue(key):
    """Small letters and digits, at most 32 of them, whatever the names are."""
    assert LEGAL.fullmatch(id_of(key))
    assert len(id_of(key)) == 25


@given(st.lists(KEYS, min_size=2, max_size=30, unique=True))
def test_different_orders_have_different_ids(keys):
    """Any one part that differs makes another id."""
    assert len(keys) == len({id_of(key) for key in keys})


@given(KEYS, KEYS)
def test_one_part_that_differs_is_enough(one, other):
    """Taken part by part: two legs, two attempts, two symbols never share an id."""
    for index in range(len(one)):
        mixed = (*one[:index], other[index], *one[index + 1 :])
        assert (mixed == one) == (id_of(mixed) == id_of(one))


def test_a_restarted_daemon_makes_the_same_id():
    """The id is on record at the venue for ever, so this text must never change."""
    order = ("main", "trend", "BTC/USDT:USDT", 27, Leg.STOP, 2)
    assert "lb7aa9709a45bf8100001bs02" == id_of(order)


@given(KEYS)
def test_an_id_begins_with_its_owner(key):
    """So that orders of another system on the same account are told apart."""
    assert id_of(key).startswith(owner_prefix(key[0]))
    assert len(owner_prefix(key[0])) == 8


@pytest.mark.parametrize("leg", list(Leg))
def test_an_id_tells_its_leg(leg):
    """Of an order that came back from a venue nothing else may be known."""
    assert leg is leg_of(client_order_id("perp", "trend", "BTC/USDT", number=77, leg=leg, attempt=3))


def test_legs_have_letters_of_their_own():
    """One letter each, or two legs of one signal would share an id."""
    assert len(Leg) == len({leg.value for leg in Leg})
    assert {1} == {len(leg.value) for leg in Leg}


def test_only_entry_and_averaging_open_and_only_stop_and_target_protect():
    """What opens needs approval; what protects rests on the venue without us."""
    assert {Leg.ENTRY, Leg.AVERAGE} == {leg for leg in Leg if leg.opens}
    assert {Leg.STOP, Leg.TARGET} == {leg for leg in Leg if leg.protects}


@pytest.mark.parametrize(
    ("kind", "price", "trigger_price"),
    [
        (OrderKind.MARKET, None, None),
        (OrderKind.LIMIT, Decimal(100), None),
        (OrderKind.STOP_MARKET, None, Decimal(95)),
    ],
)
def test_an_order_has_the_prices_of_its_kind(kind, price, trigger_price):
    """A market order has none, a limit order a price, a stop a trigger."""
    order = replace(ORDER, kind=kind, price=price, trigger_price=trigger_price)
    assert (price, trigger_price) == (order.price, order.trigger_price)


@pytest.mark.parametrize(
    ("kind", "price", "trigger_price"),
    [
        (OrderKind.MARKET, Decimal(100), None),
        (OrderKind.MARKET, None, Decimal(95)),
        (OrderKind.LIMIT, None, None),
        (OrderKind.LIMIT, Decimal(0), None),
        (OrderKind.LIMIT, Decimal(-1), None),
        (OrderKind.LIMIT, Decimal(100), Decimal(95)),
        (OrderKind.STOP_MARKET, None, None),
        (OrderKind.STOP_MARKET, None, Decimal(0)),
        (OrderKind.STOP_MARKET, Decimal(100), Decimal(95)),
    ],
)
def test_an_order_no_venue_could_execute_cannot_be_made(kind, price, trigger_price):
    """A price that is missing, not positive or of another kind."""
    with pytest.raises(ValueError, match=f"order lb1: a {kind.value} order cannot have price"):
        replace(ORDER, kind=kind, price=price, trigger_price=trigger_price)


@pytest.mark.parametrize("quantity", [Decimal(0), Decimal(-1)])
def test_an_order_for_nothing_cannot_be_made(quantity):
    """Quantity is above 0; the direction is the side's affair."""
    with pytest.raises(ValueError, match=r"order lb1: quantity -?[01] is not positive"):
        replace(ORDER, quantity=quantity)


def test_an_order_may_trade_until_the_venue_has_ended_it():
    """Also while nobody knows whether the venue has it."""
    live = {OrderStatus.INTENDED, OrderStatus.UNKNOWN, OrderStatus.WORKING}
    assert live == {status for status in OrderStatus if status.live}


@pytest.mark.parametrize(
    ("status", "filled", "reported", "settled"),
    [
        (OrderStatus.WORKING, 1, 1, False),
        (OrderStatus.UNKNOWN, 0, 0, False),
        (OrderStatus.INTENDED, 0, 0, False),
        (OrderStatus.FILLED, 0, 1, False),
        (OrderStatus.FILLED, 1, 1, True),
        (OrderStatus.CANCELED, 0, 0, True),
        (OrderStatus.CANCELED, 1, 2, False),
        (OrderStatus.REJECTED, 0, 0, True),
        (OrderStatus.ABSENT, 0, 0, True),
    ],
)
def test_an_order_is_settled_when_it_ended_and_all_its_fills_are_here(status, filled, reported, settled):
    """An ended order whose fills are still on their way is not over."""
    record = OrderRecord(
        request=ORDER, status=status, sent_ms=0, filled=Decimal(filled), reported_filled=Decimal(reported)
    )
    assert settled is record.settled


def test_what_the_venue_says_is_kept_as_it_said_it():
    """Orders without a client id of ours, net positions with their sign, account values."""
    order = VenueOrder(
        client_order_id=None,
        venue_order_id="7",
        symbol="BTC/USDT",
        side=OrderSide.SELL,
        kind=OrderKind.LIMIT,
        quantity=Decimal(2),
        filled=Decimal(1),
        status=OrderStatus.WORKING,
    )
    position = VenuePosition(symbol="BTC/USDT", quantity=Decimal(-2), average_price=Decimal(100))
    account = Account(wallet=Decimal(10), equity=Decimal(9))

    assert (None, False) == (order.client_order_id, order.reduce_only)
    assert (Decimal(-2), Decimal(9)) == (position.quantity, account.equity)
