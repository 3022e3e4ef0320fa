"""A position's sums against an independent computation from its fills."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livebot.core.market import Side
from livebot.core.position import Position
from tests.core.examples import fill

PRICES = st.decimals("0.01", 100_000, places=2)
QUANTITIES = st.decimals("0.001", 1_000, places=3)
FEES = st.decimals(-10, 10, places=4)
TRADES = st.lists(st.tuples(st.booleans(), QUANTITIES, PRICES, FEES), max_size=25)
SIDES = st.sampled_from(Side)


def position_of(side, trades):
    """Apply (is an entry, quantity, price, fee) in order."""
    position = Position(side)
    for number, (enters, quantity, price, fee) in enumerate(trades):
        one = fill(quantity, price, fee=fee, trade_id=str(number))
        position = position.with_entry(one) if enters else position.with_exit(one)
    return position


def close_to(exact, value):
    """Equal to 20 digits of the largest amount around; a division leaves the 28th digit open."""
    return abs(exact - Fraction(value)) <= Fraction(1, 10**12)


@pytest.mark.untraced
@given(SIDES, TRADES, PRICES)
def test_profit_is_what_the_fills_brought_in_less_what_they_cost(side, trades, price):
    """Realised plus unrealised PnL is money in less money out with the rest valued at the price, in any order."""
    position = position_of(side, trades)
    bought = sum((Fraction(q) * Fraction(p) for enters, q, p, _ in trades if enters), Fraction())
    sold = sum((Fraction(q) * Fraction(p) for enters, q, p, _ in trades if not enters), Fraction())
    left = sum((Fraction(q) if enters else -Fraction(q) for enters, q, _, _ in trades), Fraction())
    paid = sum((Fraction(fee) for *_, fee in trades), Fraction())

    assert left == Fraction(position.quantity)
    assert paid == Fraction(position.fees)
    if position.entry_quantity:
        worth = side.sign * (sold + left * Fraction(price) - bought)
        assert close_to(worth, position.realised + position.unrealised(price))
        assert close_to(worth - paid, position.net + position.unrealised(price))


@given(SIDES, st.lists(st.tuples(QUANTITIES, PRICES, FEES), min_size=1, max_size=10), st.data())
def test_a_closed_position_made_its_exits_less_its_entries_less_its_fees(side, entries, data):
    """However the exits were cut up, and to the last digit that money has."""
    total = sum(quantity for quantity, _, _ in entries)
    cuts = sorted(data.draw(st.lists(st.decimals(0, total, places=3), max_size=5)))
    pieces = [after - before for before, after in zip([0, *cuts], [*cuts, total], strict=True) if after > before]
    exits = [(piece, data.draw(PRICES), data.draw(FEES)) for piece in pieces]
    position = position_of(side, [(True, *entry) for entry in entries] + [(False, *leave) for leave in exits])

    spent = sum(Fraction(q) * Fraction(p) for q, p, _ in entries)
    came_back = sum(Fraction(q) * Fraction(p) for q, p, _ in exits)
    paid = sum(Fraction(fee) for *_, fee in (*entries, *exits))
    made = side.sign * (came_back - spent) - paid
    assert position.flat
    assert close_to(made, position.net)
    assert close_to(made / spent, position.net_ratio)
    assert close_to(spent / Fraction(total), position.entry_price)
    assert close_to(came_back / Fraction(total), position.exit_price)


def test_a_partial_exit_realises_against_the_average_entry():
    """Bought 1 at 100 and 1 at 110, sold 1 at 120: realised is 120 less 105."""
    position = position_of(
        Side.LONG,
        [
            (True, Decimal(1), Decimal(100), Decimal(1)),
            (True, Decimal(1), Decimal(110), Decimal(1)),
            (False, Decimal(1), Decimal(120), Decimal(2)),
        ],
    )
    assert Decimal(105) == position.entry_price
    assert Decimal(15) == position.realised
    assert Decimal(11) == position.net
    assert Decimal(-5) == position.unrealised(Decimal(100))
    assert not position.flat


@pytest.mark.parametrize(("side", "made"), [(Side.LONG, -10), (Side.SHORT, 10)])
def test_a_short_earns_what_a_long_loses(side, made):
    """From 100 to 90, one unit."""
    trades = [(True, Decimal(1), Decimal(100), Decimal(0)), (False, Decimal(1), Decimal(90), Decimal(0))]
    assert Decimal(made) == position_of(side, trades).net
    assert Decimal(made) / 100 == position_of(side, trades).net_ratio
    assert Decimal(made) == position_of(side, trades[:1]).unrealised(Decimal(90))


def test_a_position_without_fills_is_flat_and_worth_nothing():
    """No division by nothing."""
    position = Position(Side.LONG)
    nothing = [position.quantity, position.entry_price, position.exit_price, position.realised, position.net_ratio]
    assert [Decimal(0)] * 5 == nothing
    assert position.flat


def test_exits_that_overshoot_leave_a_flat_position_with_its_true_quantity():
    """The venue sold more than we had: that is not hidden."""
    position = position_of(
        Side.LONG, [(True, Decimal(1), Decimal(100), Decimal(0)), (False, Decimal(2), Decimal(100), Decimal(0))]
    )
    assert position.flat
    assert Decimal(-1) == position.quantity


def test_a_trade_is_recognised_when_it_is_told_again():
    """By trade id, among entries and exits."""
    position = Position(Side.LONG).with_entry(fill(trade_id="in")).with_exit(fill(trade_id="out"))
    assert [True, True, False] == [position.has(trade_id) for trade_id in ("in", "out", "other")]


def test_a_further_fill_leaves_the_earlier_position_as_it_was():
    """States on disk and in facts hold positions; none of them may change later."""
    before = Position(Side.LONG).with_entry(fill(1))
    after = before.with_entry(fill(2)).with_exit(fill(1))
    assert (Decimal(1), 1, 0) == (before.quantity, len(before.entries), len(before.exits))
    assert (Decimal(2), 2, 1) == (after.quantity, len(after.entries), len(after.exits))
