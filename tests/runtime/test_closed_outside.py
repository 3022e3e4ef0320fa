"""What was closed at the venue by no order of ours is booked at what it brought, if the venue tells; then it is certain at once,
else once it is not there for as long as the venue's list of positions may be behind.
"""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal

import pytest

from livebot.core.facts import SignalClosed
from livebot.core.market import OrderSide
from livebot.core.order import Fill, Leg
from livebot.core.signal import CloseReason
from livebot.errors import Transient
from livebot.outside_ports import OutsideTrade
from tests.runtime.harness import BRIEF, BTC, World, disagreements, once, run, story

D = Decimal
AT_ONCE_S, LATER_S = 1.0, BRIEF.positions_lag_s + 2.0
Told = Callable[[str, int], Awaitable[tuple[OutsideTrade, ...]]]


def trade(
    quantity: Decimal, *, side: OrderSide = OrderSide.SELL, name: str = "theirs", by_stop: bool = False
) -> OutsideTrade:
    fill = Fill(
        trade_id=name, client_order_id="", ts_ms=1, side=side, price=D("50000.5"), quantity=quantity, fee=D("1.25")
    )
    return OutsideTrade(fill, by_stop)


def closed_by_hand(tell: Callable[[Decimal, Fill], Told], within_s: float) -> SignalClosed:
    """A position is closed by hand; `tell(held, entry)` says what the venue will tell of it."""
    found = []

    async def main() -> None:
        world = World(strategies={"one": lambda: once(1, stop=0.2, target=0.2)}, speed=60, latency_ms=5)
        process = await world.process().until_ready()
        while not world.orders(leg=Leg.TARGET):
            await asyncio.sleep(0.05)
        (entry,) = world.state("one").signal.position.entries
        process.wire.fetch_outside_trades = tell(world.held(), entry)
        world.venue.close_by_hand(BTC, world.venue.now_ms)
        await asyncio.sleep(within_s)
        found.extend(fact for fact in story(world, BTC) if isinstance(fact, SignalClosed))
        assert world.orders() == []
        await process.end()
        assert [] == disagreements(world)

    run(main())
    (closed,) = found
    return closed


def telling(*trades: OutsideTrade) -> Told:
    async def told(symbol: str, since_ms: int) -> tuple[OutsideTrade, ...]:
        assert symbol == BTC
        assert since_ms > 0
        return trades

    return told


@pytest.mark.parametrize(("by_stop", "reason"), [(False, CloseReason.VENUE), (True, CloseReason.STOP_LOSS)])
def test_trades_that_explain_all_of_it_are_booked(by_stop, reason):
    """Those of the other side, and those that are counted already, are not among them."""

    def tell(held: Decimal, entry: Fill) -> Told:
        half = held / 2
        others = trade(held, side=OrderSide.BUY, name="opened"), trade(held, name=entry.trade_id)
        return telling(*others, trade(half, by_stop=by_stop), trade(half, name="more", by_stop=by_stop))

    closed = closed_by_hand(tell, AT_ONCE_S)
    assert (closed.reason, closed.exit_price) == (reason, D("50000.5"))
    assert closed.fees > D("2.5")


async def silent(symbol: str, since_ms: int) -> tuple[OutsideTrade, ...]:
    raise Transient("no")


async def endless(symbol: str, since_ms: int) -> tuple[OutsideTrade, ...]:
    await asyncio.sleep(1_000)
    return ()


@pytest.mark.parametrize("told", [silent, endless, telling(), telling(trade(D("0.00001")))])
def test_what_trades_do_not_explain_is_valued_at_the_last_price(told):
    """Nothing waits long for it."""
    closed = closed_by_hand(lambda held, entry: told, LATER_S)
    assert closed.reason is CloseReason.VENUE
    assert closed.exit_price != D("50000.5")
