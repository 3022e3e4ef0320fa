"""The venue as a daemon's exchange, and what goes wrong on demand."""

import asyncio

import pytest

from livebot.core.inputs import OrderAccepted, OrderEnded, OrderFilled, OrderRejected, OrderUnknown
from livebot.core.order import Leg
from livebot.core.risk import approve_reduction
from livebot.errors import BadInput, Rejected, Transient
from livebot.ports import CandleFeed, Clock, Exchange, VenueNotice
from livebot.simulator.clock import VenueClock
from livebot.simulator.exchange import SimulatedExchange
from livebot.simulator.faults import FaultKind
from livebot.simulator.feed import SimulatedFeed
from livebot.simulator.venue import SimulatedVenue, VenueSettings
from tests.simulator.builders import BTC, ETH, EXACT, START_MS, WrittenMarket, flat, order
from tests.virtual_loop import run

STOP = order("stop", "sell", "1", stop="90", reduce=True)


class Seat:
    """A venue in lockstep, its exchange, and what it delivers for BTC."""

    def __init__(self, *, speed: float = 0, latency_ms: float = 0) -> None:
        market = WrittenMarket({BTC: [flat(100.0)] * 3, ETH: [flat(10.0)] * 3})
        self.venue = SimulatedVenue(market, VenueSettings(fills=EXACT))
        self.clock = VenueClock(self.venue, speed=speed)
        self.exchange = SimulatedExchange(self.venue, self.clock, latency_ms=latency_ms)
        self.events: list = []
        self.exchange.listen(BTC, self.events.append)


def session(play, **seat):
    """Play a coroutine function with a seat, in virtual time."""

    async def main():
        return await play(Seat(**seat))

    return run(main())


def test_the_ports_are_met():
    seat = Seat()
    exchange: Exchange = seat.exchange
    feed: CandleFeed = SimulatedFeed(seat.venue, seat.clock)
    clock: Clock = seat.clock
    assert (exchange.name, clock.now_ms()) == ("simulator", START_MS)
    assert feed is not None


def test_an_order_from_submission_to_its_end():
    async def play(seat):
        exchange = seat.exchange
        await exchange.submit_request(order("in", "buy", "1"))
        assert [type(event) for event in seat.events] == [OrderFilled, OrderEnded]
        answer = await exchange.submit(approve_reduction(STOP))
        assert isinstance(answer, OrderAccepted)
        assert (await exchange.fetch_order(BTC, "stop")).venue_order_id == answer.venue_order_id
        assert [each.client_order_id for each in await exchange.fetch_open_orders()] == ["stop"]
        moved = order("stop", "sell", "1", stop="95", reduce=True)
        assert (await exchange.amend(approve_reduction(moved))).trigger_price == moved.trigger_price
        await exchange.cancel(BTC, "stop")
        assert seat.events[-1].client_order_id == "stop"
        assert (await exchange.fetch_fills(BTC, "in"))[0].trade_id == seat.events[0].fill.trade_id
        assert [each.symbol for each in await exchange.fetch_positions()] == [BTC]
        assert (await exchange.fetch_account()).wallet < 10_000
        with pytest.raises(Rejected):
            await exchange.cancel(BTC, "stop")

    session(play)


def test_instruments():
    async def play(seat):
        assert list(await seat.exchange.instruments([ETH, BTC])) == [ETH, BTC]
        with pytest.raises(BadInput, match="DOGE/USDT, XRP/USDT"):
            await seat.exchange.instruments(["XRP/USDT", BTC, "DOGE/USDT"])

    session(play)


def test_events_of_a_symbol_nobody_listens_to_can_be_asked_for():
    async def play(seat):
        await seat.exchange.submit_request(order("in", "buy", "1", symbol=ETH))
        assert seat.events == []
        assert len(await seat.exchange.fetch_fills(ETH, "in")) == 1

    session(play)


def test_a_lost_answer_leaves_the_order_alive():
    async def play(seat):
        seat.exchange.faults.arm(FaultKind.LOSE_ANSWER)
        answer = await seat.exchange.submit_request(order("in", "buy", "1"))
        assert isinstance(answer, OrderUnknown)
        assert (await seat.exchange.fetch_order(BTC, "in")).filled == 1
        again = await seat.exchange.submit_request(order("in", "buy", "1"))
        assert again.code == "duplicate_client_order_id"

    session(play)


def test_a_lost_request_never_lives():
    async def play(seat):
        seat.exchange.faults.arm(FaultKind.LOSE_REQUEST)
        assert isinstance(await seat.exchange.submit_request(order("in", "buy", "1")), OrderUnknown)
        assert await seat.exchange.fetch_order(BTC, "in") is None
        assert isinstance(await seat.exchange.submit_request(order("in", "buy", "1")), OrderAccepted)

    session(play)


def test_a_refusal_with_a_code():
    async def play(seat):
        seat.exchange.faults.arm(FaultKind.REFUSE, code="margin", text="no margin", times=2, leg=Leg.STOP)
        await seat.exchange.submit_request(order("in", "buy", "1"))
        for _ in range(2):
            answer = await seat.exchange.submit_request(STOP)
            assert isinstance(answer, OrderRejected)
            assert (answer.code, answer.text) == ("margin", "no margin")
        assert isinstance(await seat.exchange.submit_request(STOP), OrderAccepted)

    session(play)


def test_a_fault_may_be_meant_for_one_symbol():
    async def play(seat):
        seat.exchange.faults.arm(FaultKind.FAIL_FETCH, symbol=BTC)
        assert await seat.exchange.fetch_order(ETH, "in") is None
        assert await seat.exchange.fetch_open_orders() == ()
        with pytest.raises(Transient):
            await seat.exchange.fetch_order(BTC, "in")
        assert await seat.exchange.fetch_order(BTC, "in") is None

    session(play)


@pytest.mark.parametrize("question", ["fetch_positions", "fetch_account", "fetch_open_orders"])
def test_a_question_about_the_account_may_fail(question):
    async def play(seat):
        seat.exchange.faults.arm(FaultKind.FAIL_FETCH)
        with pytest.raises(Transient):
            await getattr(seat.exchange, question)()
        await getattr(seat.exchange, question)()

    session(play)


@pytest.mark.parametrize(("kind", "lives"), [(FaultKind.LOSE_ANSWER, False), (FaultKind.LOSE_REQUEST, True)])
def test_a_cancellation_may_be_lost(kind, lives):
    async def play(seat):
        await seat.exchange.submit_request(order("a", "buy", "1", limit="90"))
        seat.exchange.faults.arm(kind)
        with pytest.raises(Transient, match=r"lost|no answer"):
            await seat.exchange.cancel(BTC, "a")
        assert bool(await seat.exchange.fetch_open_orders()) is lives

    session(play)


def test_late_fills():
    async def play(seat):
        seat.exchange.faults.hold_events()
        await seat.exchange.submit_request(order("in", "buy", "1"))
        assert seat.events == []
        assert (await seat.exchange.fetch_order(BTC, "in")).filled == 1
        seat.exchange.faults.release_events()
        assert [type(event) for event in seat.events] == [OrderFilled, OrderEnded]
        await seat.exchange.submit_request(order("more", "buy", "1"))
        assert len(seat.events) == 4

    session(play)


def test_latency_is_half_before_and_half_after():
    async def play(seat):
        loop = asyncio.get_running_loop()
        sending = asyncio.create_task(seat.exchange.submit_request(order("in", "buy", "1")))
        await asyncio.sleep(0.09)
        assert seat.events == []
        await asyncio.sleep(0.02)
        assert len(seat.events) == 2
        assert not sending.done()
        await sending
        assert loop.time() == pytest.approx(0.2)
        assert seat.exchange.absence_window_ms == 400
        assert not seat.exchange.positions_may_lag

    session(play, speed=60, latency_ms=200)


def test_in_lockstep_there_is_no_latency():
    async def play(seat):
        await seat.exchange.submit_request(order("in", "buy", "1"))
        assert asyncio.get_running_loop().time() == 0
        assert seat.exchange.absence_window_ms == 250

    session(play, latency_ms=200)


def test_latency_below_zero():
    with pytest.raises(BadInput, match="latency"):
        Seat(latency_ms=-1)


def test_what_a_connection_says_of_itself_reaches_who_listens():
    """The simulated venue's has nothing to say, unless a test lets it; one listener replaces another."""
    notice = VenueNotice(source="clock", text="3 s off")

    async def play(seat):
        for port in (seat.exchange, SimulatedFeed(seat.venue, seat.clock)):
            first, second = [], []
            port.say(notice)
            port.listen_notices(first.append)
            port.listen_notices(second.append)
            port.say(notice)
            assert (first, second) == ([], [notice])

    session(play)


def test_a_closed_exchange_delivers_nothing():
    async def play(seat):
        await seat.exchange.close()
        await seat.exchange.close()
        await seat.exchange.submit_request(order("in", "buy", "1"))
        assert seat.events == []

    session(play)
