"""What is not ours: told, left alone, in the way until it is gone or dismissed; dismissed only as it was."""

from dataclasses import replace
from decimal import Decimal

import pytest

from livebot.core.denial import DenialCode
from livebot.core.market import OrderSide
from livebot.core.order import OrderKind, OrderStatus, VenueOrder
from livebot.errors import Rejected
from livebot.ports import PortfolioMemory
from livebot.runtime.portfolio.blocks import Blocks
from livebot.runtime.problems import Problems
from livebot.runtime.venue.foreign import Foreign
from tests.runtime.samples import BTC, ETH

D = Decimal
ORDER = VenueOrder(
    client_order_id=None,
    venue_order_id="v1",
    symbol=BTC,
    side=OrderSide.BUY,
    kind=OrderKind.LIMIT,
    quantity=D(2),
    filled=D(0),
    status=OrderStatus.WORKING,
    price=D(90),
)
OTHER = replace(ORDER, venue_order_id="v2")
WHY = "it was not placed by this system"


def foreign(memory: PortfolioMemory | None = None):
    problems, blocks = Problems(), Blocks(None)
    if memory is not None:
        blocks.restore(memory, ())
    return Foreign(problems, blocks), problems, blocks


def blocked(blocks: Blocks, symbol: str = BTC) -> bool:
    return DenialCode.FOREIGN in blocks.of(symbol)


def test_a_symbol_is_blocked_as_long_as_anything_foreign_is_there():
    """An order, a position, or both."""
    made, problems, blocks = foreign()
    made.orders([(ORDER, WHY)])
    made.position(BTC, D(2))
    made.position(ETH, D("-0.5"), nobody=True)
    assert (blocked(blocks), blocked(blocks, ETH), made.symbols) == (True, True, (BTC, ETH))
    assert [sentence.split(":")[0] for sentence in problems.sentences()] == ["BTC/USDT", "BTC/USDT", "ETH/USDT"]
    assert "an open order v1 (buy 2) and it was not placed by this system" in problems.sentences()[0]
    assert (
        f"holds 2 that is not ours; it is left alone, the symbol opens nothing: `livebot adopt {BTC}`"
        in (problems.sentences()[1])
    )
    assert "-0.5 that is not ours, and nobody runs the symbol" in problems.sentences()[2]
    made.position(BTC, D(0))
    assert blocked(blocks)
    made.orders([])
    made.orders([])
    assert not blocked(blocks)
    assert len(problems.sentences()) == 1
    assert (made.symbols, made.quantity(BTC), made.orders_of(BTC)) == ((ETH,), 0, ())


def test_what_is_dismissed_no_longer_blocks_and_outlives_a_restart():
    """As long as it is exactly as it was."""
    made, problems, blocks = foreign()
    made.orders([(ORDER, WHY), (OTHER, WHY)])
    made.position(BTC, D(2))
    assert made.dismiss(BTC) == f"{BTC}: a position of 2, order v1, order v2"
    assert (blocked(blocks), problems.sentences()) == (False, ())
    assert made.dismissed_quantity(BTC) == 2
    made, problems, blocks = foreign(PortfolioMemory(dismissed=blocks.dismissed()))
    made.orders([(OTHER, WHY), (ORDER, WHY)])
    made.position(BTC, D("2.0"))
    assert (blocked(blocks), problems.sentences()) == (False, ())
    assert made.symbols == (BTC,)


@pytest.mark.parametrize("changed", [D(3), D(1), D(-2)])
def test_a_dismissed_position_that_changes_is_told_anew_also_when_it_changes_back(changed):
    """The operator has said nothing of what it is now."""
    made, problems, blocks = foreign()
    made.position(BTC, D(2))
    made.dismiss(BTC)
    made.position(BTC, changed)
    assert (blocked(blocks), len(problems.sentences())) == (True, 1)
    made.position(BTC, D(2))
    assert (blocked(blocks), made.dismissed_quantity(BTC)) == (True, 0)


def test_what_a_trade_of_ours_may_explain_is_told_and_ends_no_dismissal():
    """Whoever runs the symbol next finds out."""
    made, problems, blocks = foreign()
    made.position(BTC, D(2))
    made.dismiss(BTC)
    made.position(BTC, D(3), nobody=True, certain=False)
    assert (blocked(blocks), len(problems.sentences()), made.dismissed_quantity(BTC)) == (True, 1, 2)
    made.position(BTC, D(2))
    assert (blocked(blocks), problems.sentences()) == (False, ())


def test_a_dismissed_position_that_is_gone_leaves_nothing_behind():
    """A new one of the same size is another one."""
    made, problems, blocks = foreign()
    made.position(BTC, D(2))
    made.dismiss(BTC)
    made.position(BTC, D(0))
    assert (blocked(blocks), problems.sentences(), blocks.dismissed()) == (False, (), ())
    made.position(BTC, D(2))
    assert blocked(blocks)


@pytest.mark.parametrize(
    "changed",
    [
        replace(ORDER, filled=D(1)),
        replace(ORDER, price=D(91)),
        replace(ORDER, quantity=D(3)),
        replace(ORDER, venue_order_id="v3"),
    ],
)
def test_a_dismissed_order_that_changes_is_told_anew(changed):
    """A part that filled, another price, another order; the others stay dismissed."""
    made, problems, blocks = foreign()
    made.orders([(ORDER, WHY), (OTHER, WHY)])
    made.dismiss(BTC)
    made.orders([(changed, WHY), (OTHER, WHY)])
    assert blocked(blocks)
    assert f"order {changed.venue_order_id}" in problems.sentences()[0]
    assert [each.orders for each in blocks.dismissed()] == [(OTHER,)]
    made.orders([(OTHER, WHY)])
    assert not blocked(blocks)


def test_a_dismissed_order_that_is_gone_is_forgotten():
    """Also one that was gone before the restart."""
    made, _, blocks = foreign()
    made.orders([(ORDER, WHY)])
    made.dismiss(BTC)
    made, _, blocks = foreign(PortfolioMemory(dismissed=blocks.dismissed()))
    made.orders([])
    assert (blocks.dismissed(), blocked(blocks)) == ((), False)


def test_where_nothing_is_there_is_nothing_to_dismiss():
    """Refused with a sentence."""
    made, _, blocks = foreign()
    with pytest.raises(Rejected, match="shows nothing that is not ours"):
        made.dismiss(BTC)
    assert blocks.dismissed() == ()


def test_a_position_that_is_not_ours_lies_there_dismissed_or_not_and_one_that_was_dismissed_also_before_it_is_seen():
    """After a start, say; orders hold nothing."""
    made, _, blocks = foreign()
    made.orders([(ORDER, WHY)])
    assert not made.beside(BTC)
    made.position(BTC, D(2))
    assert (made.beside(BTC), made.beside(ETH)) == (True, False)
    made.dismiss(BTC)
    made, _, _ = foreign(PortfolioMemory(dismissed=blocks.dismissed()))
    assert made.beside(BTC)
    made.position(BTC, D(0))
    assert not made.beside(BTC)
