"""Stops that travel with an entry: what the simulated venue makes of them, and when they go."""

from dataclasses import replace

import pytest

from livebot.core.inputs import OrderAccepted, OrderRejected
from livebot.core.order import Leg, client_order_id
from livebot.core.risk import approve_reduction
from livebot.simulator.clock import VenueClock
from livebot.simulator.exchange import SimulatedExchange
from livebot.simulator.matching import FillModel
from livebot.simulator.memory import VenueMemory
from livebot.simulator.venue import SimulatedVenue, VenueSettings
from tests.simulator.builders import BTC, EXACT, D, Desk, WrittenMarket, flat, order
from tests.virtual_loop import run

STILL = flat(100.0)
IN_PIECES = FillModel(slippage=D(0), partial_probability=1.0, partial_pieces=2)


def name(leg: Leg, attempt: int = 1, number: int = 1) -> str:
    """An id of ours."""
    return client_order_id("perp", "trend", BTC, number=number, leg=leg, attempt=attempt)


def entry(quantity: str = "2", *, limit: str | None = None, number: int = 1, stop: str = "95"):
    """A long entry that carries its stop."""
    return replace(
        order(name(Leg.ENTRY, number=number), "buy", quantity, limit=limit), attached_stop=D(stop), leg=Leg.ENTRY
    )


def own_stop(quantity: str, *, number: int = 1):
    """The stop that livebot places itself."""
    return order(name(Leg.STOP, number=number), "sell", quantity, stop="95", reduce=True)


def attached(desk: Desk) -> list[tuple[D, D | None, bool]]:
    """(quantity, trigger, reduce-only) of each that works."""
    working = [each for each in desk.venue.open_orders() if each.attached]
    assert all(each.client_order_id is None for each in working)
    return [(each.quantity, each.trigger_price, each.reduce_only) for each in working]


def test_a_filled_entry_brings_its_stop():
    """Of the filled quantity, only to reduce, and under no name of ours."""
    desk = Desk(STILL)
    desk.do(entry())
    assert attached(desk) == [(D(2), D(95), True)]


def test_an_entry_that_rests_brings_it_when_it_fills():
    """Nothing is held before that."""
    desk = Desk((100.0, 100.0, 97.0, 99.0), STILL)
    desk.do(entry(limit="98"))
    assert attached(desk) == []
    desk.step()
    assert attached(desk) == [(D(2), D(95), True)]


def test_each_fill_brings_its_own():
    """So that what has filled is protected, always and exactly."""
    desk = Desk(*[STILL] * 3, model=IN_PIECES)
    desk.do(entry())
    assert attached(desk) == [(D(1), D(95), True)]
    desk.step()
    assert attached(desk) == [(D(1), D(95), True)] * 2


def test_it_closes_the_position_when_it_is_reached():
    """From the candle after the fill on."""
    desk = Desk(STILL, (100.0, 100.0, 94.0, 96.0), STILL)
    desk.do(entry())
    desk.step(2)
    assert desk.position() == 0
    assert [price for _, _, price in desk.fills()] == [D(100), D(95)]
    assert attached(desk) == []


def test_it_goes_when_the_position_does():
    """Whoever closed it."""
    desk = Desk(STILL)
    desk.do(entry())
    desk.venue.close_by_hand(BTC, desk.venue.now_ms)
    assert (desk.position(), attached(desk)) == (0, [])
    assert desk.ends()[-1][1:] == ("canceled", D(0))


def test_an_entry_that_only_reduces_what_is_there_brings_none():
    """There is nothing of its own to protect."""
    desk = Desk(STILL)
    desk.do(order("short", "sell", "3"))
    desk.do(entry("1"))
    assert (desk.position(), attached(desk)) == (-2, [])


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (entry(stop="100"), "attached_stop_side"),
        (entry(stop="98", limit="98"), "attached_stop_side"),
        (replace(order("s", "sell", "1"), attached_stop=D("99")), "attached_stop_side"),
        (entry(stop="95.05"), "invalid_price_step"),
    ],
)
def test_a_stop_that_would_fire_at_once_is_refused_with_its_entry(request_, code):
    """Nothing of the order lives then."""
    desk = Desk(STILL)
    answer = desk.do(request_)
    assert isinstance(answer, OrderRejected)
    assert answer.code == code
    assert desk.venue.open_orders() == ()


def test_both_survive_a_restart_of_the_venue(tmp_path):
    """Its log is carried out again and gives the same orders."""

    def begin() -> SimulatedVenue:
        market = WrittenMarket({BTC: [STILL] * 3})
        return SimulatedVenue(market, VenueSettings(fills=EXACT), VenueMemory(tmp_path / "memory"))

    venue = begin()
    venue.submit(entry(), venue.now_ms)
    venue.submit(own_stop("1"), venue.now_ms)
    before = venue.open_orders()
    venue.close()
    venue = begin()
    assert venue.open_orders() == before
    venue.take_away_attached(own_stop("2"), venue.now_ms)
    before = venue.open_orders()
    venue.close()
    venue = begin()
    assert [each.client_order_id for each in venue.open_orders()] == [name(Leg.STOP)]
    assert venue.open_orders() == before
    venue.close()


def at_the_exchange(play, *rows, model: FillModel = EXACT):
    """Play with an exchange and its venue."""

    async def main():
        venue = SimulatedVenue(WrittenMarket({BTC: rows or [STILL] * 3}), VenueSettings(fills=model))
        exchange = SimulatedExchange(venue, VenueClock(venue, speed=0))
        return await play(exchange, venue)

    return run(main())


def quantities(venue: SimulatedVenue) -> list[D]:
    """Of the attached stops that work."""
    return [each.quantity for each in venue.open_orders() if each.attached]


def test_an_own_stop_replaces_the_attached_one():
    """Once it was accepted, and not before."""

    async def play(exchange, venue):
        await exchange.submit_request(entry())
        refused = replace(own_stop("2"), trigger_price=D(101))
        assert isinstance(await exchange.submit(approve_reduction(refused)), OrderRejected)
        assert quantities(venue) == [2]
        assert isinstance(await exchange.submit(approve_reduction(own_stop("2"))), OrderAccepted)
        assert quantities(venue) == []

    at_the_exchange(play)


def test_what_the_own_stop_does_not_cover_yet_stays_covered():
    """Until it was amended to the whole of what has filled."""

    async def play(exchange, venue):
        await exchange.submit_request(entry())
        await exchange.submit(approve_reduction(own_stop("1")))
        assert quantities(venue) == []
        venue.step()
        assert quantities(venue) == [1]  # the second piece filled meanwhile
        await exchange.amend(approve_reduction(own_stop("1.5")))
        assert quantities(venue) == [1]
        await exchange.amend(approve_reduction(own_stop("2")))
        assert quantities(venue) == []

    at_the_exchange(play, model=IN_PIECES)


def test_stops_of_another_signal_are_left_alone():
    """The venue nets positions, but not stops."""

    async def play(exchange, venue):
        await exchange.submit_request(entry())
        await exchange.submit_request(entry("1", number=2))
        await exchange.submit(approve_reduction(own_stop("2")))
        assert quantities(venue) == [1]

    at_the_exchange(play)
